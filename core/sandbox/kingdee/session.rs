//! Sessions and the three logins.
//!
//! Response members follow `LoginResult` and `Context` of the vendor's Java SDK 8.2.0; the meaning of
//! `LoginResultType` 1 (success) is certain, 0 and -1 for wrong credentials less so.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{auth, envelope::Envelope};
use crate::{
    config::KingdeeConfig,
    wire::message::{Incoming, Reply},
    world::{World, lock},
};

/// Sessions kept; beyond that idle ones go first, then any.
const MAX_SESSIONS: usize = 10_000;

#[derive(Debug, Clone)]
struct Session {
    user: String,
    last_ms: i64,
}

/// Who is logged in, and who failed to.
#[derive(Default)]
pub(crate) struct Sessions {
    open: HashMap<String, Session>,
    failures: HashMap<String, u32>,
    counter: u64,
}

impl Sessions {
    /// Opens a session under `sid`.
    fn open(&mut self, sid: &str, user: &str, now: i64, idle_ms: i64) {
        if self.open.len() >= MAX_SESSIONS {
            self.open.retain(|_, session| now - session.last_ms <= idle_ms);
        }
        if self.open.len() >= MAX_SESSIONS
            && let Some(any) = self.open.keys().next().cloned()
        {
            self.open.remove(&any);
        }
        self.open.insert(sid.to_owned(), Session { user: user.to_owned(), last_ms: now });
    }

    /// The user of a session that is not idle for too long; using it renews it.
    fn touch(&mut self, sid: &str, now: i64, idle_ms: i64) -> Option<String> {
        let session = self.open.get_mut(sid)?;
        if now - session.last_ms > idle_ms {
            self.open.remove(sid);
            return None;
        }
        session.last_ms = now;
        Some(session.user.clone())
    }

    fn close(&mut self, sid: &str) {
        self.open.remove(sid);
    }

    /// Ends every session, as a restart of the site does; locked users are free again.
    pub fn drop_all(&mut self) {
        self.open.clear();
        self.failures.clear();
    }

    /// Open sessions.
    pub fn count(&self) -> usize {
        self.open.len()
    }
}

/// Session id of a request: header `kdservice-sessionid`, header `SID` (Java SDK) or the cookie.
fn session_id(request: &Incoming) -> Option<String> {
    for name in ["kdservice-sessionid", "sid"] {
        if let Some(value) = request.header(name)
            && !value.is_empty()
        {
            return Some(value.to_owned());
        }
    }
    request.header("cookie")?.split(';').find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        name.eq_ignore_ascii_case("kdservice-sessionid").then(|| value.trim().to_owned())
    })
}

/// The two cookies of a new session.
fn cookies(world: &World, reply: Reply, sid: &str) -> Reply {
    let asp = world.hex(24, &["asp", sid]);
    reply
        .with("set-cookie", format!("kdservice-sessionid={sid}; Path=/"))
        .with("set-cookie", format!("ASP.NET_SessionId={asp}; path=/; HttpOnly"))
}

/// An authenticated caller.
pub(super) struct Caller {
    pub user: String,
    sid: Option<String>,
}

impl Caller {
    /// Hands out the session cookies when the call opened a session.
    pub fn finish(&self, world: &World, reply: Reply) -> Reply {
        match &self.sid {
            Some(sid) => cookies(world, reply, sid),
            None => reply,
        }
    }
}

/// Why a call is not let in.
pub(super) enum Refused {
    NoSession,
    BadSignature,
}

/// Who calls: by header signature, or by a session that is still alive.
pub(super) fn authenticate(world: &World, request: &Incoming) -> Result<Caller, Refused> {
    let config = &world.config.kingdee;
    let now = world.clock.now_ms();
    let idle_ms = config.session_idle_secs.saturating_mul(1000);
    let given = session_id(request);
    match auth::check(config, request, crate::clock::wall_ms() / 1000) {
        auth::Signed::Wrong(reason) => {
            tracing::debug!(reason, "header signature refused");
            Err(Refused::BadSignature)
        }
        auth::Signed::User(user) => {
            let mut sessions = lock(&world.kingdee.sessions);
            if let Some(sid) = &given
                && sessions.touch(sid, now, idle_ms).is_some()
            {
                return Ok(Caller { user, sid: None });
            }
            // One session per signing user: signed calls are stateless and must not pile up sessions.
            let sid = format!("{}-{}", world.hex(8, &["signed"]), world.hex(24, &["signed", &user]));
            sessions.open(&sid, &user, now, idle_ms);
            Ok(Caller { user, sid: Some(sid) })
        }
        auth::Signed::Absent => given
            .and_then(|sid| lock(&world.kingdee.sessions).touch(&sid, now, idle_ms))
            .map(|user| Caller { user, sid: None })
            .ok_or(Refused::NoSession),
    }
}

