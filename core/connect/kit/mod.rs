//! One suite of behaviours for every connector, run against its stand-in.
//!
//! An author supplies a [`Profile`]: data beside his connector. Whoever has stand-ins supplies [`StandIns`]. The kit knows
//! neither connectors nor stand-ins, only these two. No behaviour passes by accident: trouble that no request met is a
//! failure, and what a connector cannot do is declared with a reason and shown as such.

mod bench;
mod capture;
mod files;
mod masters;
mod port;
mod profile;
mod report;
mod sessions;
mod sources;
mod targets;
mod troubles;

pub use port::{Listed, StandIn, StandIns, Standing, Trouble};
pub use profile::{
    Example, FileSample, FileSamples, Login, MasterLists, Part, Place, Polls, Profile, Pushes, Refusals,
    Sample, StockOn, TO_FILL_IN, Writes, example,
};
pub use report::{Entry, Report, Verdict};

use crate::Connector;
use bench::{Bench, Check};
use std::future::Future;
use std::pin::Pin;
use tongbao_model::Text;
use tracing::instrument::WithSubscriber as _;

/// Which part of a connector a behaviour is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// Signed requests that come in.
    Pushes,
    /// Streams that are polled.
    Polls,
    /// Files that are read.
    Files,
    /// Master data that is read.
    Masters,
    /// Stock that is asked for.
    Stock,
    /// Documents that go out.
    Writes,
    /// Logins and tokens.
    Session,
    /// Refusals and response rules.
    Refusals,
    /// The connector as a whole.
    Whole,
}

impl Concern {
    /// Chinese and English.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Concern::Pushes => ("推入", "pushes"),
            Concern::Polls => ("轮询", "polls"),
            Concern::Files => ("文件", "files"),
            Concern::Masters => ("基础资料", "master data"),
            Concern::Stock => ("库存", "stock"),
            Concern::Writes => ("写入", "writes"),
            Concern::Session => ("会话", "session"),
            Concern::Refusals => ("拒绝", "refusals"),
            Concern::Whole => ("整体", "whole"),
        }
    }
}

type Run = for<'a> fn(&'a Bench<'_>) -> Pin<Box<dyn Future<Output = Check> + Send + 'a>>;

/// One behaviour.
pub struct Behaviour {
    /// Stable name.
    pub id: &'static str,
    /// What passing it shows: Chinese, English.
    pub proves: (&'static str, &'static str),
    /// What it is about.
    pub concern: Concern,
    /// Whether a connector may declare that its system cannot have it.
    pub may_lack: bool,
    run: Run,
}

macro_rules! behaviours {
    ($($id:literal $concern:ident $may_lack:literal $run:path: $zh:literal, $en:literal;)+) => {
        /// All behaviours, in the order in which they run.
        pub static BEHAVIOURS: &[Behaviour] = &[$(Behaviour {
            id: $id,
            proves: ($zh, $en),
            concern: Concern::$concern,
            may_lack: $may_lack,
            run: |bench| Box::pin($run(bench)),
        }),+];
    };
}

