//! Every connector that has a profile passes the conformance kit on its stand-in, and the pages say what came of it.

use crate::docs::{fresh, page, read, root};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tongbao_connect::Connector;
use tongbao_connect::kit::{Report, certify};
use tongbao_connectors::profiles;
use tongbao_model::diagnostic::Findings;
use tongbao_model::yaml;
use tongbao_sandbox::Sandboxes;

/// What failed, one line each.
pub fn failures(report: &Report) -> String {
    report.entries.iter().filter(|entry| entry.verdict.name() == "fail").fold(
        String::new(),
        |mut text, entry| {
            let _ = writeln!(text, "{} {}: {}", report.connector, entry.behaviour.id, entry.verdict.detail());
            text
        },
    )
}

/// The connectors run at the same time, each behaviour on stand-ins of its own.
#[tokio::test(flavor = "multi_thread")]
async fn every_connector_behaves_and_the_pages_say_so() {
    crate::kit::install();
    let runs: Vec<_> = profiles()
        .into_iter()
        .map(|(connector, profile)| {
            let run = profile.map(|profile| tokio::spawn(certify(connector, profile, &Sandboxes)));
            (connector, run)
        })
        .collect();
    let mut reports = Vec::new();
    let mut failed = String::new();
    for (connector, run) in runs {
        let report = match run {
            Some(run) => Some(run.await.unwrap()),
            None => None,
        };
        failed += &report.as_ref().map(failures).unwrap_or_default();
        reports.push((connector, report));
    }
    assert!(failed.is_empty(), "\n{failed}");
    for (connector, report) in &reports {
        let shown = report.as_ref().map_or_else(
            || "未认证 / not certified: there is no `kit.rs`.\n".to_owned(),
            |report| format!("\n{}\n", report.markdown()),
        );
        fresh(&page(&connector.name.replace('-', "_")), "kit", &shown);
    }
    fresh(&root().join("README.md"), "matrix", &matrix(&reports));
}

/// Connector × record × direction × certified, from the registry, the shipped mappings and the kit.
fn matrix(reports: &[(&'static Connector, Option<Report>)]) -> String {
    let mappings = mappings();
    let mut table = String::from(
        "| Connector | Direction | Document | Record | Mapping | Certified |\n|---|---|---|---|---|---|\n",
    );
    for (connector, report) in reports {
        let name = connector.name;
        let link = format!("[{name}]({}/README.md)", name.replace('-', "_"));
        let certified = match report {
            Some(report) if report.certified() => {
                format!("✓ {} · – {}", report.count("pass"), report.count("not-applicable"))
            }
            Some(_) => "✗".to_owned(),
            None => "not certified".to_owned(),
        };
        let ours = |end: &str| end.strip_prefix(name)?.strip_prefix('/').map(str::to_owned);
        let mut rows = Vec::new();
        for Shipped { path, from, to } in &mappings {
            let found = match (ours(from), ours(to)) {
                (Some(document), None) => Some(("in", document, to)),
                (None, Some(document)) => Some(("out", document, from)),
                _ => None,
            };
            if let Some((direction, document, record)) = found {
                let file = path.file_name().unwrap().to_string_lossy();
                let target = path.strip_prefix(root().parent().unwrap()).unwrap().display();
                rows.push(format!(
                    "| {link} | {direction} | `{document}` | {record} | [{file}](../{target}) | {certified} |"
                ));
            }
        }
        if rows.is_empty() {
            rows.push(format!("| {link} | | | | none is shipped | {certified} |"));
        }
        rows.sort();
        for row in rows {
            writeln!(table, "{row}").unwrap();
        }
    }
    table
}

/// The two ends of a mapping.
struct Shipped {
    path: PathBuf,
    from: String,
    to: String,
}

/// The shipped mappings, in order of their paths.
fn mappings() -> Vec<Shipped> {
    let folders = files(&root().parent().unwrap().join("mappings"));
    let mut found = Vec::new();
    for path in
        folders.iter().filter(|path| path.is_dir() && !path.ends_with("refused")).flat_map(|path| files(path))
    {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let node = yaml::parse(&read(&path), &mut Findings::new("")).unwrap();
        let end = |name: &str| node.get(name).and_then(|node| node.text()).map(str::to_owned);
        if let (Some(from), Some(to)) = (end("from"), end("to")) {
            found.push(Shipped { path, from, to });
        }
    }
    assert!(found.len() > 10, "{} mappings are found", found.len());
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
