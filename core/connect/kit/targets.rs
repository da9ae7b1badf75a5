//! Behaviours of what goes out.

use super::bench::{Bench, Check, NOT_MET, Stage, Variant, said, shown};
use super::port::Trouble;
use super::profile::Writes;
use super::troubles;
use crate::{Lookup, Outcome, Task};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::time::Instant;
use tongbao_model::Class;

/// Times of one call where it is to run out, in milliseconds: the next where a busy machine did not even get as far as
/// the answer.
const HASTY_MS: [u64; 3] = [700, 2_500, 6_000];
/// Milliseconds before each of the sixteen pieces of a drip: together far more than any bound below.
const DRIP_MS: u64 = 2_500;
/// What a call bounded by the longest of [`HASTY_MS`] may take on a slow machine; all drops of one answer take twice as
/// long.
const BOUND: Duration = Duration::from_secs(20);

pub async fn stands(bench: &Bench<'_>) -> Check {
    let (stage, task) = (bench.stage().await?, bench.task()?);
    let writes = bench.writes()?;
    if writes.repeats.is_some() {
        nobody_to_ask(&stage, &task).await?;
    } else if !writes.only_asks() && stage.connection.lookup(&task).await? != Lookup::Absent {
        return Err("look-up before anything was sent: expected absent".into());
    }
    stage.stands(&task).await?;
    let probe = stage.connection.probe().await?;
    probe.map_err(|failure| format!("the probe ends in {}", said(&failure)))?;
    if writes.repeats.is_some() {
        if stage.times(&task) != 1 || stage.stand_in.documents().len() != 1 {
            return Err(format!("there is {:?}, expected the one document", stage.stand_in.documents()));
        }
        return nobody_to_ask(&stage, &task).await;
    }
    match stage.connection.lookup(&task).await? {
        Lookup::Found(_) => Ok(None),
        other => Err(format!("look-up afterwards: {other:?}, expected found")),
    }
}

/// A look-up that has nobody to ask says so, and claims neither yes nor no.
async fn nobody_to_ask(stage: &Stage, task: &Task) -> Check {
    match stage.connection.lookup(task).await? {
        Lookup::NobodyToAsk(failure) if failure.class == Class::Unknown => Ok(None),
        other => {
            Err(format!("look-up where nobody can be asked: {other:?}, expected that it says so (unknown)"))
        }
    }
}

/// The same key again, by this connection and by another, for a process may have died in between.
pub async fn once(bench: &Bench<'_>) -> Check {
    let (stage, task) = (bench.stage().await?, bench.task()?);
    stage.stands(&task).await?;
    let other = bench.connect(&stage.stand_in.url(), Variant::default())?;
    let repeats = bench.writes()?.repeats;
    for (sent, (who, connection)) in
        [("the same connection", &stage.connection), ("another connection", &other)].into_iter().enumerate()
    {
        match connection.apply(&task).await? {
            Outcome::Done(_) | Outcome::AlreadyThere(_) => {}
            Outcome::Failed(failure) => {
                return Err(format!("applied again by {who}: {}, expected success", said(&failure)));
            }
        }
        let times = stage.times(&task);
        if repeats.is_some() && times != sent.saturating_add(2) {
            return Err(format!(
                "applied again by {who}: it stands {times} times: one for each time is expected"
            ));
        }
        stage.once(&task).map_err(|why| format!("applied again by {who}: {why}"))?;
    }
    Ok(repeats.map(|(zh, en)| format!("每次写入一份 / one for each time: {zh} / {en}")))
}

/// Applies under trouble with each writing operation in turn, judges the outcome, and then settles.
async fn each_write(
    bench: &Bench<'_>,
    troubles: &[Trouble],
    judge: impl Fn(&Trouble, &Outcome) -> Result<(), String>,
) -> Check {
    let writes = bench.writes()?;
    let stage = bench.stage().await?;
    let mut notes = BTreeSet::new();
    for operation in writes.applied() {
        for trouble in troubles {
            let task = bench.task()?;
            let outcome = stage.under(operation, trouble.clone(), || stage.connection.apply(&task)).await?;
            let name = trouble.name();
            match enough(writes, trouble, &outcome) {
                Some(note) => drop(notes.insert(note)),
                None => judged(writes, trouble, &outcome, &judge)
                    .map_err(|why| format!("{operation}: {name}: {why}"))?,
            }
            stage.stands(&task).await.map_err(|why| format!("{operation}: {name}: afterwards {why}"))?;
        }
    }
    Ok(told(notes))
}