/// Ends the session a request carries.
pub(super) fn drop_current(world: &World, request_sid: Option<&str>) {
    if let Some(sid) = request_sid {
        lock(&world.kingdee.sessions).close(sid);
    }
}

/// The session id for later use by [`drop_current`].
pub(super) fn carried(request: &Incoming) -> Option<String> {
    session_id(request)
}

/// What a login request claims.
pub(super) struct Login {
    acct: String,
    pub user: String,
    proof: Proof,
}

enum Proof {
    Password(String),
    Secret { app: String, secret: String },
    Sign { app: String, timestamp: String, sign: String },
}

impl Login {
    /// Reads a login of the given service; positional order from the vendor's samples, named keys by analogy.
    pub fn read(service: &str, envelope: &Envelope) -> Self {
        let (acct, user) = (envelope.text(0, "acctID"), envelope.text(1, "username"));
        let proof = match service {
            "ValidateUser" => Proof::Password(envelope.text(2, "password")),
            "LoginByAppSecret" => {
                Proof::Secret { app: envelope.text(2, "appId"), secret: envelope.text(3, "appSecret") }
            }
            _ => Proof::Sign {
                app: envelope.text(2, "appId"),
                timestamp: envelope.text(3, "timestamp"),
                sign: envelope.text(4, "sign"),
            },
        };
        Self { acct, user, proof }
    }

    fn proves(&self, config: &KingdeeConfig) -> bool {
        match &self.proof {
            Proof::Password(password) => auth::same(password, &config.password),
            Proof::Secret { app, secret } => *app == config.app_id && auth::same(secret, &config.app_secret),
            Proof::Sign { app, timestamp, sign } => {
                let strings = [&*self.acct, &*self.user, &*config.app_id, &*config.app_secret, timestamp];
                *app == config.app_id
                    && (auth::same(&auth::login_sign(strings, false), sign)
                        || (config.login_sha1 && auth::same(&auth::login_sign(strings, true), sign)))
            }
        }
    }
}

/// Answers a login; always HTTP 200.
pub(super) fn login(world: &World, login: &Login) -> Reply {
    let config = &world.config.kingdee;
    if login.acct != config.acct_id {
        return refused(-1, "当前尝试登录的数据中心无法获取到，请重新检查，谢谢。");
    }
    let mut sessions = lock(&world.kingdee.sessions);
    // The table of failures must not grow with invented user names.
    if sessions.failures.len() > MAX_SESSIONS {
        sessions.failures.clear();
    }
    if sessions.failures.get(&login.user).is_some_and(|count| *count >= config.lock_after) {
        return refused(0, "用户已被锁定，请联系管理员");
    }
    let known = login.user == config.user_name || config.extra_users.contains(&login.user);
    if !known || !login.proves(config) {
        *sessions.failures.entry(login.user.clone()).or_insert(0) += 1;
        return refused(0, "用户名或密码错误");
    }
    sessions.failures.remove(&login.user);
    sessions.counter += 1;
    let sid = world.hex(32, &["login", &login.user, &sessions.counter.to_string()]);
    let now = world.clock.now_ms();
    sessions.open(&sid, &login.user, now, config.session_idle_secs.saturating_mul(1000));
    drop(sessions);
    cookies(world, Reply::json(200, &accepted(world, &login.user, &sid)), &sid)
}

fn accepted(world: &World, user: &str, sid: &str) -> Value {
    let config = &world.config.kingdee;
    let message = if config.login_reminder.is_empty() {
        Value::Null
    } else {
        Value::from(config.login_reminder.clone())
    };
    json!({
        "Message": message, "MessageCode": "", "LoginResultType": 1,
        "Context": {
            "UserLocale": "zh-CN", "LogLocale": "zh-CN", "DBid": config.acct_id, "DatabaseType": 3,
            "SessionId": sid, "UserId": 100_008, "UserName": user, "CustomName": "示例公司",
            "DisplayVersion": "8.2.0.0", "DataCenterName": "演示账套", "UserToken": world.hex(32, &["token", sid]),
            "CurrentOrganizationInfo": {"ID": 1, "AcctOrgType": "1", "Name": "示例组织", "FunctionIds": [101, 102]}
        },
        "KDSVCSessionId": sid, "FormId": null, "RedirectFormParam": null, "FormInputObject": null,
        "ErrorStackTrace": null, "Lcid": 0, "AccessToken": null, "CustomParam": null, "KdAccessResult": null,
        "IsSuccessByAPI": true
    })
}

fn refused(kind: i32, message: &str) -> Reply {
    Reply::json(
        200,
        &json!({"Message": message, "MessageCode": "", "LoginResultType": kind, "Context": null,
                "KDSVCSessionId": "", "IsSuccessByAPI": false}),
    )
}
