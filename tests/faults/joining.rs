//! Processes that join while others have all the work: they are given their share of it, and give it back.

use super::brokers::on_servers;
use super::crashing::undisturbed_leaves;
use super::digest;
use super::documents::Batch;
use super::process::Household;
use super::scale::{MANY, Member, assert_in_order, history, moving, process, slow_erp};
use crate::Case;
use crate::world::until;
use std::collections::BTreeMap;
use tongbao_delivery::port::Store;
use tongbao_store::StoreOptions;

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    vec![("scale::who_joins_is_given_work".to_owned(), Box::new(|| Box::pin(who_joins_is_given_work())))]
}

/// More than processes, so that each has some of every connection.
const PARTITIONS: &[(&str, &str)] = &[
    ("partitions: 2, in_flight: 4", "partitions: 6, in_flight: 4"),
    ("partitions: 2, lease", "partitions: 6, lease"),
];
/// Documents sent in one go.
const FEW: usize = 4;

/// Attempts by process.
async fn attempts(store: &dyn Store) -> BTreeMap<u32, usize> {
    let mut attempts: BTreeMap<u32, usize> = BTreeMap::new();
    for attempt in history(store).await.iter().flat_map(|(_, attempts)| attempts) {
        *attempts.entry(process(&attempt.worker)).or_default() += 1;
    }
    attempts
}

/// Sends a few documents at a time, and the next few when these are through, until the last of the processes makes
/// attempts; there is no more than the batch to do it with. All of them are accepted by the first.
async fn given_work(batch: &mut Batch, household: &Household, store: &dyn Store, members: &mut [Member]) {
    let newest = members.last().unwrap().life.id();
    let mut rounds = 0;
    while !attempts(store).await.contains_key(&newest) {
        assert!(!batch.is_sent(), "process {newest} got nothing of {rounds} times {FEW} documents");
        batch.send(&household.sender, &household.sandbox, FEW).await;
        rounds += 1;
        until("it is given work, or there is none left", async || {
            members.iter_mut().for_each(|member| member.life.assert_alive());
            attempts(store).await.contains_key(&newest) || moving(store).await == 0
        })
        .await;
    }
    println!("process {newest} makes attempts after {rounds} times {FEW} documents");
}

async fn who_joins_is_given_work() {
    let (url, rabbit) =
        on_servers(|servers| (servers.postgres_url("scale_joining"), servers.rabbit_url())).await;
    let rabbit = Some((rabbit, "scale-joining.".to_owned()));
    let mut household = Household::over("processes that join", Some(url), rabbit).await;
    household.rewrite(PARTITIONS);
    let store = tongbao_store::open(&household.store_url(), StoreOptions::default()).await.unwrap();
    slow_erp(&household);
    let mut batch = Batch::new("S3", MANY);
    let mut members = Vec::new();
    for _ in 0..3 {
        let mut member = Member::start(&household);
        member.ready(&household).await;
        if members.is_empty() {
            household.face(&member.listen);
        }
        members.push(member);
        given_work(&mut batch, &household, store.as_ref(), &mut members).await;
    }
    assert!(!batch.is_sent(), "nothing is left for those that stay");
    // One leaves in good order and one without a word, both with their queues in hand.
    let second = members.remove(1).life;
    let stopped = second.id();
    batch.send(&household.sender, &household.sandbox, FEW).await;
    tokio::task::spawn_blocking(|| second.stop()).await.unwrap();
    batch.send(&household.sender, &household.sandbox, FEW).await;
    let third = members.remove(1).life;
    let killed = third.id();
    third.kill();
    let mut first = members.remove(0).life;
    let deliveries = household.settle(&mut first, &mut batch).await;

    let found = digest::of(&household.sandbox, &deliveries, &batch.prefix);
    println!("digest {} {}", found.short, household.name);
    digest::assert_same(&undisturbed_leaves(MANY).await, &found, &household.name);
    let followers = assert_in_order(&history(store.as_ref()).await, &household.sandbox.crm_writes());
    assert!(followers > MANY, "hardly any delivery had one before it");
    println!("attempts by process: {:?}; stopped {stopped}, killed {killed}", attempts(store.as_ref()).await);
    store.close().await;
    tokio::task::spawn_blocking(|| first.stop()).await.unwrap();
}