/// As a behaviour judges an outcome; but where nothing is changed, what is unknown of a write is merely not answered.
fn judged(
    writes: &Writes,
    trouble: &Trouble,
    outcome: &Outcome,
    judge: impl Fn(&Trouble, &Outcome) -> Result<(), String>,
) -> Result<(), String> {
    let slow = matches!(trouble, Trouble::Throttled | Trouble::Status { status: 429, .. });
    match outcome {
        Outcome::Failed(failure) if writes.only_asks() && !slow => match failure.class {
            Class::Unavailable => Ok(()),
            Class::Unknown => Err("unknown, and a question that got no answer did nothing".into()),
            _ => judge(trouble, outcome),
        },
        _ => judge(trouble, outcome),
    }
}

/// The author's reason why this success is one.
fn enough(writes: &Writes, trouble: &Trouble, outcome: &Outcome) -> Option<String> {
    let reason = reason(writes, trouble).filter(|_| matches!(outcome, Outcome::Done(_)))?;
    Some(format!("{} = 成功 / a success: {reason}", trouble.name()))
}

fn reason(writes: &Writes, trouble: &Trouble) -> Option<String> {
    let name = trouble.name();
    writes.enough.iter().find(|(known, _, _)| *known == name).map(|(_, zh, en)| format!("{zh} / {en}"))
}

fn told(notes: BTreeSet<String>) -> Option<String> {
    (!notes.is_empty()).then(|| notes.into_iter().collect::<Vec<_>>().join("; "))
}

fn unknown(_: &Trouble, outcome: &Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Failed(failure) if failure.class == Class::Unknown => Ok(()),
        other => Err(format!("the outcome is {}, expected unknown", shown(other))),
    }
}

pub async fn lost_before(bench: &Bench<'_>) -> Check {
    each_write(bench, &[Trouble::LostBefore], unknown).await
}

pub async fn lost_after(bench: &Bench<'_>) -> Check {
    each_write(bench, &[Trouble::LostAfter], unknown).await
}

pub async fn cut(bench: &Bench<'_>) -> Check {
    each_write(bench, &[Trouble::Cut], unknown).await
}

pub async fn half(bench: &Bench<'_>) -> Check {
    each_write(bench, &[Trouble::Half], unknown).await
}

pub async fn garbage(bench: &Bench<'_>) -> Check {
    each_write(bench, &troubles::answers_garbled(), unknown).await
}

pub async fn oversize(bench: &Bench<'_>) -> Check {
    each_write(bench, &[Trouble::Oversize], unknown).await
}

pub async fn proxy(bench: &Bench<'_>) -> Check {
    each_write(bench, &troubles::proxies(), unknown).await
}

/// Read in spite of it, or unknown: a refusal or a wrong total would be made up.
pub async fn charset(bench: &Bench<'_>) -> Check {
    let total = bench.total()?;
    each_write(bench, &[Trouble::WrongCharset], |trouble, outcome| match outcome {
        Outcome::Done(receipt) | Outcome::AlreadyThere(receipt)
            if receipt.total_tax_included.is_none() || receipt.total_tax_included == total =>
        {
            Ok(())
        }
        // Still at work: an asynchronous system answers so in any charset.
        Outcome::Failed(failure)
            if matches!(failure.class, Class::Throttled(_)) && failure.reached.is_some() =>
        {
            Ok(())
        }
        other => unknown(trouble, other),
    })
    .await
}

pub async fn throttled(bench: &Bench<'_>) -> Check {
    let writes = bench.writes()?;
    each_write(bench, &[Trouble::Throttled], |_, outcome| match outcome {
        Outcome::Failed(failure) if matches!(failure.class, Class::Throttled(_)) => Ok(()),
        other => Err(format!("the outcome is {}, expected throttled", shown(other))),
    })
    .await?;
    if writes.only_asks() {
        return Ok(None);
    }
    // What was throttled at the first step was not done.
    let (stage, task) = (bench.stage().await?, bench.task()?);
    let first = writes.writes.first().ok_or("the profile names no writing operation")?;
    stage.under(first, Trouble::Throttled, || stage.connection.apply(&task)).await?;
    if writes.repeats.is_some() {
        let times = stage.times(&task);
        return if times == 0 {
            Ok(None)
        } else {
            Err(format!("{first}: throttled: it stands {times} times"))
        };
    }
    match stage.connection.lookup(&task).await? {
        Lookup::Absent => Ok(None),
        other => Err(format!("{first}: throttled: the look-up says {other:?}, expected absent")),
    }
}

