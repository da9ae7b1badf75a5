//! Behaviours of files that are read.

use super::bench::{Bench, Check, scatter};
use super::profile::{FileSample, FileSamples};
use crate::files::{Contents, Files};
use crate::source::Source;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tongbao_model::{Fault, Tree};

/// Files made at random for one sample.
const RANDOM: u64 = 1_000;
/// Places at which a sample is cut, at most.
const CUTS: usize = 400;

fn samples<'a>(bench: &'a Bench<'_>) -> Result<&'a FileSamples, String> {
    let files = bench.profile.files.get().ok_or("the profile has no `files`")?;
    if files.samples.is_empty() || files.samples.iter().any(|sample| sample.documents == 0) {
        return Err("the profile's `files` has no sample, or one that holds nothing".into());
    }
    Ok(files)
}

fn files(source: &dyn Source) -> Result<&dyn Files, String> {
    source.files().ok_or_else(|| "the connection reads no files".into())
}

/// Without panics, and without a word of what the sample holds that is nobody else's business.
fn read(
    bench: &Bench<'_>,
    source: &dyn Source,
    sample: &FileSample,
    bytes: &[u8],
) -> Result<Result<Contents, Fault>, String> {
    let files = files(source)?;
    let read = catch_unwind(AssertUnwindSafe(|| files.read(bytes)))
        .map_err(|_| format!("{}: reading panics", sample.name))?;
    let said = match &read {
        Ok(contents) => contents.about.to_string(),
        Err(fault) => format!("{fault:?}"),
    };
    bench.heard().search("reading a file", &said);
    for private in sample.private {
        if said.contains(private) {
            return Err(format!("{}: what is said of the file shows {private:?}", sample.name));
        }
    }
    Ok(read)
}

fn whole(bench: &Bench<'_>, source: &dyn Source, sample: &FileSample) -> Result<Contents, String> {
    read(bench, source, sample, sample.bytes)?
        .map_err(|fault| format!("{} is refused: {}", sample.name, fault.message.en))
}

pub async fn accepted(bench: &Bench<'_>) -> Check {
    let source = bench.source()?;
    for sample in samples(bench)?.samples {
        let contents = whole(bench, &*source, sample)?;
        let found = contents.documents.len();
        if found != sample.documents {
            return Err(format!(
                "{} holds {found} documents, declared are {}",
                sample.name, sample.documents
            ));
        }
        if contents.facts.is_empty() {
            return Err(format!("{}: nothing tells a repeat from a change", sample.name));
        }
    }
    Ok(None)
}

/// The same bytes give the same: again, after others, and by another connection.
pub async fn stable(bench: &Bench<'_>) -> Check {
    let (source, other) = (bench.source()?, bench.source()?);
    for sample in samples(bench)?.samples {
        let first = whole(bench, &*source, sample)?;
        for between in samples(bench)?.samples {
            whole(bench, &*source, between)?;
        }
        if whole(bench, &*source, sample)? != first || whole(bench, &*other, sample)? != first {
            return Err(format!("{} does not give the same a second time", sample.name));
        }
    }
    Ok(None)
}

/// The facts of each document, with how often.
fn facts(contents: &Contents) -> Result<BTreeMap<String, usize>, String> {
    let mut found = BTreeMap::new();
    for incoming in &contents.documents {
        let tree = incoming.document.tree().map_err(|error| format!("a document is no JSON: {error}"))?;
        let members = contents.facts.iter().map(|name| match tree.get(name) {
            Some(Tree::Text(text) | Tree::Number(text)) => text.to_string(),
            _ => String::new(),
        });
        *found.entry(members.collect::<Vec<_>>().join("\n")).or_default() += 1;
    }
    Ok(found)
}

/// A file that is cut off is refused, or gives some of the facts of the whole one and no others.
pub async fn cut(bench: &Bench<'_>) -> Check {
    let source = bench.source()?;
    for sample in samples(bench)?.samples {
        let all = facts(&whole(bench, &*source, sample)?)?;
        let step = (sample.bytes.len() / CUTS).max(1);
        for length in (0..sample.bytes.len()).step_by(step) {
            let bytes = sample.bytes.get(..length).unwrap_or_default();
            let Ok(contents) = read(bench, &*source, sample, bytes)? else { continue };
            for (fact, count) in facts(&contents)? {
                if all.get(&fact).is_none_or(|known| *known < count) {
                    return Err(format!(
                        "{}: cut after {length} bytes it gives {fact:?}, which the whole file does not",
                        sample.name
                    ));
                }
            }
        }
    }
    Ok(None)
}

/// Another figure where the file checks itself is noticed.
pub async fn checked(bench: &Bench<'_>) -> Check {
    let source = bench.source()?;
    for sample in samples(bench)?.samples {
        whole(bench, &*source, sample)?;
        if sample.wrong.is_empty() {
            return Err(format!("{} names no figure that the file is held to", sample.name));
        }
        for (from, to) in sample.wrong {
            let at = sample.bytes.windows(from.len()).position(|window| window == from.as_bytes());
            let (Some(at), true) = (at, from.len() == to.len()) else {
                return Err(format!(
                    "{} does not hold {from:?}, or {to:?} is of another length",
                    sample.name
                ));
            };
            let mut bytes = sample.bytes.to_vec();
            for (place, byte) in bytes.iter_mut().skip(at).zip(to.bytes()) {
                *place = byte;
            }
            if read(bench, &*source, sample, &bytes)?.is_ok() {
                return Err(format!("{}: {to:?} instead of {from:?} is not noticed", sample.name));
            }
        }
    }
    Ok(None)
}

/// Bytes at random, and samples with bytes changed, taken out and put in.
pub async fn robust(bench: &Bench<'_>) -> Check {
    let source = bench.source()?;
    let mut seed = 0_u64;
    let mut draw = |below: usize| -> usize {
        seed = seed.wrapping_add(1);
        let below = u64::try_from(below.max(1)).unwrap_or(1);
        usize::try_from(scatter(seed) % below).unwrap_or_default()
    };
    for sample in samples(bench)?.samples {
        for round in 0..RANDOM {
            let mut bytes = if round % 4 == 0 { Vec::new() } else { sample.bytes.to_vec() };
            for _ in 0..=draw(8) {
                let at = draw(bytes.len().saturating_add(1));
                let byte = u8::try_from(draw(256)).unwrap_or_default();
                match (draw(3), bytes.get_mut(at)) {
                    (0, Some(place)) => *place = byte,
                    (1, Some(_)) => drop(bytes.remove(at)),
                    _ => bytes.insert(at.min(bytes.len()), byte),
                }
            }
            // Changed texts may show by accident what is private in another sample; what counts is that nothing panics.
            let bare = FileSample { private: &[], ..*sample };
            let _ = read(bench, &*source, &bare, &bytes)?;
        }
    }
    Ok(None)
}
