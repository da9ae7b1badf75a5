//! Behaviours of what comes in.

use super::bench::{Bench, Check, scatter};
use super::port::Trouble;
use super::profile::{Place, Pushes, Sample};
use super::troubles;
use crate::Source;
use crate::source::{Decoded, Inbound};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tongbao_model::{Class, Code, Fault};

/// Bodies made at random for one sample.
const RANDOM: u64 = 2_000;

fn pushes<'a>(bench: &'a Bench<'_>) -> Result<&'a Pushes, String> {
    let pushes = bench.profile.pushes.get().ok_or("the profile has no `pushes`")?;
    if pushes.samples.is_empty() || pushes.signed.is_empty() {
        return Err("the profile's `pushes` has no sample, or nothing in them is signed".into());
    }
    Ok(pushes)
}

fn inbound(sample: &Sample) -> Inbound {
    let owned = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Inbound {
        path: sample.path.to_owned(),
        query: owned(sample.query),
        headers: owned(sample.headers),
        body: sample.body.as_bytes().to_vec(),
    }
}

fn ms(seconds: i64) -> i64 {
    seconds.saturating_mul(1000)
}

/// Without panics.
fn verify(
    bench: &Bench<'_>,
    source: &dyn Source,
    request: &Inbound,
    at_s: i64,
) -> Result<Result<(), Fault>, String> {
    let result = catch_unwind(AssertUnwindSafe(|| source.verify(request, ms(at_s))))
        .map_err(|_| "verify panics".to_owned())?;
    bench.heard().look("verify", &result);
    Ok(result)
}

fn decode(
    bench: &Bench<'_>,
    source: &dyn Source,
    request: &Inbound,
) -> Result<Result<Decoded, Fault>, String> {
    let result = catch_unwind(AssertUnwindSafe(|| source.decode(request)))
        .map_err(|_| format!("decode panics at {:?}", String::from_utf8_lossy(&request.body)))?;
    bench.heard().look("decode", &result);
    Ok(result)
}

/// Refused as not signed by whoever we know.
fn refused(
    bench: &Bench<'_>,
    source: &dyn Source,
    request: &Inbound,
    at_s: i64,
    what: &str,
) -> Result<(), String> {
    match verify(bench, source, request, at_s)? {
        Err(fault) if fault.code == Code::SignatureInvalid => Ok(()),
        Err(fault) => Err(format!("{what}: refused as {}, expected signature-invalid", fault.code.as_str())),
        Ok(()) => Err(format!("{what}: verified, expected a refusal")),
    }
}

/// The samples are what their author says: else all the refusals below would show nothing.
pub async fn accepted(bench: &Bench<'_>) -> Check {
    let (pushes, source) = (pushes(bench)?, bench.source()?);
    for (index, sample) in pushes.samples.iter().enumerate() {
        let request = inbound(sample);
        verify(bench, &*source, &request, sample.at_s)?
            .map_err(|fault| format!("sample {index} is not verified: {}", fault.message.en))?;
        let decoded = decode(bench, &*source, &request)?
            .map_err(|fault| format!("sample {index} is not decoded: {}", fault.message.en))?;
        if sample.documents == 0 || decoded.documents.len() != sample.documents {
            return Err(format!(
                "sample {index} holds {} documents, declared are {}",
                decoded.documents.len(),
                sample.documents
            ));
        }
    }
    Ok(None)
}

pub async fn signature_missing(bench: &Bench<'_>) -> Check {
    let (pushes, source) = (pushes(bench)?, bench.source()?);
    for sample in pushes.samples {
        for place in pushes.signed {
            let mut request = inbound(sample);
            let (list, name) = list(&mut request, *place);
            let before = list.len();
            list.retain(|(known, _)| known != name);
            if list.len() == before {
                return Err(format!("the sample has no {place:?}"));
            }
            refused(bench, &*source, &request, sample.at_s, &format!("without {place:?}"))?;
        }
    }
    Ok(None)
}

fn list(request: &mut Inbound, place: Place) -> (&mut Vec<(String, String)>, &'static str) {
    match place {
        Place::Header(name) => (&mut request.headers, name),
        Place::Query(name) => (&mut request.query, name),
    }
}

