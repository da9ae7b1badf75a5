//! What the database manages at most: single-row commits, the limit that benchmarks are held against.

use crate::error::stored;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbErr};
use std::time::{Duration, Instant};
use tongbao_delivery::port::Stored;

/// Commits a second of one row of 1 KiB each: one connection on SQLite (which has one writer, synchronous=FULL), as many
/// as `clients` elsewhere. The table is dropped afterwards.
pub async fn commits_per_second(url: &str, clients: u64, time: Duration) -> Stored<f64> {
    run(url, clients, time).await.map_err(|error| stored(&error))
}

async fn run(url: &str, clients: u64, time: Duration) -> Result<f64, DbErr> {
    let is_sqlite = url.starts_with("sqlite");
    let clients = if is_sqlite { 1 } else { u32::try_from(clients.clamp(1, 64)).unwrap_or(64) };
    let url = if is_sqlite { format!("{url}?mode=rwc") } else { url.to_owned() };
    let mut options = ConnectOptions::new(url);
    options.max_connections(clients).min_connections(clients).sqlx_logging(false);
    let db = Database::connect(options).await?;
    if is_sqlite {
        db.execute_unprepared("PRAGMA journal_mode=WAL").await?;
        db.execute_unprepared("PRAGMA synchronous=FULL").await?;
    }
    db.execute_unprepared("DROP TABLE IF EXISTS tongbao_limit").await?;
    db.execute_unprepared("CREATE TABLE tongbao_limit (content TEXT NOT NULL)").await?;
    let insert = format!("INSERT INTO tongbao_limit (content) VALUES ('{}')", "x".repeat(1024));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (db, insert) = (db.clone(), insert.clone());
        tasks.spawn(async move {
            let mut count: u32 = 0;
            while started.elapsed() < time {
                db.execute_unprepared(&insert).await?;
                count += 1;
            }
            Ok::<u32, DbErr>(count)
        });
    }
    let mut total = 0.0;
    while let Some(result) = tasks.join_next().await {
        total += f64::from(result.map_err(|error| DbErr::Custom(error.to_string()))??);
    }
    let rate = total / started.elapsed().as_secs_f64();
    db.execute_unprepared("DROP TABLE tongbao_limit").await?;
    db.close().await?;
    Ok(rate)
}
