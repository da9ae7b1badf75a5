//! Looking at mapping files: what was read is remembered by its digest, and only what stands still is judged.

use crate::config::{Beside, Documents, mapping_files};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tongbao_mapping::{Files, Mapping, compile_with};
use tongbao_model::diagnostic::{Diagnostic, Findings, Place};
use tongbao_model::digest;

/// A file as it was when it was read; `None` when it could not be.
type Seen = (PathBuf, Option<String>);

fn seen(path: PathBuf) -> Seen {
    let digest = std::fs::read(&path).ok().map(|bytes| digest::of_bytes(&bytes));
    (path, digest)
}

/// A mapping file and what it builds on, read at one time, with what the compiler made of exactly these texts.
pub struct Look {
    seen: Vec<Seen>,
    /// The mapping, if the file is without errors.
    pub mapping: Option<Arc<Mapping>>,
    /// What the compiler had to say.
    pub findings: Vec<Diagnostic>,
    /// The file is not there.
    pub is_gone: bool,
}

impl Look {
    /// What a mapping was compiled from that is in use already.
    fn of(path: &Path, mapping: &Arc<Mapping>) -> Look {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let digest = |text: &str| Some(digest::of_bytes(text.as_bytes()));
        let own = mapping.files.first().map(|file| (path.to_owned(), digest(&file.text)));
        let others = mapping.files.iter().skip(1);
        let others = others.map(|file| (folder.join(&file.path), digest(&file.text)));
        Look {
            seen: own.into_iter().chain(others).collect(),
            mapping: Some(mapping.clone()),
            findings: Vec::new(),
            is_gone: false,
        }
    }

    /// Reads and compiles.
    fn take(path: &Path, documents: &Documents) -> Look {
        let shown = path.display().to_string();
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|error| {
                let digest = digest::of_bytes(error.as_bytes());
                (Some(digest), error.to_string(), false)
            }),
            Err(error) => {
                let is_gone = error.kind() == std::io::ErrorKind::NotFound;
                Err((None, error.to_string(), is_gone))
            }
        };
        let text = match text {
            Ok(text) => text,
            Err((digest, why, is_gone)) => {
                let mut findings = Findings::new(&shown);
                let text = (format!("无法读取：{why}"), format!("cannot be read: {why}"));
                findings.error("mapping-file", Place::default(), text.0, text.1);
                let findings = if is_gone { Vec::new() } else { findings.into_sorted() };
                return Look { seen: vec![(path.to_owned(), digest)], mapping: None, findings, is_gone };
            }
        };
        let own = (path.to_owned(), Some(digest::of_bytes(text.as_bytes())));
        let files = Noted { beside: Beside::file(path), seen: Mutex::new(vec![own]) };
        let (mapping, findings) = compile_with(&shown, &text, documents, &files);
        let seen = files.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        Look { seen, mapping: mapping.map(Arc::new), findings, is_gone: false }
    }

    /// Whether the files still are what they were.
    fn stands(&self) -> bool {
        self.seen.iter().all(|known| *known == seen(known.0.clone()))
    }
}

/// Reads files beside a mapping and notes what was in them.
struct Noted {
    beside: Beside,
    seen: Mutex<Vec<Seen>>,
}

impl Files for Noted {
    fn read(&self, name: &str) -> Result<String, String> {
        let text = self.beside.read(name);
        let digest = text.as_ref().ok().map(|text| digest::of_bytes(text.as_bytes()));
        let seen = (self.beside.0.join(name), digest);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        text
    }
}

/// One mapping file over time.
#[derive(Default)]
pub struct Unit {
    /// The look that was judged last.
    settled: Option<Look>,
    /// A later one that differs from it.
    next: Option<Look>,
    /// Whether the later one has been found unchanged by a second look.
    is_confirmed: bool,
    /// Whether the look that was judged last was refused.
    is_refused: bool,
    /// Name of the mapping in use that this file, as it is or as it was, has made.
    pub running: Option<String>,
}

/// All mapping files over time.
#[derive(Default)]
pub struct Watch {
    /// By path.
    pub units: BTreeMap<PathBuf, Unit>,
    /// Why the folders could not be looked through.
    pub problem: Option<String>,
}

impl Watch {
    /// What the process was started with.
    pub fn started<'m>(loaded: impl Iterator<Item = (&'m PathBuf, &'m Arc<Mapping>)>) -> Watch {
        let unit = |(path, mapping): (&PathBuf, &Arc<Mapping>)| {
            let settled = Some(Look::of(path, mapping));
            let running = Some(mapping.name.clone());
            (path.clone(), Unit { settled, running, ..Unit::default() })
        };
        Watch { units: loaded.map(unit).collect(), problem: None }
    }

    /// Looks at everything once. A file that is not what it was is read and compiled; when the next look finds it the
    /// same, it is whole and can be judged. What changes from look to look is being written.
    pub fn look(&mut self, folders: &[PathBuf], documents: &Documents) {
        let found = match mapping_files(folders) {
            Ok(found) => found,
            Err(error) => {
                self.problem = Some(error.to_string());
                return;
            }
        };
        self.problem = None;
        let paths: BTreeSet<PathBuf> = found.into_iter().chain(self.units.keys().cloned()).collect();
        for path in paths {
            let unit = self.units.entry(path.clone()).or_default();
            if unit.settled.as_ref().is_some_and(Look::stands) {
                (unit.next, unit.is_confirmed) = (None, false);
            } else if unit.next.as_ref().is_some_and(Look::stands) {
                unit.is_confirmed = true;
            } else {
                unit.next = Some(Look::take(&path, documents));
                unit.is_confirmed = false;
            }
        }
    }

    /// Whether there is anything to judge: files that were found unchanged twice since they were judged.
    pub fn has_confirmed(&self) -> bool {
        self.units.values().any(|unit| unit.is_confirmed)
    }

    /// What is to be judged: the confirmed, and once more those that were refused for what another file held then.
    pub fn to_judge(&self) -> impl Iterator<Item = (&PathBuf, &Look)> {
        self.units.iter().filter_map(|(path, unit)| {
            let again = unit.settled.as_ref().filter(|_| unit.is_refused && unit.next.is_none());
            let again = again.filter(|look| look.is_gone || look.mapping.is_some());
            let look = if unit.is_confirmed { unit.next.as_ref() } else { again };
            Some((path, look?))
        })
    }

    /// Files that are to be read once more.
    pub fn changing(&self) -> impl Iterator<Item = &PathBuf> {
        self.units.iter().filter(|(_, unit)| unit.next.is_some() && !unit.is_confirmed).map(|(path, _)| path)
    }

    /// A look has been judged.
    pub fn settle(&mut self, path: &Path, running: Option<String>, is_refused: bool) {
        let Some(unit) = self.units.get_mut(path) else { return };
        if unit.is_confirmed {
            unit.settled = unit.next.take();
        }
        (unit.is_confirmed, unit.is_refused) = (false, is_refused);
        unit.running = running;
        if unit.running.is_none() && unit.settled.as_ref().is_none_or(|look| look.is_gone) {
            self.units.remove(path);
        }
    }
}