/// Other values of what is signed or signs: an empty one, half of it, the next digit, one too long, no ASCII.
pub async fn signature_parts(bench: &Bench<'_>) -> Check {
    let (pushes, source) = (pushes(bench)?, bench.source()?);
    for sample in pushes.samples {
        for place in pushes.signed {
            for (name, change) in CHANGES {
                let mut request = inbound(sample);
                let (list, wanted) = list(&mut request, *place);
                for (_, value) in list.iter_mut().filter(|(known, _)| known == wanted) {
                    *value = change(value);
                }
                refused(bench, &*source, &request, sample.at_s, &format!("{place:?} {name}"))?;
            }
        }
    }
    Ok(None)
}

type Change = (&'static str, fn(&str) -> String);

const CHANGES: [Change; 5] = [
    ("emptied", |_| String::new()),
    ("halved", |text| text.chars().take(text.chars().count() / 2).collect()),
    ("with another last digit", |text| {
        let last = if text.ends_with('1') { '2' } else { '1' };
        let mut changed: String = text.to_owned();
        changed.pop();
        changed.push(last);
        changed
    }),
    ("made longer", |text| format!("{text}0")),
    ("in Chinese", |_| "签名签名".to_owned()),
];

/// Every region of the body is bound: a bit anywhere, a byte more, a byte less.
pub async fn signature_body(bench: &Bench<'_>) -> Check {
    let (pushes, source) = (pushes(bench)?, bench.source()?);
    for sample in pushes.samples {
        let good = inbound(sample);
        let step = (good.body.len() / 64).max(1);
        for at in (0..good.body.len()).step_by(step) {
            let mut request = good.clone();
            if let Some(byte) = request.body.get_mut(at) {
                *byte ^= 1;
            }
            refused(
                bench,
                &*source,
                &request,
                sample.at_s,
                &format!("with a bit flipped in byte {at} of the body"),
            )?;
        }
        let mut longer = good.clone();
        longer.body.push(b'\n');
        refused(bench, &*source, &longer, sample.at_s, "with a line break behind the body")?;
        let mut shorter = good.clone();
        shorter.body.pop();
        refused(bench, &*source, &shorter, sample.at_s, "without the last byte of the body")?;
        let empty = Inbound { body: Vec::new(), ..good };
        refused(bench, &*source, &empty, sample.at_s, "without a body")?;
    }
    Ok(None)
}

/// The same document in other bytes is not what was signed.
pub async fn signature_bytes(bench: &Bench<'_>) -> Check {
    let (pushes, source) = (pushes(bench)?, bench.source()?);
    for sample in pushes.samples {
        let request = inbound(sample);
        let parsed: serde_json::Value = serde_json::from_slice(&request.body)
            .map_err(|_| "the sample's body is no JSON: other bytes of the same meaning are not known")?;
        let plain = serde_json::to_string(&parsed).unwrap_or_default();
        let pretty = serde_json::to_string_pretty(&parsed).unwrap_or_default();
        let others = [pretty, format!(" {plain}"), format!("{plain} ")];
        for other in others.iter().filter(|other| other.as_bytes() != request.body) {
            let request = Inbound { body: other.clone().into_bytes(), ..request.clone() };
            refused(bench, &*source, &request, sample.at_s, "the same document in other bytes")?;
        }
    }
    Ok(None)
}

pub async fn stale(bench: &Bench<'_>) -> Check {
    let (pushes, source) = (pushes(bench)?, bench.source()?);
    for sample in pushes.samples {
        let request = inbound(sample);
        let beyond = pushes.window_s.saturating_add(1);
        for (by, fresh) in [
            (pushes.window_s.saturating_sub(1), true),
            (-pushes.window_s.saturating_sub(1), true),
            (beyond, false),
            (-beyond, false),
            (86_400 * 365, false),
        ] {
            match verify(bench, &*source, &request, sample.at_s.saturating_add(by))? {
                Ok(()) if fresh => {}
                Err(fault) if !fresh && fault.code == Code::SignatureExpired => {}
                Ok(()) => return Err(format!("verified {by} s after it was signed")),
                Err(fault) => {
                    return Err(format!("{by} s after it was signed: {}", fault.code.as_str()));
                }
            }
        }
    }
    Ok(None)
}

/// The same bytes give the same documents: again, after others, and with another connection.
pub async fn decode_stable(bench: &Bench<'_>) -> Check {
    let (pushes, source, other) = (pushes(bench)?, bench.source()?, bench.source()?);
    for sample in pushes.samples {
        let request = inbound(sample);
        let first = decode(bench, &*source, &request)?;
        for between in pushes.samples {
            let _ = decode(bench, &*source, &inbound(between))?;
        }
        for (what, again) in [
            ("a second time", decode(bench, &*source, &request)?),
            ("elsewhere", decode(bench, &*other, &request)?),
        ] {
            if again != first {
                return Err(format!("the same bytes give other documents {what}"));
            }
        }
    }
    Ok(None)
}

/// What is cut off or is something else altogether is a fault or a document, never nothing.
pub async fn decode_never_silent(bench: &Bench<'_>) -> Check {
    let (pushes, source) = (pushes(bench)?, bench.source()?);
    for sample in pushes.samples {
        let good = inbound(sample);
        let cut = (0..good.body.len()).map(|at| good.body.get(..at).unwrap_or_default().to_vec());
        let other = ["{}", "null", "1", "\"x\"", "{\"a\":"].map(|text| text.as_bytes().to_vec());
        for body in cut.chain(other) {
            let request = Inbound { body, ..good.clone() };
            let silent = |decoded: &Decoded| decoded.documents.is_empty() && decoded.hints.is_empty();
            if decode(bench, &*source, &request)?.is_ok_and(|decoded| silent(&decoded)) {
                let shown = String::from_utf8_lossy(&request.body).into_owned();
                return Err(format!("the body {shown:?} is answered with success and gives nothing"));
            }
        }
    }
    Ok(None)
}

/// Bytes at random, and samples with bytes changed, taken out and put in.
pub async fn decode_robust(bench: &Bench<'_>) -> Check {
    let (pushes, source) = (pushes(bench)?, bench.source()?);
    let mut seed = 0_u64;
    let mut draw = |below: usize| -> usize {
        seed = seed.wrapping_add(1);
        let below = u64::try_from(below.max(1)).unwrap_or(1);
        usize::try_from(scatter(seed) % below).unwrap_or_default()
    };
    for sample in pushes.samples {
        let good = inbound(sample);
        for round in 0..RANDOM {
            let mut body = if round % 4 == 0 { Vec::new() } else { good.body.clone() };
            for _ in 0..=draw(8) {
                let at = draw(body.len().saturating_add(1));
                let byte = u8::try_from(draw(256)).unwrap_or_default();
                match (draw(3), body.get_mut(at)) {
                    (0, Some(place)) => *place = byte,
                    (1, Some(_)) => drop(body.remove(at)),
                    _ => body.insert(at.min(body.len()), byte),
                }
            }
            let request = Inbound { body, ..good.clone() };
            let _ = decode(bench, &*source, &request)?;
            let _ = verify(bench, &*source, &request, sample.at_s)?;
        }
    }
    Ok(None)
}

/// Polling again from the same cursor brings the same.
pub async fn poll_stable(bench: &Bench<'_>) -> Check {
    let polls = *bench.profile.polls.get().ok_or("the profile has no `polls`")?;
    let stage = bench.stage().await?;
    stage.stand_in.seed()?;
    let fetch = async |cursor: Option<String>| {
        let polled = stage.connection.poll(polls.stream, cursor).await?;
        polled.map_err(|failure| super::bench::said(&failure))
    };
    let first = fetch(None).await?;
    if first.documents.is_empty() {
        return Err("the first poll brings nothing, and the stand-in was seeded".into());
    }
    if fetch(None).await? != first {
        return Err("a second poll from the same cursor brings something else".into());
    }
    let next = fetch(Some(first.cursor.clone())).await?;
    if fetch(Some(first.cursor)).await? != next {
        return Err("polling on twice from the same cursor brings two things".into());
    }
    Ok(None)
}

/// A poll without a readable answer fails, so that the engine keeps the cursor.
pub async fn poll_in_doubt(bench: &Bench<'_>) -> Check {
    let polls = *bench.profile.polls.get().ok_or("the profile has no `polls`")?;
    let stage = bench.stage().await?;
    stage.stand_in.seed()?;
    for trouble in troubles::answers_lost()
        .into_iter()
        .chain(troubles::answers_garbled())
        .chain([Trouble::Throttled, Trouble::Oversize])
    {
        let name = trouble.name();
        let polled =
            stage.under(polls.operation, trouble, || stage.connection.poll(polls.stream, None)).await?;
        match polled {
            Ok(polled) => {
                return Err(format!(
                    "{}: {name}: the poll succeeds with {} documents, expected a failure",
                    polls.operation,
                    polled.documents.len()
                ));
            }
            Err(failure) if failure.class == Class::Unknown => {
                return Err(format!("{}: {name}: a mere question is unknown", polls.operation));
            }
            Err(_) => {}
        }
    }
    Ok(None)
}
