//! From [`Config`] to something that can run: mappings compiled, connections built, every name resolved.

use crate::emit::EMITTED;

use super::{
    Config, Environment, Flow, INTAKE, INVOICING, LEDGER, PAYMENTS, Receives, SIGNATURE, invoicing, matching,
    notices, read, statements,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tongbao_connect::{Built, Connector, Context, DocumentKind, EgressRules, Settings, signing};
use tongbao_mapping::{Ends, Files, Mapping, compile_with};
use tongbao_model::Text;
use tongbao_model::diagnostic::{Diagnostic, Findings, Place, Severity, nearest};
use tongbao_model::event::kinds;
use tongbao_model::shape::Shape;

/// A configuration that can run.
pub struct Loaded {
    /// As written.
    pub config: Config,
    /// Compiled mappings, by name.
    pub mappings: HashMap<String, Arc<Mapping>>,
    /// Files of the mappings, by name.
    pub files: BTreeMap<String, PathBuf>,
    /// Built connections, by name.
    pub connections: HashMap<String, Built>,
}

/// Document shapes of canonical records and of all connectors.
pub struct Documents {
    shapes: BTreeMap<String, Shape>,
    open: BTreeSet<String>,
}

impl Documents {
    /// Of all connectors there are.
    pub fn all() -> Documents {
        let mut shapes: BTreeMap<_, _> = tongbao_model::record::shapes()
            .into_iter()
            .map(|shape| (shape.name.to_string(), shape))
            .collect();
        let mut open = BTreeSet::new();
        for connector in tongbao_connectors::all() {
            for DocumentKind { shape, open: is_open, .. } in (connector.documents)() {
                let name = format!("{}/{}", connector.name, shape.name);
                if is_open {
                    open.insert(name);
                } else {
                    shapes.insert(name, shape);
                }
            }
        }
        Documents { shapes, open }
    }
}

impl Ends for Documents {
    fn shape(&self, name: &str) -> Option<Shape> {
        self.shapes.get(name).cloned()
    }

    fn is_open(&self, name: &str) -> bool {
        let any = name.split_once('/').map(|(connector, _)| format!("{connector}/*"));
        self.open.contains(name) || any.is_some_and(|any| self.open.contains(&any))
    }

    fn names(&self) -> Vec<String> {
        self.shapes.keys().cloned().collect()
    }
}

/// Reads the files that a mapping builds on, from the folder it lies in.
pub struct Beside(pub PathBuf);

impl Beside {
    /// Beside a mapping file.
    pub fn file(path: &Path) -> Beside {
        Beside(path.parent().map(Path::to_owned).unwrap_or_default())
    }
}

impl Files for Beside {
    fn read(&self, name: &str) -> Result<String, String> {
        let path = self.0.join(name);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Folders below `mappings` that hold no mappings: fixtures, parts that mappings include, and the files that show
/// what the checker refuses.
const NO_MAPPINGS: [&str; 3] = ["fixtures", "parts", "refused"];

/// Whether something in a folder of mappings is not to be looked at. Names that begin with a dot are those of editors and
/// of tools that copy: what they hold is on its way to another name.
fn is_no_mapping(path: &Path) -> bool {
    let name = path.file_name().map(std::ffi::OsStr::to_string_lossy).unwrap_or_default();
    name.starts_with('.') || NO_MAPPINGS.iter().any(|other| name == *other)
}

/// All mapping files below some folders, in order of their paths.
pub fn mapping_files(folders: &[PathBuf]) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open: Vec<PathBuf> = folders.to_vec();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                let inner = entry?.path();
                if !is_no_mapping(&inner) {
                    open.push(inner);
                }
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        } else if !path.exists() {
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, path.display().to_string()));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads, checks and builds. Without I/O but for the files; `None` when anything is wrong. The findings are of
/// all files together.
pub fn load(path: &Path, environment: &Environment, context: &Context) -> (Option<Loaded>, Vec<Diagnostic>) {
    load_parts(path, environment, context, true)
}

/// The same but for the mappings, which are not looked at: for what has to work while somebody edits them.
pub fn load_without_mappings(
    path: &Path,
    environment: &Environment,
    context: &Context,
) -> (Option<Loaded>, Vec<Diagnostic>) {
    load_parts(path, environment, context, false)
}

fn load_parts(
    path: &Path,
    environment: &Environment,
    context: &Context,
    with_mappings: bool,
) -> (Option<Loaded>, Vec<Diagnostic>) {
    let name = path.display().to_string();
    let mut findings = Findings::new(&name);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            findings.error(
                "config-file",
                Place::default(),
                format!("无法读取：{error}"),
                format!("cannot be read: {error}"),
            );
            return (None, findings.into_sorted());
        }
    };
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    build(&text, findings, &folder, environment, context, with_mappings)
}

