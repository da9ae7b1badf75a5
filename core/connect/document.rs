//! Documents of outside systems, as connectors describe them.

use tongbao_model::shape::Shape;

/// One kind of document a connector reads or writes; mappings name it `connector/kind`.
#[derive(Debug, Clone)]
pub struct DocumentKind {
    /// Fields. The name is the kind's, e.g. `SAL_SaleOrder`.
    pub shape: Shape,
    /// Whether the mapping file itself declares the fields, because every installation has its own.
    pub open: bool,
    /// Path of the field the business key is written to, for documents that are written.
    pub key: Option<&'static str>,
}

impl DocumentKind {
    /// A document whose fields each mapping declares under `fields`.
    pub fn open(name: &'static str, doc: &'static str) -> Self {
        DocumentKind {
            shape: Shape { name: name.into(), doc: doc.into(), fields: Vec::new(), total: None },
            open: true,
            key: None,
        }
    }
}