/// Seconds are taken at their word.
pub async fn retry_after(bench: &Bench<'_>) -> Check {
    let status = |seconds| Trouble::Status { status: 429, retry_after: Some(seconds), committed: false };
    each_write(bench, &[status(7), status(41)], |trouble, outcome| {
        let Trouble::Status { retry_after: Some(seconds), .. } = trouble else { return Ok(()) };
        let wanted = Some(Duration::from_secs(u64::from(*seconds)));
        match outcome {
            Outcome::Failed(failure) if failure.class == Class::Throttled(wanted) => Ok(()),
            Outcome::Failed(failure) => {
                Err(format!("the class is {:?}, expected throttled for {seconds} s", failure.class))
            }
            other => Err(format!("the outcome is {}, expected throttled for {seconds} s", shown(other))),
        }
    })
    .await
}

/// A dripping answer is left when the connection's time for one call is over.
pub async fn drip(bench: &Bench<'_>) -> Check {
    let writes = bench.writes()?;
    let stage = bench.stage().await?;
    for operation in writes.applied() {
        let mut last = Err(String::new());
        for timeout_ms in HASTY_MS {
            last = one_drip(bench, &stage, operation, timeout_ms).await;
            if !last.as_ref().is_err_and(|why| why.ends_with(NOT_MET)) {
                break;
            }
        }
        last?;
    }
    Ok(None)
}

async fn one_drip(bench: &Bench<'_>, stage: &Stage, operation: &str, timeout_ms: u64) -> Result<(), String> {
    let hasty = Variant { timeout_ms: Some(timeout_ms), ..Variant::default() };
    let (connection, task) = (bench.connect(&stage.stand_in.url(), hasty)?, bench.task()?);
    let (begun, trouble) = (Instant::now(), Trouble::Drip { ms: DRIP_MS });
    let outcome = stage.under(operation, trouble.clone(), || connection.apply(&task)).await?;
    if begun.elapsed() > BOUND {
        return Err(format!(
            "{operation}: a dripping answer holds the call for {} s, the settings allow {timeout_ms} ms",
            begun.elapsed().as_secs()
        ));
    }
    judged(bench.writes()?, &trouble, &outcome, unknown)
        .map_err(|why| format!("{operation}: a dripping answer: {why}"))?;
    stage.stands(&task).await.map_err(|why| format!("{operation}: a dripping answer: afterwards {why}"))?;
    Ok(())
}

/// Retries are the engine's: it knows what has settled, how often, and whom to tell.
pub async fn one_call(bench: &Bench<'_>) -> Check {
    let writes = bench.writes()?;
    let stage = bench.stage().await?;
    for operation in writes.applied() {
        for trouble in [
            Trouble::LostBefore,
            Trouble::LostAfter,
            Trouble::Status { status: 502, retry_after: None, committed: false },
            Trouble::Status { status: 429, retry_after: Some(0), committed: false },
        ] {
            let (task, name) = (bench.task()?, trouble.name());
            let before = stage.stand_in.calls(operation);
            stage.under(operation, trouble, || stage.connection.apply(&task)).await?;
            let calls = stage.stand_in.calls(operation).saturating_sub(before);
            if calls != 1 {
                return Err(format!("{operation}: {name}: one apply calls it {calls} times, expected once"));
            }
            stage.stands(&task).await.map_err(|why| format!("{operation}: {name}: afterwards {why}"))?;
        }
    }
    Ok(None)
}