behaviours! {
    "profile-sound" Whole false sound:
        "资料与连接器相符", "the profile and the connector fit";
    "sample-accepted" Pushes false sources::accepted:
        "签名样本通过并解码", "signed samples are verified and decoded";
    "signature-missing" Pushes false sources::signature_missing:
        "缺少签名任一部分即拒绝", "a request without any part of the signature is refused";
    "signature-parts" Pushes false sources::signature_parts:
        "签名与时间改动即拒绝", "another signature or signed time is refused";
    "signature-body" Pushes false sources::signature_body:
        "正文任一处改动即拒绝", "a change in any region of the body is refused";
    "signature-bytes" Pushes true sources::signature_bytes:
        "签名按原始字节而非含义校验", "the signature is over the bytes, not over their meaning";
    "stale-refused" Pushes true sources::stale:
        "过期的签名时间被拒绝", "a stale signed time is refused";
    "decode-stable" Pushes false sources::decode_stable:
        "同样的字节得到同样的单据", "the same bytes give the same documents";
    "decode-never-silent" Pushes false sources::decode_never_silent:
        "残缺的事件不会无声消失", "a damaged event never vanishes in silence";
    "decode-robust" Pushes false sources::decode_robust:
        "任意字节不致崩溃", "bytes at random never panic";
    "poll-stable" Polls false sources::poll_stable:
        "同一游标得到同样的单据", "polling again from a cursor brings the same";
    "poll-in-doubt" Polls false sources::poll_in_doubt:
        "读不到完整答复的轮询即失败", "a poll without a readable answer fails";
    "file-read" Files false files::accepted:
        "文件样本读出声明的单据", "sample files give the documents declared";
    "file-stable" Files false files::stable:
        "同样的文件得到同样的单据", "the same file gives the same documents";
    "file-cut" Files false files::cut:
        "残缺的文件不会读出别的内容", "a file that is cut off never gives other facts";
    "file-checked" Files false files::checked:
        "与文件自身的合计或余额不符即拒绝", "figures that contradict the file's own are refused";
    "file-robust" Files false files::robust:
        "任意字节不致崩溃", "bytes at random never panic";
    "masters-whole" Masters false masters::whole:
        "基础资料逐页读全，不重不漏", "lists are read whole, page by page, each row once";
    "masters-moved" Masters false masters::moved:
        "读取期间的变动不造成遗漏", "what changes between two pages leaves no hole";
    "masters-in-doubt" Masters false masters::in_doubt:
        "读不到完整答复即失败，不当作空", "without a readable answer a list fails and is never empty";
    "stock-exact" Stock false masters::stock_exact:
        "库存数量精确，按所问物料与仓库", "stock is exact, of the material and warehouse asked for";
    "stock-in-doubt" Stock false masters::stock_in_doubt:
        "读不到完整答复的库存查询即失败", "without a readable answer a question about stock fails";
    "apply-stands" Writes false targets::stands:
        "写入后可查到，总额相符", "what is written stands, is found, and has its total";
    "apply-once" Writes false targets::once:
        "同一业务键只写入一次", "the same key applied twice stands once";
    "lost-before-commit" Writes false targets::lost_before:
        "提交前断线：结果未知，补写一次", "answer lost before the commit: unknown, then written once";
    "lost-after-commit" Writes false targets::lost_after:
        "提交后断线：结果未知，查到即止", "answer lost after the commit: unknown, then found";
    "cut-answer" Writes false targets::cut:
        "答复中途断开：结果未知", "cut in mid-answer: unknown, then found";
    "half-answer" Writes false targets::half:
        "半截答复：结果未知", "half an answer: unknown, then found";
    "garbage-answer" Writes false targets::garbage:
        "网页、空白、无关 JSON、乱码：结果未知", "HTML, nothing, other JSON, no text: unknown, then found";
    "oversize-answer" Writes false targets::oversize:
        "超大答复：不读完，结果未知", "an oversize answer is left: unknown, then found";
    "wrong-charset" Writes false targets::charset:
        "字符集标错：读对或未知", "a wrong charset: read all the same, or unknown";
    "slow-drip" Writes false targets::drip:
        "缓慢滴流的答复受超时约束", "a dripping answer is bounded by the timeout";
    "throttled-own-way" Writes false targets::throttled:
        "对方自有的限流方式被识别", "the system's own throttling is understood";
    "throttled-retry-after" Writes true targets::retry_after:
        "Retry-After 如实转告", "Retry-After is taken at its word";
    "proxy-5xx" Writes false targets::proxy:
        "代理的 5xx：结果未知", "a proxy's 5xx: unknown, then found";
    "one-call-per-apply" Writes false targets::one_call:
        "连接器自己不重试", "a connector does not retry by itself";
    "question-in-doubt" Writes false targets::question:
        "问不出结果既不是有也不是无", "a question without an answer is neither yes nor no";
    "unreachable" Writes false targets::unreachable:
        "连不上即未发送", "what cannot be reached did nothing";
    "amounts-read-back" Writes true targets::amounts:
        "对方总额差一分即被发现", "a total that is a cent off over there is noticed";
    "session-renewed-once" Session false sessions::renewed_once:
        "会话失效时只登录一次", "many callers renew a lost session once";
    "login-not-hammered" Session false sessions::not_hammered:
        "被拒的登录不反复尝试", "a refused login is not hammered";
    "login-lost" Session false sessions::login_lost:
        "登录失败不使单据存疑", "a login without an answer leaves no document in doubt";
    "rules-reached" Refusals false sessions::rules_reached:
        "每条答复规则都用得到", "every response rule decides something, none is hidden";
    "refusals-told-apart" Refusals false sessions::refusals_told:
        "各种拒绝归入声明的类别", "each refusal comes to its declared class and code";
    "secrets-hidden" Whole false sessions::secrets:
        "密钥不出现在结果与日志中", "no secret shows in outcomes or the log";
}

/// Runs all behaviours on a connector, one after the other.
pub async fn certify(connector: &Connector, profile: &Profile, stand_ins: &dyn StandIns) -> Report {
    certify_shown(connector, profile, stand_ins, &|_| ()).await
}

