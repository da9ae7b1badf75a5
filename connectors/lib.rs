//! The connectors: one folder each, one line each in the list below.
//!
//! A connector knows its system's protocol and nothing else: no mapping, no store, no broker, no other
//! connector. It sees `tongbao-connect` and `tongbao-model` only.

use tongbao_connect::Connector;
use tongbao_connect::kit::Profile;

/// Declares the modules and the registry together: a folder that is not listed is not compiled, and a test
/// fails for it. `with kit`: the folder has a profile for the conformance kit, without which it cannot be certified.
macro_rules! connectors {
    (@profile $folder:ident) => { None };
    (@profile $folder:ident $kit:ident) => { Some(&$folder::$kit::PROFILE) };
    ($($folder:ident $(with $kit:ident)?),+ $(,)?) => {
        $(pub mod $folder;)+

        /// All connectors, in the order of the list.
        pub fn all() -> Vec<&'static Connector> {
            vec![$(&$folder::CONNECTOR),+]
        }

        /// All connectors, each with its profile for the conformance kit if it has one.
        pub fn profiles() -> Vec<(&'static Connector, Option<&'static Profile>)> {
            vec![$((&$folder::CONNECTOR, connectors!(@profile $folder $($kit)?))),+]
        }
    };
}

connectors! {
    bank with kit,
    dingtalk with kit,
    esign with kit,
    fadada with kit,
    jiandaoyun with kit,
    kingdee_cloud with kit,
    mail with kit,
    nuonuo with kit,
    webhook with kit,
    wecom with kit,
    yonyou_u8_eai with kit,
    yonyou_u8_openapi with kit,
}

/// The connector of a name.
pub fn find(name: &str) -> Option<&'static Connector> {
    all().into_iter().find(|connector| connector.name == name)
}
