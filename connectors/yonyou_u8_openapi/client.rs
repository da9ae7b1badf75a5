//! One call: account, key and token in the query, JSON both ways. Addresses hold secrets: none is ever shown.

use super::OpenApiSettings;
use super::reply::{self, Codes, Refusal, Stage};
use super::wire::text;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::Semaphore;
use tongbao_connect::session::{Lease, Session};
use tongbao_connect::{Context, Failure, Reply, Sent};
use tongbao_model::{Class, Code, Fault};
use url::Url;

/// Life of a token that the platform does not state, in seconds: what it states otherwise.
const LIFE_S: i64 = 7_200;

/// Stands for the token in an address that is kept.
const TOKEN: &str = "{token}";

/// Longest kept address of a result, in bytes: it goes where the far side's id goes.
const PLACE_MAX: usize = 190;

/// A connection's client, shared by its workers.
pub struct OpenClient {
    pub settings: OpenApiSettings,
    pub context: Context,
    token: Session<SecretString>,
    writes: Semaphore,
}

/// A call of `/api/<path>`.
struct Call<'a> {
    path: &'a str,
    query: &'a [(&'a str, String)],
    body: Option<Value>,
}

impl OpenClient {
    pub fn new(settings: OpenApiSettings, context: Context) -> Self {
        let cool_down = i64::try_from(settings.token_cool_down_s).unwrap_or(600).saturating_mul(1000);
        let at_once = usize::try_from(settings.writes_at_once).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS);
        OpenClient { settings, context, token: Session::new(cool_down), writes: Semaphore::new(at_once) }
    }

    /// Adds an order. `Err`: nobody knows.
    pub async fn add(&self, key: &str, body: Value) -> Result<Stage, Failure> {
        let (name, value) = if self.settings.key_by == "tradeid" {
            // No document went out yet: that a trade id was not given leaves nothing in doubt.
            ("tradeid", self.trade().await.map_err(Failure::of_question)?)
        } else {
            ("biz_id", key.to_owned())
        };
        let sync = if self.settings.sync { "1" } else { "0" };
        let query = [(name, value), ("sync", sync.to_owned())];
        let call = Call { path: "saleorder/add", query: &query, body: Some(body) };
        // Closed never: the permit always comes.
        let _permit = self.writes.acquire().await.ok();
        let (answer, lease) = self.call(&call).await?;
        self.stage(&answer, Some(&lease))
    }

    /// Approves a document without a workflow. `Err` inside: it was refused.
    pub async fn verify(&self, number: &str) -> Result<Result<(), Refusal>, Failure> {
        let body = serde_json::json!({"saleorder": {"voucher_code": number}});
        let call = Call { path: "saleorder/verify", query: &[], body: Some(body) };
        let _permit = self.writes.acquire().await.ok();
        let (answer, lease) = self.call(&call).await?;
        match self.refusal(&answer, Some(&lease)) {
            Some(refusal) => Ok(Err(refusal)),
            None if reply::code(&answer).is_some() => Ok(Ok(())),
            None => Err(reply::strange()),
        }
    }

    /// Asks for one document by its number. `None`: U8 says it gave none, which is no proof that there is none.
    pub async fn get(&self, resource: &str, number: &str) -> Result<Option<Map<String, Value>>, Failure> {
        let path = format!("{resource}/get");
        let call = Call { path: &path, query: &[("id", number.to_owned())], body: None };
        let (answer, lease) = self.call(&call).await.map_err(Failure::of_question)?;
        match (self.refusal(&answer, Some(&lease)), answer.get(resource)) {
            (Some(refusal), _) if refusal.is_of_content() => Ok(None),
            (Some(refusal), _) => Err(refusal.failure().of_question()),
            (None, Some(Value::Object(found))) => Ok(Some(found.clone())),
            (None, _) if reply::code(&answer).is_some() => Ok(None),
            (None, _) => Err(reply::strange().of_question()),
        }
    }

    /// All rows of a list: complete, or a failure. The far side's filters are not trusted: the caller filters again.
    pub async fn list(
        &self,
        resource: &str,
        filters: &[(&str, String)],
    ) -> Result<Vec<Map<String, Value>>, Failure> {
        let (mut rows, mut stated, mut told) = (Vec::new(), None, BTreeSet::new());
        for page in 1..=self.settings.pages_max {
            let answer = self.page(resource, filters, page, self.settings.rows_per_page).await?;
            let found: Vec<Map<String, Value>> = match answer.get(resource) {
                Some(Value::Array(found)) => {
                    found.iter().filter_map(|row| row.as_object().cloned()).collect()
                }
                Some(_) => return Err(reply::strange().of_question()),
                None => Vec::new(),
            };
            let count: Option<usize> = text(&answer, "row_count").parse().ok();
            let pages: Option<u64> = text(&answer, "page_count").parse().ok();
            let (before, is_empty) = (rows.len(), found.is_empty());
            for row in found {
                // Rows move from page to page while documents are added: one that comes twice has pushed another out.
                if told.insert(Value::Object(row.clone()).to_string()) {
                    rows.push(row);
                }
            }
            // A short page proves nothing: how many rows a page may have is the platform's choice.
            let ends = match (count, pages) {
                (Some(count), _) => rows.len() >= count,
                (None, Some(pages)) => page >= pages,
                (None, None) => is_empty,
            };
            let is_moved = stated.is_some_and(|stated| stated != count);
            stated = Some(count);
            if is_moved || (!ends && rows.len() == before) {
                return Err(moved());
            }
            if ends {
                return Ok(rows);
            }
        }
        let fault = Fault::new(
            Code::TargetMisconfigured,
            format!("{resource} 超过 {} 页，未读完", self.settings.pages_max),
            format!("{resource} has more than {} pages and was not read to its end", self.settings.pages_max),
        );
        Err(Failure::new(fault.at("pages_max")))
    }

    /// One page of a list, as it came.
    pub async fn page(
        &self,
        resource: &str,
        filters: &[(&str, String)],
        page: u64,
        rows: u64,
    ) -> Result<Map<String, Value>, Failure> {
        let path = format!("{resource}/batch_get");
        let mut query = filters.to_vec();
        query.push(("page_index", page.to_string()));
        query.push(("rows_per_page", rows.to_string()));
        let call = Call { path: &path, query: &query, body: None };
        let (answer, lease) = self.call(&call).await.map_err(Failure::of_question)?;
        if let Some(refusal) = self.refusal(&answer, Some(&lease)) {
            return Err(refusal.failure().of_question());
        }
        // An empty list may come without its member, so the code must say that this is one.
        if reply::code(&answer).is_none() && !answer.contains_key(resource) {
            return Err(reply::strange().of_question());
        }
        Ok(answer)
    }

    /// Filters of a list by day.
    pub fn days(&self, begin: String, end: Option<String>) -> Vec<(&str, String)> {
        let end = end.map(|end| (self.settings.date_end.as_str(), end));
        let days = [Some((self.settings.date_begin.as_str(), begin)), end];
        days.into_iter().flatten().filter(|(name, _)| !name.is_empty()).collect()
    }

    /// Asks at the address of a result.
    pub async fn result(&self, place: &str) -> Result<Stage, Failure> {
        let answer = self.follow(place).await.map_err(Failure::of_question)?;
        self.stage(&answer, None).map_err(Failure::of_question)
    }

    async fn follow(&self, place: &str) -> Result<Map<String, Value>, Failure> {
        let place = if place.contains(TOKEN) {
            let lease = self.lease().await?;
            place.replace(TOKEN, lease.value.expose_secret())
        } else {
            place.to_owned()
        };
        let url = self.settings.base_url.join(&place).ok().filter(|url| self.is_own(url));
        let url = url.ok_or_else(reply::strange)?;
        reply::read(&self.send(Method::GET, url, None).await?)
    }

    /// A result's address as it is kept: below our own host and without the token. `None`: it leads elsewhere, repeats a
    /// secret, or is too long; the document is then asked for by its key alone.
    pub async fn place(&self, url: &Url) -> Option<String> {
        let own = Some(url).filter(|url| self.is_own(url))?;
        let query = own.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut place = format!("{}{query}", own.path());
        if let Ok(lease) = self.lease().await {
            place = place.replace(lease.value.expose_secret(), TOKEN);
        }
        let is_clean = !place.contains(self.settings.app_secret.expose_secret());
        (is_clean && place.len() <= PLACE_MAX).then_some(place)
    }

    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.settings.base_url.origin()
            && url.username().is_empty()
            && url.password().is_none()
    }

    fn codes(&self) -> Codes<'_> {
        let settings = &self.settings;
        Codes {
            token: &settings.token_codes,
            permission: &settings.permission_codes,
            quota: &settings.quota_codes,
        }
    }

    fn refusal(&self, answer: &Map<String, Value>, lease: Option<&Lease<SecretString>>) -> Option<Refusal> {
        let token = lease.map_or("", |lease| lease.value.expose_secret());
        reply::refusal(answer, self.codes(), &[self.settings.app_secret.expose_secret(), token])
    }

    fn stage(
        &self,
        answer: &Map<String, Value>,
        lease: Option<&Lease<SecretString>>,
    ) -> Result<Stage, Failure> {
        let token = lease.map_or("", |lease| lease.value.expose_secret());
        reply::stage(answer, self.codes(), &[self.settings.app_secret.expose_secret(), token])
    }

    async fn trade(&self) -> Result<String, Failure> {
        let (answer, lease) = self.renewing("system/tradeid", &[], None).await?;
        if let Some(refusal) = self.refusal(&answer, Some(&lease)) {
            return Err(refusal.failure());
        }
        let id = answer.get("trade").and_then(Value::as_object).map(|trade| text(trade, "id"));
        id.filter(|id| !id.is_empty()).ok_or_else(reply::strange)
    }

    async fn call(&self, call: &Call<'_>) -> Result<(Map<String, Value>, Lease<SecretString>), Failure> {
        let mut query = vec![("to_account", self.settings.to_account.clone())];
        query.extend(self.settings.ds_sequence.clone().map(|ds| ("ds_sequence", ds)));
        query.extend(call.query.iter().cloned());
        self.renewing(&format!("api/{}", call.path), &query, call.body.as_ref()).await
    }

    /// Sends with the token. One that the platform no longer takes is renewed once: the call was refused at the door.
    async fn renewing(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<(Map<String, Value>, Lease<SecretString>), Failure> {
        let lease = self.lease().await?;
        let answer = self.once(path, query, body, &lease).await?;
        if self.refusal(&answer, Some(&lease)).is_none_or(|refusal| !refusal.is_token) {
            lease.honoured();
            return Ok((answer, lease));
        }
        self.token.lost(&lease).await;
        let lease = self.lease().await?;
        let answer = self.once(path, query, body, &lease).await?;
        match self.refusal(&answer, Some(&lease)) {
            Some(refusal) if refusal.is_token => {
                self.token.refused(&lease, &refusal.failure(), self.context.now_ms()).await;
            }
            Some(_) | None => lease.honoured(),
        }
        Ok((answer, lease))
    }

    async fn once(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
        lease: &Lease<SecretString>,
    ) -> Result<Map<String, Value>, Failure> {
        let mut url = self.url(path);
        let token = [("token", lease.value.expose_secret())].into_iter();
        // What is empty is left out.
        let given =
            query.iter().map(|(name, value)| (*name, value.as_str())).filter(|(_, value)| !value.is_empty());
        url.query_pairs_mut().extend_pairs(token.chain(given));
        let method = if body.is_some() { Method::POST } else { Method::GET };
        reply::read(&self.send(method, url, body).await?)
    }

    /// An address below the base, with who calls.
    fn url(&self, path: &str) -> Url {
        let mut url = self.settings.base_url.clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        url.query_pairs_mut()
            .clear()
            .append_pair("from_account", &self.settings.from_account)
            .append_pair("app_key", &self.settings.app_key);
        url
    }

    async fn send(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Reply, Failure> {
        let json = ("content-type".to_owned(), "application/json;charset=utf-8".to_owned());
        let sent = Sent {
            method,
            url,
            headers: body.map(|_| json).into_iter().collect(),
            body: body.map(Value::to_string).unwrap_or_default().into(),
            timeout: Duration::from_millis(self.settings.timeout_ms),
        };
        self.context.http.send(sent).await.map_err(|error| Failure::new(error.fault()))
    }

    async fn lease(&self) -> Result<Lease<SecretString>, Failure> {
        self.token.get(self.context.now_ms(), || self.fetch()).await
    }

    async fn fetch(&self) -> Result<(SecretString, i64), Failure> {
        let mut url = self.url("system/token");
        url.query_pairs_mut().append_pair("app_secret", self.settings.app_secret.expose_secret());
        let answer = self.send(Method::GET, url, None).await.and_then(|reply| reply::read(&reply));
        let answer = answer.map_err(Failure::of_question)?;
        if let Some(refusal) = self.refusal(&answer, None) {
            // An error of the platform or a quota passes; any other no is about the credentials.
            let passes = matches!(refusal.class, Class::Throttled(_))
                || reply::code(&answer).as_deref() == Some("10001");
            let failure = refusal.failure();
            if passes {
                return Err(failure.of_question());
            }
            let said = failure.fault.message.clone();
            let fault = Fault::new(
                Code::TargetUnauthorized,
                format!("未取得令牌：{}", said.zh),
                format!("no token was given: {}", said.en),
            );
            return Err(Failure { fault, class: Class::Unauthorized, ..failure });
        }
        let token = answer.get("token").and_then(Value::as_object);
        let id = token.map(|token| text(token, "id")).unwrap_or_default();
        if id.is_empty() {
            return Err(reply::strange().of_question());
        }
        let life: Option<i64> = token.and_then(|token| text(token, "expiresIn").parse().ok());
        let margin = i64::try_from(self.settings.token_margin_s).unwrap_or(LIFE_S);
        let life = life.unwrap_or(LIFE_S).saturating_sub(margin).max(1).saturating_mul(1000);
        Ok((id.into(), self.context.now_ms().saturating_add(life)))
    }
}

fn moved() -> Failure {
    let fault = Fault::new(
        Code::TargetUnavailable,
        "读取期间清单有变动，稍后重读",
        "the list changed while it was read; it is read again later",
    );
    Failure::new(fault)
}
