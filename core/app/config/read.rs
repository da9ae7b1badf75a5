//! From YAML to [`Config`]: form only. What names mean is checked by `load`.

use super::{
    BrokerConfig, Config, Connection, Environment, Flow, LEDGER, Polls, Receives, Retention, Server,
    StoreConfig,
};
use std::path::Path;
use tongbao_connect::settings::{Setting, refuse_unknown};
use tongbao_delivery::settings::{RelaySettings, TargetSettings};
use tongbao_model::diagnostic::{Findings, Place};
use tongbao_model::yaml::{self, Content, Node};

const TOP: &[&str] = &[
    "version",
    "server",
    "store",
    "broker",
    "relay",
    "retention",
    "builtin",
    "mappings",
    "reload",
    "connections",
    "flows",
    "notices",
    "matching",
    "invoicing",
    "statements",
];
const SERVER: &[&str] = &["listen", "body_bytes_max", "api_token", "public_url", "stop_ms"];
const STORE: &[&str] = &["url", "pool"];
const BROKER: &[&str] = &["kind", "url", "more_urls", "prefix", "ca"];
/// `outbox_max`: rows that may wait in the outbox (5,000,000 unless set); beyond it the intake answers 503
/// and polls pause until there is room. The others as [`RelaySettings`] has them.
const RELAY: &[&str] = &["batch", "batches", "idle_ms", "sweep_ms", "follow_ms", "stalled_ms", "outbox_max"];
const BUILTIN: &[&str] = &["delivery", "retry"];
const RELOAD: &[&str] = &["every_ms"];
const RETENTION: &[&str] = &["keep_days", "archive"];
/// Far sides send again and people replay within days; what is younger is no archive.
const KEEP_DAYS_MIN: u32 = 30;
const CONNECTION: &[&str] = &["connector", "settings", "egress", "receives", "polls", "delivery", "retry"];
const RECEIVES: &[&str] = &["event", "mapping", "order_by", "on_fault"];
const POLLS: &[&str] = &["event", "mapping", "order_by", "every_ms"];
const DELIVERY: &[&str] =
    &["partitions", "in_flight", "lease_ms", "call_timeout_ms", "circuit_after", "circuit_cool_down_ms"];
const RETRY: &[&str] = &["first_ms", "factor", "max_ms", "jitter", "window_ms", "attempts_max"];
const FLOW: &[&str] = &["name", "on", "from", "to", "mapping", "emits"];

/// Reads the text of a configuration file.
pub fn read(text: &str, folder: &Path, environment: &Environment, findings: &mut Findings) -> Option<Config> {
    let root = yaml::parse(text, findings)?;
    refuse_unknown(&root, TOP, findings);
    if root.get("version").and_then(Node::text) != Some("1") {
        findings.error("config-version", root.place, "应有 version: 1", "expected `version: 1`");
    }
    let mut reader = Reader { environment, findings };
    let empty = Node { place: root.place, content: Content::Null };
    let section = |key: &str| root.get(key).unwrap_or(&empty);
    let server = reader.server(section("server"));
    let store = reader.store(section("store"));
    let broker = reader.broker(section("broker"));
    let relay = reader.relay(section("relay"));
    let builtin = reader.builtin(section("builtin"));
    let retention = reader.retention(section("retention"), folder);
    let mappings: Vec<String> = match root.get("mappings") {
        Some(node) => reader.value(node, "mappings").unwrap_or_default(),
        None => vec!["mappings".into()],
    };
    let reload_ms = reader.reload(section("reload"));
    let connections: Vec<_> =
        section("connections").entries().iter().filter_map(|entry| reader.connection(entry)).collect();
    let flows: Vec<_> = section("flows").items().iter().filter_map(|node| reader.flow(node)).collect();
    let notices = reader.notices(section("notices"));
    let matching = reader.matching(section("matching"));
    let invoicing = reader.invoicing(section("invoicing"));
    let public_url = server.as_ref().and_then(|server| server.public_url.as_deref());
    let statements = reader.statements(root.get("statements"), public_url, folder);
    if connections.is_empty() {
        findings.error("config-missing", root.place, "没有任何 connections", "there are no `connections`");
    }
    Some(Config {
        folder: folder.to_owned(),
        server: server?,
        store: store?,
        broker: broker?,
        relay,
        builtin,
        retention,
        mappings: mappings.into_iter().map(|path| folder.join(path)).collect(),
        reload_ms,
        connections,
        flows,
        notices,
        matching,
        invoicing,
        statements,
    })
}

