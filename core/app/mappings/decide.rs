//! Which of the changed mapping files take over. Each is judged by itself, so that a mistake in one keeps no other back;
//! what the configuration uses never goes away.

use super::ByName;
use super::look::Watch;
use crate::config::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tongbao_mapping::Mapping;
use tongbao_model::Text;
use tongbao_model::diagnostic::{Diagnostic, Place, Severity};

/// What the configuration asks of the mappings it names.
#[derive(Debug, Clone, Default)]
pub struct Uses {
    /// What a mapping has to read.
    from: BTreeMap<String, BTreeSet<String>>,
    /// The connectors whose documents a mapping has to make.
    to: BTreeMap<String, BTreeSet<String>>,
}

impl Uses {
    /// Of a configuration.
    pub fn of(config: &Config) -> Uses {
        let mut uses = Uses::default();
        for connection in &config.connections {
            let polled = connection.polls.iter().map(|polls| &polls.receives);
            for receives in connection.receives.iter().chain(polled) {
                let from = format!("{}/{}", connection.connector, receives.kind);
                uses.from.entry(receives.mapping.clone()).or_default().insert(from);
            }
        }
        for flow in &config.flows {
            let connection = config.connections.iter().find(|connection| connection.name == flow.to);
            if let (Some(mapping), Some(connection)) = (&flow.mapping, connection) {
                uses.needs(mapping, &connection.connector);
            }
        }
        uses
    }

    /// Notes that a mapping has to make documents of a connector.
    pub fn needs(&mut self, mapping: &str, connector: &str) {
        self.to.entry(mapping.to_owned()).or_default().insert(connector.to_owned());
    }

    fn has(&self, name: &str) -> bool {
        self.from.contains_key(name) || self.to.contains_key(name)
    }

    /// What a mapping would have to read or make and does not.
    fn misfit(&self, mapping: &Mapping) -> Option<(String, String)> {
        let mut from = self.from.get(&mapping.name).into_iter().flatten();
        if let Some(from) = from.find(|from| **from != mapping.from) {
            let zh = format!("映射 {} 的 from 是 {}，配置需要 {from}", mapping.name, mapping.from);
            let en = format!(
                "the mapping `{}` reads {}, the configuration needs {from}",
                mapping.name, mapping.from
            );
            return Some((zh, en));
        }
        let made = mapping.to.split_once('/').map_or("", |(connector, _)| connector);
        let mut to = self.to.get(&mapping.name).into_iter().flatten();
        to.find(|to| **to != made).map(|to| {
            let zh = format!("映射 {} 的 to 是 {}，配置需要 {to}/…", mapping.name, mapping.to);
            let en = format!(
                "the mapping `{}` makes {}, the configuration needs {to}/…",
                mapping.name, mapping.to
            );
            (zh, en)
        })
    }
}

/// What becomes of the files that were looked at.
#[derive(Default)]
pub struct Decision {
    /// Mappings in use from now on.
    pub mappings: ByName,
    /// The files that take over, with the mapping each makes; `None` where it is gone.
    pub taken: Vec<(PathBuf, Option<Arc<Mapping>>)>,
    /// The files that do not, and why.
    pub refused: BTreeMap<PathBuf, Vec<Diagnostic>>,
}

