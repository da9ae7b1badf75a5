//! The connectors: one folder each, one line each in the list below.
//!
//! A connector knows its system's protocol and nothing else: no mapping, no store, no broker, no other
//! connector. It sees `tongbao-connect` and `tongbao-model` only.

use tongbao_connect::Connector;

/// Declares the modules and the registry together: a folder that is not listed is not compiled, and a test
/// fails for it.
macro_rules! connectors {
    ($($folder:ident),+ $(,)?) => {
        $(pub mod $folder;)+

        /// All connectors, in the order of the list.
        pub fn all() -> Vec<&'static Connector> {
            vec![$(&$folder::CONNECTOR),+]
        }
    };
}

connectors! {
    jiandaoyun,
    kingdee_cloud,
    nuonuo,
    webhook,
    yonyou_u8_eai,
}

/// The connector of a name.
pub fn find(name: &str) -> Option<&'static Connector> {
    all().into_iter().find(|connector| connector.name == name)
}
