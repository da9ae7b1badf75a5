//! `tongbao tables propose` and `confirm`: rows that the ERP's master data suggests, and those that a person chose of them.

use super::{Grid, grid, is_sheet, sheet};
use crate::cli::ProposeArgs;
use crate::commands;
use crate::config::operator;
use crate::masters::confirm::{self, By, COLUMNS};
use crate::masters::{self, Proposals, Refused, Wanted};
use crate::output::{self, Exit};
use crate::routes::Ids;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tongbao_connect::Masters;
use tongbao_delivery::port::Store;
use tongbao_model::{Text, china};
use tongbao_paper::csv::{MARK, guarded};

/// Lines that are shown where no file is asked for.
const SHOWN: usize = 40;

/// What reads master data in a configuration.
///
/// # Errors
/// There is no such connection, or it reads none; those that do are named.
pub fn masters_of(loaded: &crate::config::Loaded, connection: &str) -> Result<Arc<dyn Masters>, Refused> {
    let all: BTreeMap<&String, &Arc<dyn Masters>> =
        loaded.connections.iter().filter_map(|(name, built)| Some((name, built.masters.as_ref()?))).collect();
    all.iter()
        .find(|(name, _)| name.as_str() == connection)
        .map(|(_, masters)| Arc::clone(masters))
        .ok_or_else(|| {
            masters::no_masters(connection, &all.keys().map(|name| (*name).clone()).collect::<Vec<_>>())
        })
}

/// Prints a refusal.
pub fn told(refused: &Refused, as_json: bool) -> Exit {
    if as_json {
        output::json(&masters::refused_json(refused));
    } else {
        output::note(&refused.text.to_string());
    }
    if refused.status == 503 { Exit::Unavailable } else { Exit::Failed }
}

/// Proposes.
pub async fn propose(args: &ProposeArgs, config: &Path, as_json: bool) -> Exit {
    let loaded = match commands::load_without_mappings(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let reader = match masters_of(&loaded, &args.connection) {
        Ok(reader) => reader,
        Err(refused) => return told(&refused, as_json),
    };
    let store = match commands::open(&loaded).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let wanted = Wanted {
        table: &args.table,
        connection: &args.connection,
        list: args.list.as_deref(),
        name: Ids::Uuid.fresh(),
    };
    let made = match masters::may_call(store.as_ref(), &args.connection).await {
        Ok(()) => masters::proposals(store.as_ref(), reader.as_ref(), wanted).await,
        Err(refused) => Err(refused),
    };
    store.close().await;
    match made {
        Ok(made) => write(&made, args.out.as_deref(), as_json),
        Err(refused) => told(&refused, as_json),
    }
}

fn write(made: &Proposals, out: Option<&Path>, as_json: bool) -> Exit {
    let lines = confirm::lines(made);
    if let Some(file) = out {
        let saved = if is_sheet(file) {
            sheet::write_cells(file, &COLUMNS, lines.iter().map(<[String; 12]>::as_slice))
        } else {
            std::fs::write(file, csv(&lines)).map_err(|error| format!("{}: {error}", file.display()))
        };
        if let Err(why) = saved {
            output::note(&why);
            return Exit::Failed;
        }
    }
    if as_json {
        output::json(&json!(made));
        return Exit::Ok;
    }
    let [pairs, ties, conflicts, nothing] = made.counts();
    if out.is_none() {
        let rows = lines.iter().filter(|line| line.get(1).is_some_and(|source| !source.is_empty()));
        let rows: Vec<Vec<String>> = rows
            .take(SHOWN)
            .map(|line| [1, 2, 4, 5, 8].map(|at| line.get(at).cloned().unwrap_or_default()).to_vec())
            .collect();
        let head = ["编码 / code", "名称 / name", "ERP", "ERP 名称 / name", "理由 / reason"];
        output::line(output::table(&head, &rows).trim_end());
    }
    output::line(&format!(
        "{}：对应 {pairs}，并列 {ties}，矛盾 {conflicts}，未找到 {nothing}；ERP 可用 {} 行 / {pairs} pairs, {ties} ties, \
         {conflicts} conflicts, {nothing} not found; {} rows of the ERP may be used",
        made.table,
        made.erp.len(),
        made.erp.len()
    ));
    if let Some(file) = out {
        let file = file.display();
        output::line(&format!(
            "在 confirm 列填 y 后运行 / put y into `confirm`, then run: tongbao tables confirm {file}"
        ));
    }
    Exit::Ok
}

fn csv(lines: &[[String; 12]]) -> Vec<u8> {
    // A mark, by which Excel takes it as UTF-8.
    let mut csv = csv::Writer::from_writer(MARK.as_bytes().to_vec());
    // Writing to memory cannot fail.
    let _ = csv.write_record(COLUMNS);
    for line in lines {
        let _ = csv.write_record(line.iter().map(|cell| guarded(cell).into_owned()));
    }
    csv.into_inner().unwrap_or_default()
}

/// How a file is confirmed.
pub struct How {
    /// Who confirms.
    pub by: Option<String>,
    /// Replay what lacked the codes.
    pub replay: bool,
    /// Print as JSON.
    pub as_json: bool,
}

/// Confirms the rows that are marked in a file.
pub async fn run_confirm(file: &Path, how: How, config: &Path) -> Exit {
    let read = grid(file).map_err(|why| vec![Text::new(why.clone(), why)]);
    let read = read.and_then(|Grid { header, rows }| confirm::of_file(&header, &rows));
    let confirmed = match read {
        Ok(confirmed) => confirmed,
        Err(wrong) => return refused(&wrong, how.as_json),
    };
    let store = match commands::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let exit = into_store(store.as_ref(), &confirmed, &how).await;
    store.close().await;
    exit
}

async fn into_store(store: &dyn Store, confirmed: &confirm::Confirmed, how: &How) -> Exit {
    let who = how.by.clone().unwrap_or_else(operator);
    let now = jiff::Timestamp::now().to_zoned(china::zone());
    let day = now.date().to_string();
    let by = By { who: &who, day: &day, replay: how.replay };
    match confirm::confirm(store, confirmed, &by).await {
        Ok(Ok(done)) => {
            if how.as_json {
                output::json(&json!(done));
                return Exit::Ok;
            }
            let confirm::Done { table, confirmed, waiting, replayed, raced } = &done;
            output::line(&format!("{table}：已确认 {confirmed} 行 / {confirmed} rows confirmed"));
            if *raced {
                let (zh, en) =
                    ("同时另有导入，请核对", "another import ran at the same time: look at the table");
                output::note(&format!("{zh} {table} / {en} `{table}`"));
            }
            if how.replay {
                output::line(&format!("已重放 {replayed} 个投递 / {replayed} replayed"));
            } else if *waiting > 0 {
                output::line(&format!(
                    "{waiting} 个投递正缺这些编码，重放 / {waiting} deliveries lacked these codes; to replay: tongbao \
                     deliveries replay --code code-table-miss"
                ));
            }
            Exit::Ok
        }
        Ok(Err(wrong)) => refused(&wrong, how.as_json),
        Err(error) => commands::store_failed(&error, how.as_json),
    }
}

fn refused(wrong: &[Text], as_json: bool) -> Exit {
    if as_json {
        output::json(&json!({"refused": wrong}));
    } else {
        for why in wrong {
            output::note(&why.to_string());
        }
    }
    Exit::Failed
}
