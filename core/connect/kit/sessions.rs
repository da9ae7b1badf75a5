//! Behaviours of logins, refusals and secrets.

use super::bench::{Bench, Check, Variant, said, shown};
use super::port::Trouble;
use super::profile::{Example, Login, Refusals};
use super::troubles;
use crate::rules::{Said, first, shadowed};
use crate::{Lookup, Outcome};
use tokio::task::JoinSet;
use tongbao_model::Class;

/// Callers at the same time.
const CALLERS: usize = 16;

fn login<'a>(bench: &'a Bench<'_>) -> Result<&'a Login, String> {
    bench.profile.session.get().ok_or_else(|| "the profile has no `session`".into())
}

fn usual(login: &Login) -> Variant {
    Variant { settings: login.settings, ..Variant::default() }
}

/// Looks up by many callers at once; the answers.
async fn together(bench: &Bench<'_>, connection: &super::bench::Connection) -> Result<Vec<Lookup>, String> {
    let task = bench.task()?;
    let mut calls = JoinSet::new();
    for _ in 0..CALLERS {
        let (connection, task) = (connection.clone(), task.clone());
        calls.spawn(tracing::instrument::WithSubscriber::with_current_subscriber(async move {
            connection.lookup(&task).await
        }));
    }
    let mut answers = Vec::new();
    while let Some(answer) = calls.join_next().await {
        answers.push(answer.map_err(|_| "a caller panics".to_owned())??);
    }
    Ok(answers)
}

pub async fn renewed_once(bench: &Bench<'_>) -> Check {
    let login = login(bench)?;
    let stage = bench.stage_with(usual(login)).await?;
    let logins = || stage.stand_in.calls(login.operation);
    let mut before = 0;
    for (when, lost) in [("at the first call", false), ("after the session was lost", true), ("again", true)]
    {
        if lost {
            stage.stand_in.expire_sessions();
        }
        for answer in together(bench, &stage.connection).await? {
            let there = bench.writes()?.only_asks() && matches!(answer, Lookup::Found(_));
            if !there && answer != Lookup::Absent {
                return Err(format!("{when}: a look-up says {answer:?}, expected absent"));
            }
        }
        let made = logins().saturating_sub(before);
        if made != 1 {
            return Err(format!("{when}: {CALLERS} callers make {made} logins, expected 1"));
        }
        before = logins();
    }
    Ok(None)
}

pub async fn not_hammered(bench: &Bench<'_>) -> Check {
    let login = login(bench)?;
    if login.wrong.is_empty() {
        return Err("the profile names no wrong credentials".into());
    }
    let stage = bench.stage_with(Variant { secrets: login.wrong, ..usual(login) }).await?;
    for round in 0..3 {
        for answer in together(bench, &stage.connection).await? {
            match answer {
                Lookup::CannotTell(failure)
                    if matches!(failure.class, Class::Unauthorized | Class::Misconfigured) => {}
                other => return Err(format!("wrong credentials: {other:?}, expected unauthorized")),
            }
        }
        let task = bench.task()?;
        match stage.connection.apply(&task).await? {
            Outcome::Failed(failure)
                if matches!(failure.class, Class::Unauthorized | Class::Misconfigured) => {}
            other => return Err(format!("wrong credentials: {}, expected unauthorized", shown(&other))),
        }
        let logins = stage.stand_in.calls(login.operation);
        if logins != 1 {
            let calls = CALLERS.saturating_add(1).saturating_mul(round + 1);
            return Err(format!("{calls} calls with wrong credentials make {logins} logins, expected 1"));
        }
    }
    Ok(None)
}

/// A login that nobody answers leaves no document in doubt.
pub async fn login_lost(bench: &Bench<'_>) -> Check {
    let login = login(bench)?;
    for trouble in troubles::answers_lost().into_iter().chain(troubles::answers_garbled()) {
        let stage = bench.stage_with(usual(login)).await?;
        let (task, name) = (bench.task()?, trouble.name());
        let outcome = stage.under(login.operation, trouble, || stage.connection.apply(&task)).await?;
        match outcome {
            Outcome::Failed(failure) if failure.class != Class::Unknown => {}
            other => {
                return Err(format!(
                    "{}: {name}: {}, and the document was not sent yet",
                    login.operation,
                    shown(&other)
                ));
            }
        }
        if stage.stand_in.documents().iter().any(|standing| standing.key == task.key) {
            return Err(format!("{}: {name}: the document was sent without a login", login.operation));
        }
    }
    Ok(None)
}