/// The same, and says before each behaviour which one it is.
pub async fn certify_shown(
    connector: &Connector,
    profile: &Profile,
    stand_ins: &dyn StandIns,
    begin: &(dyn Fn(&Behaviour) + Send + Sync),
) -> Report {
    let log = capture::Log::default();
    let bench = Bench::new(connector, profile, stand_ins);
    let mut entries = Vec::with_capacity(BEHAVIOURS.len());
    for behaviour in BEHAVIOURS {
        begin(behaviour);
        let verdict = match lacks(behaviour, profile) {
            Some(reason) => Verdict::NotApplicable(reason),
            None => match (behaviour.run)(&bench).with_subscriber(log.clone()).await {
                Ok(note) => Verdict::Pass(note),
                Err(why) => Verdict::Fail(why),
            },
        };
        entries.push(Entry { behaviour, verdict });
    }
    // The log is complete only now.
    let leak = profile.secrets.iter().find(|(_, secret)| log.text().contains(secret));
    if let (Some((name, _)), Some(last)) = (leak, entries.last_mut()) {
        last.verdict = Verdict::Fail(format!("the log shows the secret {name}"));
    } else if let (false, Some(last)) = (log.is_whole(), entries.last_mut()) {
        last.verdict = Verdict::Fail("the log is too long to be searched".into());
    }
    Report { connector: connector.name, entries }
}

/// Why a behaviour does not apply.
fn lacks(behaviour: &Behaviour, profile: &Profile) -> Option<Text> {
    fn reason<T>(part: &Part<T>) -> Option<Text> {
        match part {
            Part::Has(_) => None,
            Part::Lacks(zh, en) => Some(Text::new(*zh, *en)),
        }
    }
    let part = match behaviour.concern {
        Concern::Pushes => reason(&profile.pushes),
        Concern::Polls => reason(&profile.polls),
        Concern::Files => reason(&profile.files),
        Concern::Masters => reason(&profile.masters),
        Concern::Stock => match &profile.masters {
            Part::Has(lists) => reason(&lists.stock),
            Part::Lacks(..) => reason(&profile.masters),
        },
        Concern::Writes => reason(&profile.writes),
        Concern::Session => reason(&profile.session),
        Concern::Refusals => reason(&profile.refusals),
        Concern::Whole => None,
    };
    let declared = profile.cannot.iter().find(|(id, _, _)| behaviour.may_lack && *id == behaviour.id);
    part.or_else(|| declared.map(|(_, zh, en)| Text::new(*zh, *en)))
}

/// What the profile says fits what the connector is; nothing is declared away that may not be.
async fn sound(bench: &Bench<'_>) -> Check {
    let profile = bench.profile;
    let open = profile.open();
    if !open.is_empty() {
        return Err(format!("{TO_FILL_IN}: {}", open.join("; ")));
    }
    for (id, zh, en) in profile.cannot {
        let may = BEHAVIOURS.iter().any(|behaviour| behaviour.id == *id && behaviour.may_lack);
        if !may || zh.is_empty() || en.is_empty() {
            return Err(format!(
                "`cannot` names {id}, which no connector may do without, or gives no reason"
            ));
        }
    }
    // What only reads files has nobody to call, and no stand-in.
    let is_calling = profile.polls.get().is_some()
        || profile.writes.get().is_some()
        || profile.session.get().is_some()
        || profile.refusals.get().is_some()
        || profile.masters.get().is_some()
        || profile.files.get().is_none();
    let built = if is_calling {
        bench.stage().await?.connection.built
    } else {
        bench.connect("http://127.0.0.1:9", bench::Variant::default())?.built
    };
    let reads = built.source.as_ref().is_some_and(|source| source.files().is_some());
    if reads != profile.files.get().is_some() {
        return Err(
            "the connection reads files and the profile has no `files`, or the other way round".into()
        );
    }
    let offers = built.masters.as_ref().map(|masters| masters.offers());
    let declared = profile.masters.get().map(|masters| {
        let lists: Vec<_> = masters.lists.iter().map(|(kind, _)| *kind).collect();
        (lists, masters.stock.get().is_some())
    });
    if offers.map(|offers| (offers.lists.to_vec(), offers.stock)) != declared {
        return Err("what the connection offers of master data and what the profile declares differ".into());
    }
    if built.target.is_some() != profile.writes.get().is_some() {
        return Err("the connection writes and the profile has no `writes`, or the other way round".into());
    }
    if built.source.is_none() && (profile.pushes.get().is_some() || profile.polls.get().is_some()) {
        return Err("the profile has pushes or polls, and the connection is no source".into());
    }
    if let Some(writes) = profile.writes.get() {
        if writes.repeats.is_some() != built.target.as_ref().is_some_and(|target| target.repeats()) {
            return Err(
                "the profile and the connection differ in whether a document may be there twice".into()
            );
        }
        if writes.reads.is_empty() != writes.repeats.is_some() {
            return Err(
                "the profile names no operation that is asked, or one where nobody can be asked".into()
            );
        }
    }
    for part in profile.writes.get().into_iter().flat_map(|writes| writes.enough) {
        let known = troubles::answers_garbled().iter().any(|trouble| trouble.name() == part.0);
        if !known {
            return Err(format!("`enough` names {:?}, which is no such answer", part.0));
        }
    }
    let only_asks = profile.writes.get().is_some_and(Writes::only_asks);
    Ok(only_asks.then(|| "只查询，不改动对方 / only asks: nothing is changed over there".to_owned()))
}