pub(super) struct Reader<'a> {
    pub(super) environment: &'a Environment,
    pub(super) findings: &'a mut Findings,
}

impl Reader<'_> {
    fn value<T: Setting>(&mut self, node: &Node, name: &str) -> Option<T> {
        match T::read(node, self.environment) {
            Ok(value) => Some(value),
            Err(text) => {
                self.findings.error(
                    "config-value",
                    node.place,
                    format!("{name}：{}", text.zh),
                    format!("{name}: {}", text.en),
                );
                None
            }
        }
    }

    pub(super) fn optional<T: Setting>(&mut self, node: &Node, name: &str) -> Option<T> {
        node.get(name).and_then(|inner| self.value(inner, name))
    }

    pub(super) fn required(&mut self, node: &Node, name: &str, place: Place) -> Option<String> {
        let found = self.optional(node, name);
        if node.get(name).is_none() {
            self.findings.error(
                "config-missing",
                place,
                format!("缺少 {name}"),
                format!("`{name}` is missing"),
            );
        }
        found
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self, node: &Node, name: &str, default: T) -> T {
        let Some(inner) = node.get(name) else { return default };
        match self.value::<u64>(inner, name).map(T::try_from) {
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.findings.error(
                    "config-value",
                    inner.place,
                    format!("{name} 过大"),
                    format!("{name} is too large"),
                );
                default
            }
            None => default,
        }
    }

    /// A secret that may also be written out where it holds none, such as a database path.
    fn url(&mut self, node: &Node, name: &str) -> Option<secrecy::SecretString> {
        match &node.content {
            Content::Scalar { text, .. } => {
                if text.split_once("://").is_some_and(|(_, rest)| {
                    rest.split(['/', '?']).next().is_some_and(|host| host.contains('@') && host.contains(':'))
                }) {
                    self.findings.error(
                        "config-secret",
                        node.place,
                        format!("{name} 中含口令，请写 {{ env: 变量名 }} 或 {{ file: 路径 }}"),
                        format!("{name} holds a password: use {{ env: NAME }} or {{ file: path }}"),
                    );
                    return None;
                }
                Some(text.clone().into())
            }
            Content::Null | Content::List(_) | Content::Map(_) => self.value(node, name),
        }
    }

    fn urls(&mut self, node: &Node, name: &str) -> Option<Vec<secrecy::SecretString>> {
        if !matches!(node.content, Content::List(_)) {
            self.findings.error(
                "config-value",
                node.place,
                format!("{name} 应为列表"),
                format!("{name}: a list is expected"),
            );
            return None;
        }
        node.items().iter().map(|item| self.url(item, name)).collect()
    }

    fn server(&mut self, node: &Node) -> Option<Server> {
        refuse_unknown(node, SERVER, self.findings);
        let listen = match node.get("listen") {
            Some(inner) => self.value(inner, "listen")?,
            None => "127.0.0.1:8480".to_owned(),
        };
        if listen.parse::<std::net::SocketAddr>().is_err() {
            let place = node.get("listen").map_or(node.place, |inner| inner.place);
            self.findings.error(
                "config-value",
                place,
                "listen 应为 地址:端口",
                "`listen` must be an address and a port, e.g. 0.0.0.0:8480",
            );
        }
        Some(Server {
            listen,
            body_bytes_max: self.number(node, "body_bytes_max", 4 * 1024 * 1024),
            api_token: self.optional(node, "api_token"),
            public_url: self.optional::<reqwest::Url>(node, "public_url").map(|url| url.to_string()),
            stop_ms: self.number(node, "stop_ms", 25_000),
        })
    }

    fn reload(&mut self, node: &Node) -> u64 {
        refuse_unknown(node, RELOAD, self.findings);
        self.number(node, "every_ms", 2_000)
    }

    fn store(&mut self, node: &Node) -> Option<StoreConfig> {
        refuse_unknown(node, STORE, self.findings);
        let url = match node.get("url") {
            Some(inner) => self.url(inner, "url")?,
            None => "sqlite://tongbao-data/tongbao.db".to_owned().into(),
        };
        Some(StoreConfig { url, pool: self.number(node, "pool", 16) })
    }

    fn broker(&mut self, node: &Node) -> Option<BrokerConfig> {
        refuse_unknown(node, BROKER, self.findings);
        let kind: String = self.optional(node, "kind").unwrap_or_else(|| "embedded".into());
        match kind.as_str() {
            "embedded" => Some(BrokerConfig::Embedded),
            "rabbitmq" => {
                let Some(inner) = node.get("url") else {
                    self.findings.error(
                        "config-missing",
                        node.place,
                        "缺少 broker.url",
                        "`broker.url` is missing",
                    );
                    return None;
                };
                let url = self.url(inner, "url")?;
                let more_urls = match node.get("more_urls") {
                    Some(list) => self.urls(list, "more_urls")?,
                    None => Vec::new(),
                };
                let prefix = self.optional(node, "prefix").unwrap_or_else(|| "tongbao.".into());
                let ca_pem = self.optional(node, "ca");
                Some(BrokerConfig::Rabbit { url, more_urls, prefix, ca_pem })
            }
            _ => {
                self.findings.error(
                    "config-value",
                    node.place,
                    "broker.kind 为 embedded 或 rabbitmq",
                    "`broker.kind` is `embedded` or `rabbitmq`",
                );
                None
            }
        }
    }

    fn relay(&mut self, node: &Node) -> RelaySettings {
        refuse_unknown(node, RELAY, self.findings);
        let default = RelaySettings::default();
        let relay = RelaySettings {
            batch: self.number(node, "batch", default.batch),
            batches: self.number(node, "batches", default.batches),
            idle_ms: self.number(node, "idle_ms", default.idle_ms),
            sweep_ms: self.number(node, "sweep_ms", default.sweep_ms),
            follow_ms: self.number(node, "follow_ms", default.follow_ms),
            stalled_ms: self.number(node, "stalled_ms", default.stalled_ms),
            outbox_max: self.number(node, "outbox_max", default.outbox_max),
        };
        if let Some(problem) = relay.problem() {
            self.findings.error(
                "config-value",
                node.place,
                format!("relay：{problem}"),
                format!("relay: {problem}"),
            );
        }
        relay
    }

    fn builtin(&mut self, node: &Node) -> TargetSettings {
        refuse_unknown(node, BUILTIN, self.findings);
        let empty = Node { place: node.place, content: Content::Map(Vec::new()) };
        let section = |key: &str| node.get(key).unwrap_or(&empty);
        // Nothing far is called: what takes longer than this is not coming back, and after a crash nobody
        // waits long.
        let usual =
            TargetSettings { call_timeout_ms: 20_000, lease_ms: 30_000, ..TargetSettings::named(LEDGER) };
        self.target(usual, section("delivery"), section("retry"))
    }

    fn retention(&mut self, node: &Node, folder: &Path) -> Retention {
        refuse_unknown(node, RETENTION, self.findings);
        let keep_days = self.number(node, "keep_days", 730);
        if keep_days < KEEP_DAYS_MIN {
            self.findings.error(
                "config-value",
                node.place,
                format!("retention.keep_days 至少为 {KEEP_DAYS_MIN}"),
                format!("`retention.keep_days` must be at least {KEEP_DAYS_MIN}"),
            );
        }
        let archive: Option<String> = self.optional(node, "archive");
        Retention { keep_days, archive: archive.map(|path| folder.join(path)) }
    }

    fn connection(&mut self, entry: &yaml::Entry) -> Option<Connection> {
        let (node, name) = (&entry.value, entry.key.clone());
        refuse_unknown(node, CONNECTION, self.findings);
        if super::BUILTIN.contains(&name.as_str()) || name == "tongbao" || !is_name(&name) {
            self.findings.error(
                "config-name",
                entry.place,
                format!("连接名 {name} 不可用：小写字母、数字、连字符；ledger、payments、signature、intake、tongbao 为保留名"),
                format!("`{name}` cannot name a connection: lower-case letters, digits and hyphens; `ledger`, `payments`, `signature`, `intake` and `tongbao` are taken"),
            );
        }
        let connector = self.required(node, "connector", entry.place);
        let empty = Node { place: node.place, content: Content::Map(Vec::new()) };
        let receives = node.get("receives").map(|inner| {
            inner.entries().iter().filter_map(|entry| self.receives(entry, RECEIVES, false)).collect()
        });
        let polls = node
            .get("polls")
            .map(|inner| {
                inner
                    .entries()
                    .iter()
                    .filter_map(|entry| {
                        let receives = self.receives(entry, POLLS, true)?;
                        Some(Polls { receives, every_ms: self.number(&entry.value, "every_ms", 30_000) })
                    })
                    .collect()
            })
            .unwrap_or_default();
        let section = |key: &str| node.get(key).unwrap_or(&empty);
        let target = self.target(TargetSettings::named(&name), section("delivery"), section("retry"));
        Some(Connection {
            name,
            place: entry.place,
            connector: connector?,
            settings: node.get("settings").unwrap_or(&empty).clone(),
            egress: node.get("egress").unwrap_or(&empty).clone(),
            receives: receives.unwrap_or_default(),
            polls,
            target,
        })
    }

    fn receives(&mut self, entry: &yaml::Entry, known: &[&str], park: bool) -> Option<Receives> {
        refuse_unknown(&entry.value, known, self.findings);
        let event = self.required(&entry.value, "event", entry.place);
        let mapping = self.required(&entry.value, "mapping", entry.place);
        let on_fault: Option<String> = self.optional(&entry.value, "on_fault");
        let park_faults = match on_fault.as_deref() {
            None => park,
            Some("refuse") => false,
            Some("park") => true,
            Some(_) => {
                self.findings.error(
                    "config-value",
                    entry.place,
                    "on_fault 为 refuse 或 park",
                    "`on_fault` is `refuse` or `park`",
                );
                false
            }
        };
        Some(Receives {
            kind: entry.key.clone(),
            place: entry.place,
            event: event?,
            mapping: mapping?,
            order_by: self.optional(&entry.value, "order_by"),
            park_faults,
        })
    }

    fn target(&mut self, usual: TargetSettings, delivery: &Node, retry: &Node) -> TargetSettings {
        refuse_unknown(delivery, DELIVERY, self.findings);
        refuse_unknown(retry, RETRY, self.findings);
        let mut target = usual;
        target.partitions = self.number(delivery, "partitions", target.partitions);
        target.in_flight = self.number(delivery, "in_flight", target.in_flight);
        target.lease_ms = self.number(delivery, "lease_ms", target.lease_ms);
        target.call_timeout_ms = self.number(delivery, "call_timeout_ms", target.call_timeout_ms);
        target.circuit_after = self.number(delivery, "circuit_after", target.circuit_after);
        target.circuit_cool_down_ms =
            self.number(delivery, "circuit_cool_down_ms", target.circuit_cool_down_ms);
        let schedule = &mut target.schedule;
        schedule.first_ms = self.number(retry, "first_ms", schedule.first_ms);
        schedule.max_ms = self.number(retry, "max_ms", schedule.max_ms);
        schedule.window_ms = self.number(retry, "window_ms", schedule.window_ms);
        if retry.get("attempts_max").is_some() {
            schedule.attempts_max = Some(self.number(retry, "attempts_max", 1));
        }
        for (key, slot) in [("factor", &mut schedule.factor), ("jitter", &mut schedule.jitter)] {
            if let Some(inner) = retry.get(key) {
                match inner.text().and_then(|text| text.parse::<f32>().ok()) {
                    Some(value) => *slot = value,
                    None => self.findings.error(
                        "config-value",
                        inner.place,
                        format!("{key} 应为数字"),
                        format!("`{key}` must be a number"),
                    ),
                }
            }
        }
        if let Some(problem) = target.problem() {
            self.findings.error("config-value", delivery.place, problem.clone(), problem);
        }
        target
    }

    fn flow(&mut self, node: &Node) -> Option<Flow> {
        refuse_unknown(node, FLOW, self.findings);
        let name = self.required(node, "name", node.place);
        let on = self.required(node, "on", node.place);
        let to = self.required(node, "to", node.place);
        Some(Flow {
            name: name?,
            place: node.place,
            on: on?,
            from: self.optional(node, "from"),
            to: to?,
            mapping: self.optional(node, "mapping"),
            emits: self.optional(node, "emits"),
        })
    }
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
