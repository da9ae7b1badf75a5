//! Typed settings: one declaration gives the struct, the reference page, the lint and the parser.

use crate::http::HostPort;
use std::collections::BTreeMap;
use tongbao_model::Text;
use tongbao_model::diagnostic::{Findings, nearest};
use tongbao_model::yaml::{Content, Node};

pub use secrecy::{ExposeSecret, SecretString};

/// What a setting holds, for the reference page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Text.
    Text,
    /// Absolute http or https address.
    Url,
    /// Host, or host and port.
    Host,
    /// Whole number.
    Integer,
    /// `true` or `false`.
    Bool,
    /// `{ env: NAME }` or `{ file: path }`; never a literal.
    Secret,
    /// List of texts.
    List,
    /// Mapping of texts to texts.
    Map,
}

/// One setting.
#[derive(Debug, Clone)]
pub struct Field {
    /// Name.
    pub name: &'static str,
    /// Kind.
    pub kind: ValueKind,
    /// For people, with the unit.
    pub doc: &'static str,
    /// Default as written in YAML; `None` when it must be given or may be left out.
    pub default: Option<String>,
    /// Must be given.
    pub required: bool,
}

/// All settings of a connector.
#[derive(Debug, Clone)]
pub struct Spec {
    /// In the order of the page.
    pub fields: Vec<Field>,
}

/// Resolves `{ env: … }` and `{ file: … }`. The application gives one, for it alone sees the environment.
pub trait Secrets {
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Result<SecretString, Text>;
    /// The content of a file, without its final line break.
    fn file(&self, path: &str) -> Result<SecretString, Text>;
}

/// The checked form a connector is built of: the node and the way to its secrets.
pub struct Settings<'a> {
    /// The connection's `settings` node.
    pub node: &'a Node,
    /// Resolver.
    pub secrets: &'a dyn Secrets,
}

/// A type a setting can have.
pub trait Setting: Sized {
    /// For the page.
    const KIND: ValueKind;
    /// Reads it.
    fn read(node: &Node, secrets: &dyn Secrets) -> Result<Self, Text>;
}

fn expected(zh: &str, en: &str) -> Text {
    Text::new(format!("应为{zh}"), format!("expected {en}"))
}

impl Setting for String {
    const KIND: ValueKind = ValueKind::Text;
    fn read(node: &Node, _: &dyn Secrets) -> Result<Self, Text> {
        node.text().map(str::to_owned).ok_or_else(|| expected("文本", "text"))
    }
}

impl Setting for url::Url {
    const KIND: ValueKind = ValueKind::Url;
    fn read(node: &Node, _: &dyn Secrets) -> Result<Self, Text> {
        let wrong = || expected(" http(s) 地址", "an absolute http or https address");
        let url = url::Url::parse(node.text().ok_or_else(wrong)?).map_err(|_| wrong())?;
        let usable = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        if !usable {
            return Err(wrong());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Text::new(
                "地址中不得含账号密码",
                "an address must not carry a user name or password",
            ));
        }
        Ok(url)
    }
}

impl Setting for HostPort {
    const KIND: ValueKind = ValueKind::Host;
    fn read(node: &Node, _: &dyn Secrets) -> Result<Self, Text> {
        let wrong = || expected("主机或主机:端口", "a host or host:port");
        node.text().and_then(HostPort::parse).ok_or_else(wrong)
    }
}

impl Setting for u64 {
    const KIND: ValueKind = ValueKind::Integer;
    fn read(node: &Node, _: &dyn Secrets) -> Result<Self, Text> {
        node.text()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| expected("非负整数", "a whole number, 0 or more"))
    }
}

impl Setting for u32 {
    const KIND: ValueKind = ValueKind::Integer;
    fn read(node: &Node, _: &dyn Secrets) -> Result<Self, Text> {
        node.text()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| expected("非负整数", "a whole number, 0 or more"))
    }
}

impl Setting for bool {
    const KIND: ValueKind = ValueKind::Bool;
    fn read(node: &Node, _: &dyn Secrets) -> Result<Self, Text> {
        node.bool().ok_or_else(|| expected(" true 或 false", "true or false"))
    }
}

impl Setting for SecretString {
    const KIND: ValueKind = ValueKind::Secret;
    fn read(node: &Node, secrets: &dyn Secrets) -> Result<Self, Text> {
        match node.entries() {
            [entry] if entry.key == "env" => secrets.env(entry.value.text().unwrap_or_default()),
            [entry] if entry.key == "file" => secrets.file(entry.value.text().unwrap_or_default()),
            _ => Err(Text::new(
                "密钥不得写在配置文件中，请写 { env: 变量名 } 或 { file: 路径 }",
                "a secret is never written here: use { env: NAME } or { file: path }",
            )),
        }
    }
}