/// The same from a text that is already here.
pub fn load_text(
    text: &str,
    name: &str,
    folder: &Path,
    environment: &Environment,
    context: &Context,
) -> (Option<Loaded>, Vec<Diagnostic>) {
    build(text, Findings::new(name), folder, environment, context, true)
}

fn build(
    text: &str,
    mut findings: Findings,
    folder: &Path,
    environment: &Environment,
    context: &Context,
    with_mappings: bool,
) -> (Option<Loaded>, Vec<Diagnostic>) {
    let Some(mut config) = read(text, folder, environment, &mut findings) else {
        return (None, findings.into_sorted());
    };
    notices::check(&config, &mut findings);
    matching::check(&config, &mut findings);
    invoicing::check(&config, &mut findings);
    statements::check(&config, &mut findings);
    config.flows.extend(notices::flows(&config));
    config.flows.extend(statements::flow(&config));
    let (mappings, files, mut found) =
        if with_mappings { compile_all(&config.mappings, &mut findings) } else { Compiled::default() };
    let mut connections = HashMap::new();
    for connection in &config.connections {
        let Some(connector) = find_connector(&connection.connector, connection.place, &mut findings) else {
            continue;
        };
        let context = Context { connection: connection.name.clone(), ..context.clone() };
        let settings = Settings { node: &connection.settings, secrets: environment };
        let egress = EgressRules::read(&connection.egress, environment, &mut findings);
        if let Some(built) = connector.connect(&settings, egress, context, &mut findings) {
            let receives = connection.receives.iter().map(|one| (one, built.source.is_some()));
            let polls = connection.polls.iter().map(|poll| (&poll.receives, built.source.is_some()));
            for (receives, able) in receives.chain(polls) {
                check_receives(receives, able, connector, with_mappings.then_some(&mappings), &mut findings);
            }
            connections.insert(connection.name.clone(), built);
        }
    }
    check_flows(&config, with_mappings.then_some(&mappings), &connections, &mut findings);
    found.extend(findings.into_sorted());
    let failed = found.iter().any(|finding| finding.severity == Severity::Error);
    let loaded = (!failed).then_some(Loaded { config, mappings, files, connections });
    (loaded, found)
}

type Compiled = (HashMap<String, Arc<Mapping>>, BTreeMap<String, PathBuf>, Vec<Diagnostic>);

fn compile_all(folders: &[PathBuf], findings: &mut Findings) -> Compiled {
    let documents = Documents::all();
    let mut mappings = HashMap::new();
    let mut files = BTreeMap::new();
    let mut found = Vec::new();
    let paths = mapping_files(folders).unwrap_or_else(|error| {
        findings.error(
            "config-mappings",
            Place::default(),
            format!("无法读取映射目录：{error}"),
            format!("the mapping folders cannot be read: {error}"),
        );
        Vec::new()
    });
    for path in paths {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                findings.error(
                    "config-mappings",
                    Place::default(),
                    format!("{shown}：{error}"),
                    format!("{shown}: {error}"),
                );
                continue;
            }
        };
        let (mapping, diagnostics) = compile_with(&shown, &text, &documents, &Beside::file(&path));
        found.extend(diagnostics);
        if let Some(mapping) = mapping {
            if let Some(first) = files.insert(mapping.name.clone(), path) {
                findings.error(
                    "mapping-twice",
                    Place::default(),
                    format!("映射 {} 有两个文件：{} 与 {shown}", mapping.name, first.display()),
                    format!(
                        "the mapping `{}` is in two files: {} and {shown}",
                        mapping.name,
                        first.display()
                    ),
                );
            }
            mappings.insert(mapping.name.clone(), Arc::new(mapping));
        }
    }
    (mappings, files, found)
}

fn find_connector(name: &str, place: Place, findings: &mut Findings) -> Option<&'static Connector> {
    let found = tongbao_connectors::all().into_iter().find(|connector| connector.name == name);
    if found.is_none() {
        let all = tongbao_connectors::all();
        let suggestion = nearest(name, all.iter().map(|connector| connector.name))
            .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
        findings.error_with(
            "connector-unknown",
            place,
            Text::new(format!("没有连接器 {name}"), format!("there is no connector `{name}`")),
            suggestion,
        );
    }
    found
}

fn find_mapping<'a>(
    name: &str,
    place: Place,
    mappings: &'a HashMap<String, Arc<Mapping>>,
    findings: &mut Findings,
) -> Option<&'a Arc<Mapping>> {
    let found = mappings.get(name);
    if found.is_none() {
        let suggestion = nearest(name, mappings.keys().map(String::as_str))
            .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
        findings.error_with(
            "mapping-unknown",
            place,
            Text::new(
                format!("没有可用的映射 {name}（不存在或有错误）"),
                format!("there is no usable mapping `{name}` (none of that name, or it has errors)"),
            ),
            suggestion,
        );
    }
    found
}

