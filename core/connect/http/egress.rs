//! Where a connection may call: the hosts its settings name, at addresses that are checked where the socket connects.
//!
//! Why it is as it is:
//! - The hosts come from the settings' own addresses, so a connection needs no second list; `egress.hosts` adds what a
//!   system hands out elsewhere. Anything else, in an answer or a redirect, is refused before a name is asked for.
//! - An address *literal* in the settings is consent to exactly that address and port: whoever wrote `127.0.0.1:8490`
//!   meant it. A *name* is not: who answers for it decides where it leads, today and in five minutes, so a name that
//!   leads into our own networks is refused unless `egress.allow_private` says that it may.
//! - The resolver below hands out checked addresses only, and the socket is opened to one of these: no second look-up
//!   comes between check and connect.
//! - Link-local addresses and metadata services give credentials away; neither a literal nor `allow_private: true`
//!   opens them, only a network that names them.

use super::address::{Reach, reach, unwrapped};
use crate::settings::{ExposeSecret, SecretString, Secrets, Setting, refuse_unknown};
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use tongbao_model::Text;
use tongbao_model::diagnostic::Findings;
use tongbao_model::yaml::{Content, Node};
use url::{Host, Url};

/// What a connection's `egress` says besides its addresses. The default allows nothing more than these.
#[derive(Clone, Default)]
pub struct EgressRules {
    hosts: Vec<HostPort>,
    all_private: bool,
    networks: Vec<IpNet>,
    authorities: Vec<CertificateDer<'static>>,
}

/// A host, with a port or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// As the URL standard writes it: lower case, punycode, IPv6 without brackets.
    pub host: String,
    /// As a rule, `None` means any; as a setting, the one that the protocol has.
    pub port: Option<u16>,
}

/// A call that leads where the connection may not go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.en)]
pub struct Blocked(pub Text);

impl EgressRules {
    /// Reads a connection's `egress` node: `hosts`, `allow_private` (`true`, or a list of networks such as
    /// `10.0.0.0/8`), `ca` (`{ file: path }` of PEM certificates that are trusted besides the system's).
    pub fn read(node: &Node, secrets: &dyn Secrets, findings: &mut Findings) -> EgressRules {
        refuse_unknown(node, &["hosts", "allow_private", "ca"], findings);
        let mut rules = EgressRules::default();
        let mut wrong = |node: &Node, zh: String, en: String| {
            findings.error("config-value", node.place, format!("egress：{zh}"), format!("egress: {en}"));
        };
        for item in node.get("hosts").map(Node::items).unwrap_or_default() {
            match item.text().and_then(HostPort::parse) {
                Some(host) => rules.hosts.push(host),
                None => wrong(
                    item,
                    "hosts 的每一项为 主机 或 主机:端口".into(),
                    "each of `hosts` is a host or host:port".into(),
                ),
            }
        }
        if let Some(private) = node.get("allow_private") {
            match (&private.content, private.bool()) {
                (_, Some(all)) => rules.all_private = all,
                (Content::List(items), None) => {
                    for item in items {
                        match item.text().and_then(network) {
                            Some(network) => rules.networks.push(network),
                            None => wrong(
                                item,
                                "应为网段，如 10.0.0.0/8".into(),
                                "expected a network such as 10.0.0.0/8".into(),
                            ),
                        }
                    }
                }
                (Content::Null | Content::Scalar { .. } | Content::Map(_), None) => wrong(
                    private,
                    "allow_private 为 true、false 或网段列表".into(),
                    "`allow_private` is true, false or a list of networks".into(),
                ),
            }
        }
        if let Some(ca) = node.get("ca") {
            match SecretString::read(ca, secrets) {
                Ok(pem) => match certificates(pem.expose_secret()) {
                    Some(found) => rules.authorities = found,
                    None => wrong(ca, "ca 中没有 PEM 证书".into(), "`ca` holds no PEM certificate".into()),
                },
                Err(text) => wrong(ca, text.zh, text.en),
            }
        }
        rules
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// At least one, and nothing that is none.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}

impl HostPort {
    /// Of `host` or `host:port`; an IPv6 address with a port stands in brackets.
    pub fn parse(text: &str) -> Option<HostPort> {
        let bare = text.parse::<std::net::Ipv6Addr>().map(|v6| format!("[{v6}]")).unwrap_or(text.to_owned());
        let url = Url::parse(&format!("http://{bare}/")).ok()?;
        let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        let (_, port) = bare.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unzip();
        let port = port.map(str::parse).transpose().ok()?;
        plain.then(|| host_of(&url).map(|host| HostPort { host, port }))?
    }
}

fn host_of(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Domain(name) => Some(name.trim_end_matches('.').to_owned()).filter(|name| !name.is_empty()),
        Host::Ipv4(v4) => Some(v4.to_string()),
        Host::Ipv6(v6) => Some(v6.to_string()),
    }
}

/// Everything a connection may reach.
#[derive(Clone, Default)]
pub struct Egress {
    hosts: Vec<HostPort>,
    rules: EgressRules,
}

impl Egress {
    /// Of the addresses in a connection's settings, and its rules.
    pub fn new(addresses: &[Url], rules: EgressRules) -> Egress {
        let named = addresses.iter().filter_map(|url| {
            Some(HostPort { host: host_of(url)?, port: Some(url.port_or_known_default()?) })
        });
        Egress { hosts: named.chain(rules.hosts.iter().cloned()).collect(), rules }
    }

