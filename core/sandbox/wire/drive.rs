//! Takes requests from the listener to the right stand-in and plays the faults that live on the wire.

use std::{convert::Infallible, io::Write, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::stream;
use tokio::sync::oneshot;

use super::{
    conn::ConnHandle,
    message::{HTML, Incoming, Job, Reply, Step},
};
use crate::{
    crm,
    faults::{Fault, System},
    jdy, kingdee, nuonuo,
    robots::{dingtalk, wecom},
    signing::{esign, fadada},
    u8,
    world::World,
};

/// Longest wait for a callback that has to be sent before the answer.
const HOLD: Duration = Duration::from_secs(5);

/// Pieces of a dripping body.
const DROPS: u8 = 16;

/// Mebibytes of blanks before an oversize answer.
const BLANKS: u8 = 33;

/// What a broken middlebox sends: no JSON, no UTF-8, no end of line.
const GARBAGE: &[u8] = b"\x00\xff\xfe{\"\x80\x1b[2J\xc3\x28<?\xf0\x28\x8c\xbc]]>\x00\x01\x02";

/// Where a scripted redirect leads: clients that follow it get HTML with status 200.
const LOGIN_PAGE: &str = "/login.html";

/// Entry of every protocol request.
pub(crate) async fn serve(
    State(world): State<Arc<World>>,
    ConnectInfo(conn): ConnectInfo<ConnHandle>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, world.config.max_body).await else {
        return respond(html(413, None), &conn, None, false);
    };
    let accepts_gzip = parts
        .headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    let incoming = Incoming {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or("").to_owned(),
        headers: parts.headers,
        body,
    };
    let job = match route(&world, incoming) {
        Step::Done(reply) => return respond(reply, &conn, None, false),
        Step::Work(job) => job,
    };
    world.count(job.system, &job.operation);
    let fault = world.faults.decide(job.system, &job.operation, &job.keys);
    let mut reply = match fault.clone() {
        Some(Fault::Slow { ms, after_commit }) => slow(&world, job, ms, after_commit).await,
        other => play(&world, job, other.as_ref()),
    };
    if let Some(hold) = reply.hold.take() {
        let _ = tokio::time::timeout(HOLD, hold).await;
    }
    let mut response = respond(reply, &conn, fault.as_ref(), accepts_gzip);
    if let Some(Fault::Drip { ms }) = fault {
        let pause = Duration::from_millis(ms).min(world.config.max_delay / u32::from(DROPS));
        let (head, body) = response.into_parts();
        response = Response::from_parts(head, drip(body, pause).await);
    } else if fault == Some(Fault::Oversize) {
        let (head, body) = response.into_parts();
        response = Response::from_parts(head, swell(body).await);
    }
    response
}

/// The same bytes behind blanks that no memory holds at once.
async fn swell(body: Body) -> Body {
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let blank = Bytes::from(vec![b' '; 1 << 20]);
    let all = (0..BLANKS).map(move |_| blank.clone()).chain([bytes]);
    Body::from_stream(stream::iter(all.map(Ok::<Bytes, Infallible>)))
}

/// The same bytes, a few at a time. The length is not told beforehand.
async fn drip(body: Body, pause: Duration) -> Body {
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let size = bytes.len().div_ceil(usize::from(DROPS)).max(1);
    let drops = stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let drop = rest.split_to(size.min(rest.len()));
        Some((Ok::<Bytes, Infallible>(drop), rest))
    });
    Body::from_stream(drops)
}

fn route(world: &World, incoming: Incoming) -> Step {
    let path = incoming.path.as_str();
    let first = path.trim_start_matches('/').split('/').next().unwrap_or("");
    if first.eq_ignore_ascii_case("k3cloud") {
        kingdee::accept(world, incoming)
    } else if first == "crm" {
        crm::accept(world, incoming)
    } else if first == "jdy" {
        jdy::accept(world, incoming)
    } else if crate::u8::serves(path) {
        crate::u8::accept(world, incoming)
    } else if crate::u8::serves_open(path) {
        crate::u8::accept_open(world, incoming)
    } else if esign::serves(path) {
        esign::accept(world, incoming)
    } else if fadada::serves(path) {
        fadada::accept(world, incoming)
    } else if path == wecom::PATH {
        wecom::accept(world, incoming)
    } else if path == dingtalk::PATH {
        dingtalk::accept(world, incoming)
    } else if nuonuo::serves(world, path) {
        nuonuo::accept(world, incoming)
    } else if path == LOGIN_PAGE {
        Step::Done(Reply::text(200, HTML, "<html><head><title>登录</title></head><body></body></html>"))
    } else {
        Step::Done(html(404, None))
    }
}

