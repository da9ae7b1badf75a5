//! `/s/{token}`: where customers look at their statement and answer it, without a login and without the API's token.

use crate::service::Service;
use crate::statements::answers::{self, Answered, Opened, Said};
use crate::statements::{Failed, page};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::Arc;
use tongbao_model::Text;

/// Bytes of an answer: a remark of the longest, percent-encoded.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// Shows the statement. Changes nothing.
pub async fn look(State(service): State<Arc<Service>>, Path(token): Path<String>) -> Response {
    match opened(&service, &token).await {
        Ok(Opened::Statement(open)) => html(StatusCode::OK, page::statement(&open, None)),
        Ok(other) => refused(&other),
        Err(response) => response,
    }
}

/// Takes an answer, then has the browser look again: loading the page anew sends nothing twice.
pub async fn answer(State(service): State<Arc<Service>>, Path(token): Path<String>, body: Bytes) -> Response {
    let open = match opened(&service, &token).await {
        Ok(Opened::Statement(open)) => open,
        Ok(other) => return refused(&other),
        Err(response) => return response,
    };
    let fields: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let said = match Said::read(&fields) {
        Ok(said) => said,
        Err(why) => {
            return html(StatusCode::UNPROCESSABLE_ENTITY, page::statement(&open, Some(&why)));
        }
    };
    match answers::answered(service.store.as_ref(), &open.link, &said, service.now_ms()).await {
        Ok(Answered::Taken) => again(&token),
        Ok(Answered::Superseded) => refused(&Opened::Superseded),
        Ok(Answered::TooMany) => {
            let why = Text::new("答复次数过多，请直接联系我们", "there are too many answers: please call us");
            html(StatusCode::TOO_MANY_REQUESTS, page::message(&why))
        }
        Err(why) => failed(&why),
    }
}

async fn opened(service: &Service, token: &str) -> Result<Opened, Response> {
    let Some(office) = &service.statements else { return Ok(Opened::Forged) };
    let (rules, now_ms) = (&office.desk.rules, service.now_ms());
    if let Ok(link) = crate::statements::link::read(token, &rules.keys, now_ms)
        && !office.gate.takes(&link, now_ms)
    {
        let why = Text::new("请求过于频繁，请一分钟后再试", "too many requests: try again in a minute");
        let mut response = html(StatusCode::TOO_MANY_REQUESTS, page::message(&why));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        return Err(response);
    }
    answers::opened(rules, service.store.as_ref(), token, now_ms).await.map_err(|why| failed(&why))
}

fn refused(opened: &Opened) -> Response {
    let (status, why) = match opened {
        Opened::Forged | Opened::Statement(_) => (
            StatusCode::NOT_FOUND,
            Text::new(
                "链接无效。请核对邮件中的完整链接，或请对方重新发送。",
                "This link is not valid. Check that it is whole, or ask for it to be sent again.",
            ),
        ),
        Opened::Expired => (
            StatusCode::GONE,
            Text::new(
                "链接已过期。请对方重新发送对账单。",
                "This link has expired. Ask for the statement to be sent again.",
            ),
        ),
        Opened::Superseded => (
            StatusCode::GONE,
            Text::new(
                "这份对账单已被新的一份取代，请打开最新邮件中的链接。",
                "A newer statement has taken the place of this one: open the link in the latest mail.",
            ),
        ),
        Opened::Gone => (
            StatusCode::GONE,
            Text::new(
                "这份对账单已不能在线查看，请与我们联系。",
                "This statement cannot be seen here any more: please contact us.",
            ),
        ),
    };
    html(status, page::message(&why))
}

fn failed(why: &Failed) -> Response {
    if let Failed::Store(error) = why {
        tracing::warn!(%error, "a statement could not be shown: the store failed");
    }
    let why = Text::new("暂时无法显示，请稍后再试", "it cannot be shown now: try again later");
    html(StatusCode::SERVICE_UNAVAILABLE, page::message(&why))
}

/// To the page itself, by its last part: whatever path a proxy puts before it.
fn again(token: &str) -> Response {
    let mut response = html(StatusCode::SEE_OTHER, String::new());
    if let Ok(place) = HeaderValue::from_str(token) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn html(status: StatusCode, body: String) -> Response {
    let policy =
        HeaderValue::from_str(&page::POLICY).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    response
}