    /// And of hosts that settings name without a URL.
    pub fn and(mut self, named: impl IntoIterator<Item = HostPort>) -> Egress {
        self.hosts.extend(named);
        self
    }

    /// Certificates trusted besides the system's.
    pub(crate) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.rules.authorities
    }

    /// Whether a call may go to this address at all. For a name, where it leads is checked when it is known.
    pub fn admit(&self, url: &Url) -> Result<(), Blocked> {
        let host = host_of(url).unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unnamed(&host));
        }
        self.admit_host(&host, url.port_or_known_default())
    }

    /// The same of a host that no URL names, written as [`HostPort`] has it.
    pub(crate) fn admit_host(&self, host: &str, port: Option<u16>) -> Result<(), Blocked> {
        let is_named =
            self.hosts.iter().any(|known| known.host == host && (known.port.is_none() || known.port == port));
        if !is_named {
            return Err(unnamed(host));
        }
        match host.parse() {
            Ok(address) => self.admit_address(address, true),
            Err(_) => Ok(()),
        }
    }

    /// Those of a name's addresses to which a socket may be opened; why not, where that is none of them.
    pub(crate) fn open(&self, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Blocked> {
        let mut blocked = None;
        let mut open = Vec::new();
        for address in found {
            match self.admit_address(address, false) {
                Ok(()) => open.push(address),
                Err(why) => blocked = Some(why),
            }
        }
        match blocked {
            Some(why) if open.is_empty() => Err(why),
            _ => Ok(open),
        }
    }

    /// Whether a socket may be opened to this address. `literal`: the settings hold it as it is.
    fn admit_address(&self, address: IpAddr, literal: bool) -> Result<(), Blocked> {
        let reached = reach(address);
        let inner = unwrapped(address);
        let is_named =
            self.rules.networks.iter().any(|network| network.contains(&address) || network.contains(&inner));
        let open = match reached {
            Reach::Public => true,
            Reach::Private => literal || self.rules.all_private || is_named,
            Reach::Metadata => is_named,
            Reach::Never => false,
        };
        if open {
            return Ok(());
        }
        Err(Blocked(match reached {
            Reach::Never | Reach::Public => Text::new(
                format!("{address} 不是可连接的地址"),
                format!("{address} is no address to connect to"),
            ),
            Reach::Private | Reach::Metadata => Text::new(
                format!("{address} 属于内部网络：如确属目标系统，请设置 egress.allow_private"),
                format!(
                    "{address} is in an inner network: if that is where the system is, set `egress.allow_private`"
                ),
            ),
        }))
    }
}

fn unnamed(host: &str) -> Blocked {
    Blocked(Text::new(
        format!("连接未列出主机 {host}：请加入 egress.hosts"),
        format!("the connection does not name the host {host}: add it to `egress.hosts`"),
    ))
}

/// Answers for names; the system's resolver, or a test's.
pub(crate) trait Lookup: Send + Sync {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// The system's resolver.
pub(super) struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
        })
    }
}

/// The resolver of a connection's client: checked addresses only.
pub(super) struct Checked {
    pub egress: Arc<Egress>,
    pub lookup: Arc<dyn Lookup>,
}