/// Runs the work, or answers in its place when the fault strikes before the commit.
fn play(world: &World, job: Job, fault: Option<&Fault>) -> Reply {
    match fault {
        Some(Fault::LostBeforeCommit) => html(500, None),
        Some(Fault::Http { status, retry_after, after_commit: false }) => html(*status, *retry_after),
        Some(Fault::EmptyForbidden) => Reply::text(403, HTML, ""),
        Some(Fault::RedirectHtml) => {
            Reply::text(302, HTML, "<html><head><title>文档已移动</title></head><body></body></html>")
                .with("location", LOGIN_PAGE)
        }
        Some(Fault::ResponseErrorPrefix) => Reply::text(200, super::message::JSON, response_error()),
        Some(Fault::Http { status, retry_after, after_commit: true }) => {
            let _ = (job.run)(world, None);
            html(*status, *retry_after)
        }
        Some(Fault::Answer { status, body, after_commit, .. }) => {
            if *after_commit {
                let _ = (job.run)(world, None);
            }
            Reply::text(*status, super::message::JSON, body.clone())
        }
        Some(Fault::CentOff) => {
            let (system, key) = (job.system, job.keys.first().cloned().unwrap_or_default());
            let reply = (job.run)(world, None);
            match system {
                System::Kingdee => kingdee::cent_off(world, &key),
                System::Nuonuo => nuonuo::cent_off(world, &key),
                System::U8 | System::U8OpenApi => u8::cent_off(world, &key),
                // Records, signatures and messages, not amounts.
                System::Crm
                | System::Jdy
                | System::Esign
                | System::Fadada
                | System::Wecom
                | System::Dingtalk
                | System::Mail => {}
            }
            reply
        }
        other => (job.run)(world, other),
    }
}

/// The work goes on when the caller has gone, as it does on a real server: it runs in its own task. The delay is
/// bounded by the setting and ends early at shutdown.
async fn slow(world: &Arc<World>, job: Job, ms: u64, after_commit: bool) -> Reply {
    let delay = Duration::from_millis(ms).min(world.config.max_delay);
    let (send, receive) = oneshot::channel();
    let world = Arc::clone(world);
    tokio::spawn(async move {
        let mut stop = world.stop.clone();
        let wait = async {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = stop.wait_for(|stopped| *stopped) => {}
            }
        };
        let reply = if after_commit {
            let reply = (job.run)(&world, None);
            wait.await;
            reply
        } else {
            wait.await;
            (job.run)(&world, None)
        };
        let _ = send.send(reply);
    });
    receive.await.unwrap_or_else(|_| html(503, None))
}

/// A proxy's or web server's error page.
pub(crate) fn html(status: u16, retry_after: Option<u32>) -> Reply {
    let title = StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("Error");
    let page =
        format!("<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>");
    let reply = Reply::text(status, HTML, page);
    match retry_after {
        Some(seconds) => reply.with("retry-after", seconds.to_string()),
        None => reply,
    }
}

/// The second error style of the vendor's SDKs: a prefix and an exception as JSON.
pub(crate) fn response_error() -> String {
    concat!(
        "response_error:",
        r#"{"Message":"服务调用异常","InnerExWrapper":{"Message":"未将对象引用设置到对象的实例。","#,
        r#""InnerExWrapper":null},"InnerException":null}"#
    )
    .to_owned()
}

fn respond(mut reply: Reply, conn: &ConnHandle, fault: Option<&Fault>, accepts_gzip: bool) -> Response {
    match fault {
        Some(Fault::LostAnswerAfterCommit | Fault::LostBeforeCommit) => conn.cut(),
        Some(Fault::ResetMidBody) => conn.cut_after((reply.body.len() / 2).max(1)),
        Some(Fault::TruncatedJson) => {
            let half = reply.body.len() / 2;
            reply.body = reply.body.slice(..half);
        }
        Some(Fault::Garbage) => reply.body = Bytes::from_static(GARBAGE),
        Some(Fault::BadCharset) => reply.content_type = "application/json; charset=gb2312",
        Some(Fault::Bom) => {
            let mut bytes = vec![0xEF, 0xBB, 0xBF];
            bytes.extend_from_slice(&reply.body);
            reply.body = Bytes::from(bytes);
        }
        Some(Fault::Gzip) if accepts_gzip => {
            if let Some(packed) = gzip(&reply.body) {
                reply.body = packed;
                reply.headers.push(("content-encoding", "gzip".to_owned()));
            }
        }
        _ => {}
    }
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some(Fault::Answer { content_type, .. }) = fault
        && let Ok(value) = HeaderValue::from_str(content_type)
    {
        headers.insert(header::CONTENT_TYPE, value);
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.append(name, value);
        }
    }
    response
}

fn gzip(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