fn check_receives(
    receives: &Receives,
    able: bool,
    connector: &Connector,
    mappings: Option<&HashMap<String, Arc<Mapping>>>,
    findings: &mut Findings,
) {
    if !able {
        findings.error(
            "connector-role",
            receives.place,
            format!("连接器 {} 不能作为来源", connector.name),
            format!("the connector `{}` is no source", connector.name),
        );
    }
    let expected = format!("{}/{}", connector.name, receives.kind);
    if let Some(mappings) = mappings
        && let Some(mapping) = find_mapping(&receives.mapping, receives.place, mappings, findings)
        && mapping.from != expected
    {
        findings.error(
            "mapping-end",
            receives.place,
            format!("映射 {} 的 from 是 {}，此处需要 {expected}", mapping.name, mapping.from),
            format!(
                "the mapping `{}` reads {}, here it would have to read {expected}",
                mapping.name, mapping.from
            ),
        );
    }
}

fn check_flows(
    config: &Config,
    mappings: Option<&HashMap<String, Arc<Mapping>>>,
    connections: &HashMap<String, Built>,
    findings: &mut Findings,
) {
    let mut names = BTreeSet::new();
    for flow in &config.flows {
        if !names.insert(flow.name.as_str()) || flow.name == INTAKE {
            findings.error(
                "flow-name",
                flow.place,
                format!("流程名 {} 重复或为保留名", flow.name),
                format!("the flow name `{}` is taken", flow.name),
            );
        }
        if let Some(from) = &flow.from
            && !config.connections.iter().any(|connection| connection.name == *from)
            && !config.notices.iter().any(|rule| notices::source(&rule.name) == *from)
            && *from != statements::SOURCE
        {
            findings.error(
                "connection-unknown",
                flow.place,
                format!("没有连接 {from}"),
                format!("there is no connection `{from}`"),
            );
        }
        if let Some(kind) = flow.emits.as_deref().filter(|kind| !EMITTED.contains(kind)) {
            let suggestion = nearest(kind, EMITTED.iter().copied())
                .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
            findings.error_with(
                "flow-emits",
                flow.place,
                Text::new(format!("没有后续事件 {kind}"), format!("nothing emits `{kind}`")),
                suggestion,
            );
        }
        if flow.to == SIGNATURE && flow.on != kinds::SIGNATURE_CONFIRMED {
            findings.error(
                "flow-event",
                flow.place,
                format!("signature 只处理 {}", kinds::SIGNATURE_CONFIRMED),
                format!("`signature` takes only `{}`", kinds::SIGNATURE_CONFIRMED),
            );
        }
        if [LEDGER, PAYMENTS, INVOICING, SIGNATURE].contains(&flow.to.as_str()) {
            continue;
        }
        check_flow(flow, config, mappings, connections, findings);
    }
}

fn check_flow(
    flow: &Flow,
    config: &Config,
    mappings: Option<&HashMap<String, Arc<Mapping>>>,
    connections: &HashMap<String, Built>,
    findings: &mut Findings,
) {
    let Some(connection) = config.connections.iter().find(|connection| connection.name == flow.to) else {
        let suggestion =
            nearest(&flow.to, config.connections.iter().map(|connection| connection.name.as_str()))
                .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
        findings.error_with(
            "connection-unknown",
            flow.place,
            Text::new(format!("没有连接 {}", flow.to), format!("there is no connection `{}`", flow.to)),
            suggestion,
        );
        return;
    };
    if connections.get(&flow.to).is_some_and(|built| built.target.is_none()) {
        findings.error(
            "connector-role",
            flow.place,
            format!("连接器 {} 不能作为目标", connection.connector),
            format!("the connector `{}` is no target", connection.connector),
        );
    }
    // Statements are written by the service itself.
    if flow.on == kinds::STATEMENT_DUE && flow.from.as_deref() == Some(statements::SOURCE) {
        return;
    }
    let Some(name) = &flow.mapping else {
        findings.error("config-missing", flow.place, "缺少 mapping", "`mapping` is missing");
        return;
    };
    let found = mappings.and_then(|mappings| find_mapping(name, flow.place, mappings, findings));
    let Some(mapping) = found else { return };
    let fits = mapping.to.split_once('/').is_some_and(|(connector, _)| connector == connection.connector);
    if !fits {
        findings.error(
            "mapping-end",
            flow.place,
            format!("映射 {name} 的 to 是 {}，此处需要 {}/…", mapping.to, connection.connector),
            format!(
                "the mapping `{name}` makes {}, here it would have to make {}/…",
                mapping.to, connection.connector
            ),
        );
    }
    let asks = mapping.to.ends_with(&format!("/{}", signing::STATUS));
    if flow.emits.as_deref() == Some(kinds::SIGNATURE_CONFIRMED) && !asks {
        findings.error(
            "flow-emits",
            flow.place,
            format!("{} 只由 …/{} 得出", kinds::SIGNATURE_CONFIRMED, signing::STATUS),
            format!("`{}` follows only from …/{}", kinds::SIGNATURE_CONFIRMED, signing::STATUS),
        );
    }
}
