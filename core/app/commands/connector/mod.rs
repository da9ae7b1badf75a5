//! `tongbao connector …`: what connectors there are, and whether they behave.

mod begin;

use crate::cli::{CertifyArgs, ConnectorCommand};
use crate::output::{self, Exit};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::Path;
use tongbao_connect::Connector;
use tongbao_connect::kit::{BEHAVIOURS, Profile, Report, Verdict, certify_shown};
use tongbao_sandbox::Sandboxes;

/// A connector and its profile.
type Listed = (&'static Connector, Option<&'static Profile>);

/// Runs a `connector` command.
pub async fn run(command: ConnectorCommand, as_json: bool) -> Exit {
    match command {
        ConnectorCommand::List => list(as_json),
        ConnectorCommand::Certify(args) => certify(args, as_json).await,
        ConnectorCommand::New { name, folder } => begin::run(&name, &folder, as_json),
    }
}

fn list(as_json: bool) -> Exit {
    let listed = tongbao_connectors::profiles();
    if as_json {
        let all: Vec<Value> = listed
            .iter()
            .map(|(connector, profile)| {
                let (zh, en) = connector.summary;
                json!({"name": connector.name, "summary": {"zh": zh, "en": en}, "profile": profile.is_some()})
            })
            .collect();
        output::json(&Value::Array(all));
        return Exit::Ok;
    }
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|(connector, profile)| {
            let (zh, en) = connector.summary;
            let can = if profile.is_some() { "✓" } else { "–" };
            vec![connector.name.to_owned(), can.to_owned(), format!("{zh} / {en}")]
        })
        .collect();
    output::line(output::table(&["连接器", "可认证 kit", ""], &rows).trim_end());
    Exit::Ok
}

async fn certify(args: CertifyArgs, as_json: bool) -> Exit {
    crate::service::install_crypto();
    let known = tongbao_connectors::profiles();
    let mut chosen: Vec<Listed> = Vec::new();
    for name in &args.names {
        match known.iter().find(|(connector, _)| connector.name == *name) {
            Some(found) => chosen.push(*found),
            None => {
                let all: Vec<&str> = known.iter().map(|(connector, _)| connector.name).collect();
                output::note(&format!(
                    "没有连接器 {name} / there is no connector `{name}`: {}",
                    all.join(", ")
                ));
                return Exit::Usage;
            }
        }
    }
    if args.all {
        chosen = known;
    }
    let mut reports = Vec::with_capacity(chosen.len());
    for (connector, profile) in chosen {
        let report = match profile {
            Some(profile) => Some(with_bar(connector, profile, as_json).await),
            None => None,
        };
        reports.push((connector.name, report));
    }
    if let Some(folder) = &args.report
        && let Err(why) = write(folder, &reports)
    {
        output::note(&format!("无法写入报告 / the reports cannot be written: {why}"));
        return Exit::Failed;
    }
    let well = reports.iter().all(|(_, report)| report.as_ref().is_some_and(Report::certified));
    show(&reports, as_json);
    if well { Exit::Ok } else { Exit::Failed }
}

/// Runs with a bar where somebody looks.
async fn with_bar(connector: &Connector, profile: &Profile, quiet: bool) -> Report {
    let length = u64::try_from(BEHAVIOURS.len()).unwrap_or_default();
    let bar = ProgressBar::new(length);
    if quiet || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:24}] {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(connector.name);
    let begin = |behaviour: &tongbao_connect::kit::Behaviour| {
        bar.set_message(behaviour.id);
        bar.inc(1);
    };
    let report = certify_shown(connector, profile, &Sandboxes, &begin).await;
    bar.finish_and_clear();
    report
}

type Certified = (&'static str, Option<Report>);

fn show(reports: &[Certified], as_json: bool) {
    if as_json {
        let all: Vec<Value> = reports.iter().map(|(name, report)| shown(name, report.as_ref())).collect();
        output::json(&Value::Array(all));
        return;
    }
    for (name, report) in reports {
        let Some(report) = report else {
            output::line(&format!(
                "{name}：没有资料 kit.rs，未认证 / has no profile `kit.rs`: not certified\n"
            ));
            continue;
        };
        let rows: Vec<Vec<String>> = report
            .entries
            .iter()
            .map(|entry| {
                let (zh, en) = entry.behaviour.proves;
                let said = match &entry.verdict {
                    Verdict::Pass(None) => format!("{zh} / {en}"),
                    Verdict::Pass(Some(_)) | Verdict::Fail(_) | Verdict::NotApplicable(_) => {
                        entry.verdict.detail()
                    }
                };
                vec![entry.verdict.sign().to_owned(), entry.behaviour.id.to_owned(), said]
            })
            .collect();
        output::line(&format!("{name}：{}", report.summary()));
        output::line(&output::table(&["", "行为 behaviour", "结果 result"], &rows));
    }
}

fn shown(name: &str, report: Option<&Report>) -> Value {
    match report {
        Some(report) => report.json(),
        None => json!({"connector": name, "certified": false, "behaviours": null}),
    }
}

/// `<name>.md` and `<name>.json` of each connector that has a profile.
fn write(folder: &Path, reports: &[Certified]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, report) in reports {
        let Some(report) = report else { continue };
        std::fs::write(folder.join(format!("{name}.md")), format!("# {name}\n\n{}", report.markdown()))?;
        let text = serde_json::to_string_pretty(&report.json()).unwrap_or_default();
        std::fs::write(folder.join(format!("{name}.json")), text + "\n")?;
    }
    Ok(())
}
