//! The mappings a process works with: those it was started with, and what has taken their place since.

mod decide;
mod look;
mod reload;
mod stored;
#[cfg(test)]
mod tests;

pub use decide::Uses;
pub use reload::Reloader;
pub use stored::{Explained, explain};

use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use tongbao_delivery::port::{MappingFile, MappingVersion};
use tongbao_mapping::Mapping;
use tongbao_model::diagnostic::Diagnostic;

/// Compiled mappings by name.
pub type ByName = HashMap<String, Arc<Mapping>>;

/// What is in use. Whoever works on a document takes a mapping once and keeps it to the end.
#[derive(Default)]
pub struct Mappings {
    current: RwLock<Arc<ByName>>,
    told: RwLock<Told>,
}

/// What a process tells of its mappings.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Told {
    /// What is in use, by name.
    pub loaded: Vec<InUse>,
    /// Changed files that did not take over.
    pub refused: Vec<Refused>,
    /// Changed files that are read once more before they are judged.
    pub changing: Vec<String>,
    /// Why the folders could not be looked through, if they could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A mapping in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InUse {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its file.
    pub file: String,
    /// Since when this version is in use.
    pub since_ms: i64,
}

/// A changed file that did not take over.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// Since when.
    pub since_ms: i64,
    /// Name and version that go on in its place, if the file had a mapping before.
    pub goes_on: Option<String>,
    /// What is wrong.
    pub findings: Vec<Diagnostic>,
}

impl Mappings {
    /// These and no others, until they are replaced.
    pub fn new(mappings: ByName) -> Mappings {
        Mappings { current: RwLock::new(Arc::new(mappings)), told: RwLock::default() }
    }

    /// One by its name.
    pub fn get(&self, name: &str) -> Option<Arc<Mapping>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Arc<ByName> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What there is to tell.
    pub fn told(&self) -> Told {
        self.told.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, mappings: ByName) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mappings);
    }

    fn tell(&self, told: Told) {
        *self.told.write().unwrap_or_else(PoisonError::into_inner) = told;
    }
}

/// A mapping as the store keeps it.
pub fn kept(mapping: &Mapping) -> MappingVersion {
    let file =
        |file: &tongbao_mapping::SourceFile| MappingFile { path: file.path.clone(), text: file.text.clone() };
    MappingVersion {
        version: mapping.version.clone(),
        name: mapping.name.clone(),
        files: mapping.files.iter().map(file).collect(),
    }
}