/// A question without a readable answer is neither yes nor no, before the document is there and after.
pub async fn question(bench: &Bench<'_>) -> Check {
    let writes = bench.writes()?;
    let stage = bench.stage().await?;
    let there = bench.task()?;
    stage.stands(&there).await?;
    if let Some((zh, en)) = writes.repeats {
        for task in [&there, &bench.task()?] {
            nobody_to_ask(&stage, task).await?;
        }
        return Ok(Some(format!("{zh} / {en}")));
    }
    let absent = bench.task()?;
    let mut all = troubles::answers_lost();
    all.extend(troubles::answers_garbled());
    all.extend(troubles::proxies());
    all.extend([Trouble::Oversize, Trouble::Throttled]);
    // What the system itself says about its own doubts: to a question, they are no more than no answer.
    if let Some(refusals) = bench.profile.refusals.get() {
        let doubts = refusals.examples.iter().filter(|example| example.class == Class::Unknown.name());
        all.extend(doubts.map(|example| refusals.trouble(example)));
    }
    let mut notes = BTreeSet::new();
    for operation in writes.reads {
        for trouble in &all {
            for task in [&there, &absent] {
                notes.extend(one_question(&stage, writes, operation, trouble, task).await?);
            }
        }
    }
    Ok(told(notes))
}

async fn one_question(
    stage: &Stage,
    writes: &Writes,
    operation: &str,
    trouble: &Trouble,
    task: &Task,
) -> Result<Option<String>, String> {
    let name = trouble.name();
    match stage.under(operation, trouble.clone(), || stage.connection.lookup(task)).await? {
        Lookup::CannotTell(failure) if failure.class == Class::Unknown => Err(format!(
            "{operation}: {name}: the look-up is unknown; a question that got no answer did nothing"
        )),
        Lookup::CannotTell(_) => Ok(None),
        // Where states are written, "not as we want it" leads to the same state once more.
        Lookup::Absent if reason(writes, trouble).is_some() => {
            Ok(reason(writes, trouble).map(|reason| format!("{name} = 另一状态 / another state: {reason}")))
        }
        other => Err(format!("{operation}: {name}: the look-up says {other:?}, expected cannot tell")),
    }
}

/// Nobody listens: surely nothing was done.
pub async fn unreachable(bench: &Bench<'_>) -> Check {
    let task = bench.task()?;
    // Bound and not listening: nobody else gets this port, and every connection to it is refused.
    let silent = TcpSocket::new_v4().and_then(|socket| {
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok((socket.local_addr()?, socket))
    });
    let (address, _held) = silent.map_err(|error| format!("no port to be unreachable at: {error}"))?;
    let connection = bench.connect(&format!("http://{address}"), Variant::default())?;
    match connection.apply(&task).await? {
        Outcome::Failed(failure) if failure.class == Class::Unavailable => {}
        other => return Err(format!("apply: {}, expected unavailable", shown(&other))),
    }
    match connection.lookup(&task).await? {
        Lookup::CannotTell(failure) if failure.class == Class::Unavailable => Ok(None),
        Lookup::NobodyToAsk(failure)
            if bench.writes()?.repeats.is_some() && failure.class == Class::Unknown =>
        {
            Ok(None)
        }
        other => Err(format!("look-up: {other:?}, expected unavailable")),
    }
}

/// The far side keeps another total than was sent: the receipt must say what stands there.
pub async fn amounts(bench: &Bench<'_>) -> Check {
    let writes = bench.writes()?;
    let Some(sent) = bench.total()? else {
        return Err("the sample has no total, and nothing says why".into());
    };
    let (stage, task) = (bench.stage().await?, bench.task()?);
    let last = writes.writes.last().ok_or("the profile names no writing operation")?;
    let outcome = stage.under(last, Trouble::CentOff, || stage.connection.apply(&task)).await?;
    let standing = stage.stand_in.documents().into_iter().find(|standing| standing.key == task.key);
    let kept = standing.and_then(|standing| standing.total);
    if kept.is_none() || kept == Some(sent) {
        return Err(format!("the stand-in keeps {kept:?}, it was to be a cent off {sent}"));
    }
    let receipt = match outcome {
        Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => receipt,
        // It noticed by itself, or is still at work and will say when asked.
        Outcome::Failed(failure) if failure.class == Class::Conflict => return Ok(None),
        Outcome::Failed(_) => stage.settle(&task).await?,
    };
    match receipt.total_tax_included {
        None => Err("the receipt names no total: it is not read back, and nothing says why".into()),
        total if total == kept => Ok(None),
        total => Err(format!("the receipt says {total:?}, {kept:?} stands there")),
    }
}