impl reqwest::dns::Resolve for Checked {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let found = self.lookup.lookup(name.as_str().to_owned());
        let egress = Arc::clone(&self.egress);
        Box::pin(async move {
            let open = egress.open(found.await?)?;
            let addresses: reqwest::dns::Addrs =
                Box::new(open.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_model::yaml;

    struct NoSecrets;

    impl Secrets for NoSecrets {
        fn env(&self, _: &str) -> Result<SecretString, Text> {
            Ok("no certificate".to_owned().into())
        }

        fn file(&self, _: &str) -> Result<SecretString, Text> {
            Err(Text::new("x", "x"))
        }
    }

    fn read(text: &str) -> (EgressRules, usize) {
        let mut findings = Findings::new("x");
        let node = yaml::parse(text, &mut findings).unwrap();
        let rules = EgressRules::read(&node, &NoSecrets, &mut findings);
        (rules, findings.into_sorted().len())
    }

    fn admits(rules: &str, named: &str, called: &str) -> bool {
        let (rules, wrong) = read(rules);
        assert_eq!(wrong, 0, "{named}");
        Egress::new(&[named.parse().unwrap()], rules).admit(&called.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_what_is_named_is_called() {
        for (rules, named, called, open) in [
            ("{}", "https://erp.example.com/k3cloud/", "https://ERP.example.com./other", true),
            ("{}", "https://erp.example.com/", "https://erp.example.com:8443/", false),
            ("{}", "https://erp.example.com/", "http://erp.example.com/", false),
            ("{}", "https://erp.example.com/", "https://erp.example.com.evil.net/", false),
            ("{}", "https://erp.example.com/", "https://1.2.3.4/", false),
            ("hosts: [files.example.com]", "https://a.cn/", "https://files.example.com:9/", true),
            ("hosts: ['files.example.com:443']", "https://a.cn/", "http://files.example.com/", false),
            // A literal is consent to itself, in every way of writing it, and to nothing beside it.
            ("{}", "http://127.0.0.1:8490/", "http://0x7f.1:8490/", true),
            ("{}", "http://127.0.0.1:8490/", "http://127.0.0.1:6379/", false),
            ("{}", "http://127.0.0.1:8490/", "http://[::1]:8490/", false),
            ("{}", "http://[::1]:80/", "http://[0:0::1]/", true),
            ("{}", "http://10.1.2.3/", "http://10.1.2.4/", false),
            // Metadata services need to be named as a network, and some addresses nobody can open.
            ("{}", "http://169.254.169.254/", "http://169.254.169.254/", false),
            ("allow_private: true", "http://169.254.169.254/", "http://169.254.169.254/", false),
            ("allow_private: true", "http://100.100.100.200/", "http://100.100.100.200/", false),
            ("allow_private: [169.254.0.0/16]", "http://169.254.1.1/", "http://169.254.1.1/", true),
            ("{}", "http://[::ffff:169.254.169.254]/", "http://[::ffff:169.254.169.254]/", false),
            ("allow_private: [0.0.0.0/0]", "http://0.0.0.0/", "http://0.0.0.0/", false),
        ] {
            assert_eq!(admits(rules, named, called), open, "{rules} {named} {called}");
        }
        assert!(Egress::default().admit(&"https://example.com".parse().unwrap()).is_err());
    }

    #[test]
    fn names_lead_inside_only_where_that_is_allowed() {
        for (rules, address, open) in [
            ("{}", "8.8.8.8", true),
            ("{}", "10.0.0.1", false),
            ("{}", "::ffff:10.0.0.1", false),
            ("allow_private: true", "10.0.0.1", true),
            ("allow_private: true", "127.0.0.1", true),
            ("allow_private: true", "169.254.169.254", false),
            ("allow_private: [10.0.0.0/8]", "10.9.9.9", true),
            ("allow_private: [10.0.0.0/8]", "::ffff:10.9.9.9", true),
            ("allow_private: [10.0.0.0/8]", "192.168.0.1", false),
            ("allow_private: [fd12::/16]", "fd12::1", true),
            ("allow_private: [10.1.2.3]", "10.1.2.4", false),
        ] {
            let egress = Egress::new(&[], read(rules).0);
            assert_eq!(
                egress.admit_address(address.parse().unwrap(), false).is_ok(),
                open,
                "{rules} {address}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in [
            "hosts: ['http://x/']",
            "hosts: ['a:99999']",
            "allow_private: [10.0.0.0/33]",
            "allow_private: yes please",
            "ca: { env: X }",
            "ca: { file: X }",
            "hots: [x]",
        ] {
            assert_eq!(read(text).1, 1, "{text}");
        }
    }
}