/// Judges what has changed.
pub fn decide(watch: &Watch, current: &ByName, uses: &Uses) -> Decision {
    let running = |path: &Path| watch.units.get(path).and_then(|unit| unit.running.clone());
    let owners: BTreeMap<String, PathBuf> =
        watch.units.iter().filter_map(|(path, unit)| Some((unit.running.clone()?, path.clone()))).collect();
    let mut decision = Decision::default();
    let mut candidates: BTreeMap<PathBuf, Option<Arc<Mapping>>> = BTreeMap::new();
    for (path, look) in watch.to_judge() {
        if look.mapping.is_none() && !look.is_gone {
            let errors = look.findings.iter().filter(|finding| finding.severity == Severity::Error);
            decision.refused.insert(path.clone(), errors.cloned().collect());
        } else {
            candidates.insert(path.clone(), look.mapping.clone());
        }
    }
    // Refusing one may take from another what it stands on: until none falls.
    while let Some((path, finding)) = first_wrong(&candidates, &owners, &running, uses, current) {
        candidates.remove(&path);
        decision.refused.insert(path, vec![finding]);
    }
    decision.mappings.clone_from(current);
    for path in candidates.keys() {
        if let Some(name) = running(path) {
            decision.mappings.remove(&name);
        }
    }
    for mapping in candidates.values().flatten() {
        decision.mappings.insert(mapping.name.clone(), mapping.clone());
    }
    decision.taken = candidates.into_iter().collect();
    decision
}

fn first_wrong(
    candidates: &BTreeMap<PathBuf, Option<Arc<Mapping>>>,
    owners: &BTreeMap<String, PathBuf>,
    running: &impl Fn(&Path) -> Option<String>,
    uses: &Uses,
    current: &ByName,
) -> Option<(PathBuf, Diagnostic)> {
    let mut made: BTreeMap<&str, &Path> = BTreeMap::new();
    for (path, mapping) in candidates {
        let Some(mapping) = mapping else { continue };
        let keeps = owners.get(&mapping.name).filter(|owner| !candidates.contains_key(*owner));
        let other = keeps.map(PathBuf::as_path).or_else(|| made.get(mapping.name.as_str()).copied());
        if let Some(other) = other {
            let other = other.display();
            let zh = format!("映射 {} 已在 {other} 中", mapping.name);
            let en = format!("the mapping `{}` is in {other} already", mapping.name);
            return Some((path.clone(), finding(path, "mapping-twice", (zh, en))));
        }
        made.insert(&mapping.name, path);
        if let Some(text) = uses.misfit(mapping) {
            return Some((path.clone(), finding(path, "mapping-end", text)));
        }
        if let Some(text) = current.get(&mapping.name).and_then(|before| known_otherwise(before, mapping)) {
            return Some((path.clone(), finding(path, "mapping-key", text)));
        }
    }
    candidates.keys().find_map(|path| {
        let name = running(path).filter(|name| uses.has(name) && !made.contains_key(name.as_str()))?;
        let zh = format!("配置使用的映射 {name} 不在了");
        let en = format!("the mapping `{name}`, which the configuration uses, is not here any more");
        Some((path.clone(), finding(path, "mapping-gone", (zh, en))))
    })
}

/// A document is known in the target by its kind and key. Were either to change under a document whose fate is not known,
/// it would be looked for where it is not, and sent a second time.
fn known_otherwise(before: &Mapping, after: &Mapping) -> Option<(String, String)> {
    (before.key_rule != after.key_rule || before.to != after.to).then(|| {
        (
            "key 或 to 变了，而在途单据按它们查找".to_owned(),
            "`key` or `to` has changed, by which documents on their way are looked up".to_owned(),
        )
    })
}

fn way_out(code: &str) -> Text {
    let (zh, en) = match code {
        "mapping-twice" => (
            "去掉其中一个文件，或改其 mapping 名",
            "take one of the files away, or name its mapping otherwise",
        ),
        "mapping-end" => (
            "恢复原来的 from 与 to，或改配置后重启",
            "put `from` and `to` back, or change the configuration and restart",
        ),
        "mapping-key" => ("恢复原样，或排空后重启", "put it back, or drain and restart"),
        _ => (
            "放回该文件，或从配置中去掉它并重启",
            "put the file back, or take it out of the configuration and restart",
        ),
    };
    Text::new(zh, en)
}

fn finding(path: &Path, code: &'static str, (zh, en): (String, String)) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        file: path.display().to_string(),
        place: Place::new(1, 1),
        message: Text::new(zh, en),
        suggestion: Some(way_out(code)),
    }
}