impl Setting for Vec<String> {
    const KIND: ValueKind = ValueKind::List;
    fn read(node: &Node, secrets: &dyn Secrets) -> Result<Self, Text> {
        match &node.content {
            Content::List(items) => items.iter().map(|item| String::read(item, secrets)).collect(),
            Content::Null | Content::Scalar { .. } | Content::Map(_) => Err(expected("列表", "a list")),
        }
    }
}

impl Setting for BTreeMap<String, String> {
    const KIND: ValueKind = ValueKind::Map;
    fn read(node: &Node, secrets: &dyn Secrets) -> Result<Self, Text> {
        match &node.content {
            Content::Map(entries) => entries
                .iter()
                .map(|entry| Ok((entry.key.clone(), String::read(&entry.value, secrets)?)))
                .collect(),
            Content::Null | Content::Scalar { .. } | Content::List(_) => Err(expected("映射", "a mapping")),
        }
    }
}

impl<T: Setting> Setting for Option<T> {
    const KIND: ValueKind = T::KIND;
    fn read(node: &Node, secrets: &dyn Secrets) -> Result<Self, Text> {
        match node.content {
            Content::Null => Ok(None),
            Content::Scalar { .. } | Content::List(_) | Content::Map(_) => T::read(node, secrets).map(Some),
        }
    }
}

/// Reports members of `node` that no setting has, with the nearest name there is.
pub fn refuse_unknown(node: &Node, known: &[&str], findings: &mut Findings) {
    for entry in node.entries() {
        if !known.contains(&entry.key.as_str()) {
            let suggestion = nearest(&entry.key, known.iter().copied())
                .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
            findings.error_with(
                "config-unknown-key",
                entry.place,
                Text::new(format!("未知设置 {}", entry.key), format!("unknown setting `{}`", entry.key)),
                suggestion,
            );
        }
    }
}

/// Reads one setting; reports and gives `None` when it is wrong or missing.
pub fn read<T: Setting>(
    settings: &Settings<'_>,
    name: &str,
    default: Option<T>,
    required: bool,
    findings: &mut Findings,
) -> Option<T> {
    match settings.node.get(name) {
        Some(node) => match T::read(node, settings.secrets) {
            Ok(value) => Some(value),
            Err(text) => {
                findings.error(
                    "config-value",
                    node.place,
                    format!("{name}：{}", text.zh),
                    format!("{name}: {}", text.en),
                );
                None
            }
        },
        None => {
            if default.is_none() && required {
                findings.error(
                    "config-missing",
                    settings.node.place,
                    format!("缺少设置 {name}"),
                    format!("the setting `{name}` is missing"),
                );
            }
            default
        }
    }
}

/// Declares a connector's settings: a struct with documented fields, its [`Spec`] and its parser.
///
/// Each field is `name: Type => (required)`, `=> (optional)` or `=> (default)`. The doc comments become the
/// reference page.
#[macro_export]
macro_rules! settings {
    (@default required) => { None };
    (@default optional) => { Some(None) };
    (@default $default:expr) => { Some($default) };
    (@shown $type:ty, required) => { None };
    (@shown $type:ty, optional) => { None };
    (@shown $type:ty, $default:expr) => {{
        let value: $type = $default;
        Some(format!("{value:?}"))
    }};
    (@required required) => { true };
    (@required $($other:tt)+) => { false };
    (
        $(#[doc = $doc:literal])+
        $type:ident {
            $($(#[doc = $field_doc:literal])+ $field:ident : $field_type:ty => ($($default:tt)+),)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone)]
        pub struct $type {
            $($(#[doc = $field_doc])+ pub $field: $field_type,)+
        }

        impl $type {
            /// The settings, for pages and lints.
            pub fn spec() -> $crate::Spec {
                $crate::Spec { fields: vec![$($crate::Field {
                    name: stringify!($field),
                    kind: <$field_type as $crate::settings::Setting>::KIND,
                    doc: concat!($($field_doc),+).trim_ascii(),
                    default: $crate::settings!(@shown $field_type, $($default)+),
                    required: $crate::settings!(@required $($default)+),
                }),+] }
            }

            /// Reads and checks; everything wrong goes to `findings`.
            pub fn read(
                settings: &$crate::Settings<'_>,
                findings: &mut tongbao_model::diagnostic::Findings,
            ) -> Option<Self> {
                $crate::settings::refuse_unknown(settings.node, &[$(stringify!($field)),+], findings);
                $(let $field: Option<$field_type> = $crate::settings::read(
                    settings,
                    stringify!($field),
                    $crate::settings!(@default $($default)+),
                    $crate::settings!(@required $($default)+),
                    findings,
                );)+
                Some($type { $($field: $field?,)+ })
            }
        }
    };
}