fn refusals<'a>(bench: &'a Bench<'_>) -> Result<&'a Refusals, String> {
    let refusals = bench.profile.refusals.get().ok_or("the profile has no `refusals`")?;
    if refusals.examples.is_empty() {
        return Err("the profile's `refusals` have no example".into());
    }
    Ok(refusals)
}

/// Every response rule decides at least one example, and none is hidden behind an earlier one.
pub async fn rules_reached(bench: &Bench<'_>) -> Check {
    let refusals = refusals(bench)?;
    if let Some((earlier, later)) = shadowed(refusals.rules).first() {
        return Err(format!("the rule {later} can never win: {earlier} takes all it would"));
    }
    let decides = |example: &Example| {
        first(refusals.rules, Said { status: example.status, code: example.code, text: example.text })
    };
    for rule in refusals.rules {
        let examples = refusals.examples;
        let Some(hit) =
            examples.iter().find(|example| decides(example).is_some_and(|by| by.name == rule.name))
        else {
            return Err(format!("no example is decided by the rule {}", rule.name));
        };
        if hit.fault != rule.fault && hit.class == rule.class.name() {
            return Err(format!("the rule {} and its example name two fault codes", rule.name));
        }
    }
    Ok((refusals.rules.is_empty()).then(|| "只看 HTTP 状态 / goes by the HTTP status alone".to_owned()))
}

/// Each refusal of the examples comes to the class and fault code that its author declares, through the whole connector.
pub async fn refusals_told(bench: &Bench<'_>) -> Check {
    let refusals = refusals(bench)?;
    let stage = bench.stage().await?;
    for example in refusals.examples {
        let (trouble, task) = (refusals.trouble(example), bench.task()?);
        let what = trouble.name();
        let fresh = bench.connect(&stage.stand_in.url(), Variant::default())?;
        match stage.under(refusals.operation, trouble, || fresh.apply(&task)).await? {
            Outcome::Failed(failure)
                if failure.class.name() == example.class && failure.fault.code == example.fault => {}
            other => {
                return Err(format!(
                    "{}: {what}: {}, declared is {} ({})",
                    refusals.operation,
                    shown(&other),
                    example.class,
                    example.fault.as_str()
                ));
            }
        }
    }
    Ok(None)
}

/// Runs last: everything that was said in the other behaviours was searched, and what is most likely to talk is made to.
pub async fn secrets(bench: &Bench<'_>) -> Check {
    if bench.profile.secrets.iter().any(|(_, secret)| secret.len() < 8) {
        return Err("a secret of the profile is too short to be searched for".into());
    }
    if let Some(writes) = bench.profile.writes.get() {
        let echo = bench.profile.secrets.iter().fold(String::new(), |text, (_, secret)| {
            format!("{text},\"access_token\":\"{secret}\",\"password\":\"{secret}\"")
        });
        let stage = bench.stage().await?;
        for operation in writes.writes.iter().chain(writes.reads) {
            for status in [200, 400, 401, 500] {
                let trouble = Trouble::Answer {
                    name: format!("HTTP {status} that repeats our secrets under their names"),
                    status,
                    content_type: "application/json".into(),
                    body: format!("{{\"code\":\"x\"{echo}}}"),
                    committed: false,
                };
                let task = bench.task()?;
                stage
                    .under(operation, trouble, || async {
                        let asked = stage.connection.lookup(&task).await?;
                        drop(asked);
                        stage.connection.apply(&task).await
                    })
                    .await?;
            }
        }
    }
    if let Some(login) = bench.profile.session.get() {
        let stage = bench.stage_with(Variant { secrets: login.wrong, ..usual(login) }).await?;
        if let Err(failure) = stage.connection.probe().await? {
            bench.heard().search("the probe", &said(&failure));
        }
    }
    if bench.heard().texts() < 20 {
        return Err(format!(
            "only {} outcomes were looked at: too few to say anything",
            bench.heard().texts()
        ));
    }
    match bench.heard().leaks().first() {
        Some(leak) => Err(leak.clone()),
        None => Ok(None),
    }
}
