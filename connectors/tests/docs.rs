//! The pages of the connectors: complete, and true to their settings.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tongbao_connect::settings::{Field, ValueKind};
use tongbao_connectors::all;

/// The packages' folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The page of a connector's folder.
pub fn page(folder: &str) -> PathBuf {
    root().join(folder).join("README.md")
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn kind(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "text",
        ValueKind::Url => "http(s) address",
        ValueKind::Host => "host or host:port",
        ValueKind::Integer => "whole number",
        ValueKind::Bool => "`true` or `false`",
        ValueKind::Secret => "secret: `{ env: NAME }` or `{ file: path }`",
        ValueKind::List => "list of texts",
        ValueKind::Map => "mapping of texts",
    }
}

fn default(field: &Field) -> String {
    match (&field.default, field.kind) {
        _ if field.required => "**required**".to_owned(),
        // A secret's default is only ever "none".
        (None, _) | (_, ValueKind::Secret) => "none".to_owned(),
        (Some(value), _) if value == "\"\"" => "none".to_owned(),
        (Some(value), ValueKind::Text) => format!("`{}`", value.trim_matches('"')),
        (Some(value), _) => format!("`{value}`"),
    }
}

fn table(fields: &[Field]) -> String {
    let mut table = String::from("| Setting | Kind | Default | Meaning |\n|---|---|---|---|\n");
    for field in fields {
        let doc = field.doc.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        writeln!(table, "| `{}` | {} | {} | {doc} |", field.name, kind(field.kind), default(field)).unwrap();
    }
    table
}

/// Holds a generated part of a page, between its markers, to what it must be; writes it where that is asked for.
pub fn fresh(path: &Path, part: &str, wanted: &str) {
    // Two tests write parts of the same pages.
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap();
    let (begin, end) = (format!("<!-- {part}:begin -->\n"), format!("<!-- {part}:end -->"));
    let text = read(path);
    let missing = || panic!("{} has no part {part}", path.display());
    let (before, rest) = text.split_once(&begin).unwrap_or_else(missing);
    let (shown, after) = rest.split_once(&end).unwrap_or_else(missing);
    if shown != wanted {
        let bless = std::env::var_os("TONGBAO_BLESS").is_some_and(|value| value == "1");
        assert!(bless, "{} is stale: run the tests once with TONGBAO_BLESS=1", path.display());
        std::fs::write(path, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
    }
}

#[test]
fn settings_tables_are_those_of_the_code() {
    for connector in all() {
        fresh(&page(&connector.name.replace('-', "_")), "settings", &table(&(connector.spec)().fields));
    }
}

#[test]
fn every_folder_is_listed_and_every_connector_has_a_page() {
    let listed: Vec<String> = all().iter().map(|connector| connector.name.replace('-', "_")).collect();
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.join("mod.rs").exists() {
            let folder = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(listed.contains(&folder), "connectors/{folder} is not listed in lib.rs");
        }
    }
    let guide = read(&root().join("README.md"));
    for (connector, folder) in all().iter().zip(&listed) {
        assert!(
            guide.contains(&format!("[{}]({folder}/README.md)", connector.name)),
            "{folder} in the guide"
        );
        let text = read(&page(folder));
        assert!(text.starts_with(&format!("# {}\n\n中文摘要：", connector.name)), "{folder}/README.md");
        for heading in [
            "## Answers and classes",
            "## What is not certain",
            "## Settings",
            "## Conformance",
            "## Sources",
        ] {
            assert!(text.contains(heading), "{folder}/README.md has no {heading:?}");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let folders = all().iter().map(|connector| connector.name.replace('-', "_")).collect::<Vec<_>>();
    for folder in folders.iter().map(String::as_str).chain([""]) {
        let text = read(&page(folder));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = root().join(folder).join(link);
            assert!(target.exists(), "{folder}/README.md links to {link}");
        }
    }
}
