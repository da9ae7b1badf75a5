//! One call: authenticate, send, read, and repeat once when the session was lost.

use super::KingdeeSettings;
use super::auth;
use super::reply::{self, Answer, Done};
use serde_json::Value;
use std::time::Duration;
use tongbao_connect::session::{Lease, Session};
use tongbao_connect::{Context, Failure, Reply, Sent};
use tongbao_model::{Code, Fault};

const FORM_SERVICE: &str = "Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.";
const AUTH_SERVICE: &str = "Kingdee.BOS.WebApi.ServicesStub.AuthService.";

/// Whether a call may change something there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// No complete answer leaves nothing in doubt.
    Read,
    /// No complete answer leaves the outcome unknown.
    Write,
}

/// A connection's client, shared by its workers.
pub struct KingdeeClient {
    pub settings: KingdeeSettings,
    pub context: Context,
    session: Session<String>,
}

impl KingdeeClient {
    pub fn new(settings: KingdeeSettings, context: Context) -> Self {
        let cool_down = i64::try_from(settings.login_cool_down_s).unwrap_or(300).saturating_mul(1000);
        KingdeeClient { settings, context, session: Session::new(cool_down) }
    }

    /// Calls an operation of the form service; answers the whole body. A session that was lost did nothing, so the
    /// call is repeated once with a new one; a second loss means that our credentials are not honoured.
    pub async fn call(&self, operation: &str, body: &Value, intent: Intent) -> Result<Done, Failure> {
        let lease = self.lease().await?;
        if let Some(done) = self.once(operation, body, intent, lease.as_ref()).await?.done() {
            return Ok(done);
        }
        tracing::debug!(connection = self.context.connection, operation, "session lost");
        if let Some(lease) = &lease {
            self.session.lost(lease).await;
        }
        let lease = self.lease().await?;
        if let Some(done) = self.once(operation, body, intent, lease.as_ref()).await?.done() {
            return Ok(done);
        }
        let failure = Failure::new(Fault::new(
            Code::TargetUnauthorized,
            "会话反复丢失：金蝶不认可我们的登录",
            "the session is lost again at once: Kingdee does not honour our login",
        ));
        if let Some(lease) = &lease {
            self.session.refused(lease, &failure, self.context.now_ms()).await;
        }
        Err(failure)
    }

    async fn once(
        &self,
        operation: &str,
        body: &Value,
        intent: Intent,
        lease: Option<&Lease<String>>,
    ) -> Result<Answer, Failure> {
        let (url, path) = self.address(FORM_SERVICE, operation);
        let headers = match lease {
            Some(lease) => vec![("kdservice-sessionid".to_owned(), lease.value.clone())],
            None => auth::headers(&self.settings, &path, self.context.now_s()),
        };
        let reply = self.post(url, headers, body).await.map_err(|failure| soften(failure, intent))?;
        let answer = reply::read(&reply).map_err(|failure| soften(failure, intent))?;
        if let Some(lease) = lease.filter(|_| answer != Answer::SessionLost) {
            lease.honoured();
        }
        Ok(answer)
    }

    /// The session to use; none in signature mode.
    async fn lease(&self) -> Result<Option<Lease<String>>, Failure> {
        if self.settings.auth == "signature" {
            return Ok(None);
        }
        let now_ms = self.context.now_ms();
        let lease = self.session.get(now_ms, || self.log_in()).await?;
        Ok(Some(lease))
    }

    async fn log_in(&self) -> Result<(String, i64), Failure> {
        let (operation, body) = auth::login(&self.settings, self.context.now_s());
        let (url, _) = self.address(AUTH_SERVICE, operation);
        // A login changes nothing that matters, so no answer to it leaves no doubt about the document.
        let reply =
            self.post(url, Vec::new(), &body).await.map_err(|failure| soften(failure, Intent::Read))?;
        let answer = reply::json(&reply).map_err(|failure| soften(failure, Intent::Read))?;
        let id = auth::session(&reply, &answer).map_err(Failure::new)?;
        let session_ms = i64::try_from(self.settings.session_s).unwrap_or(900).saturating_mul(1000);
        Ok((id, self.context.now_ms().saturating_add(session_ms)))
    }

    /// Address of a service, and its path as it is signed.
    fn address(&self, service: &str, operation: &str) -> (url::Url, String) {
        let mut url = self.settings.base_url.clone();
        let path = format!("{}/{service}{operation}.common.kdsvc", url.path().trim_end_matches('/'));
        url.set_path(&path);
        (url, path)
    }

    async fn post(
        &self,
        url: url::Url,
        mut headers: Vec<(String, String)>,
        body: &Value,
    ) -> Result<Reply, Failure> {
        headers.push(("content-type".into(), "application/json".into()));
        headers.push(("accept".into(), "application/json".into()));
        let sent = Sent {
            method: reqwest::Method::POST,
            url,
            headers,
            body: body.to_string().into_bytes().into(),
            timeout: Duration::from_millis(self.settings.timeout_ms),
        };
        self.context.http.send(sent).await.map_err(|error| Failure::new(error.fault()))
    }
}

fn soften(failure: Failure, intent: Intent) -> Failure {
    match intent {
        Intent::Read => failure.of_question(),
        Intent::Write => failure,
    }
}
