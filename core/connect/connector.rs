//! The connector value.

use crate::document::DocumentKind;
use crate::http::{Client, Egress, EgressRules, HostPort};
use crate::masters::Masters;
use crate::settings::{Settings, Spec, ValueKind};
use crate::source::Source;
use crate::target::Target;
use std::sync::Arc;
use tongbao_model::diagnostic::Findings;

/// Speaks one system's protocol. One static value per connector, listed in the registry.
pub struct Connector {
    /// Name in configuration files: the system's, in lower case with hyphens.
    pub name: &'static str,
    /// One sentence each: Chinese, English.
    pub summary: (&'static str, &'static str),
    /// Settings and secrets it takes.
    pub spec: fn() -> Spec,
    /// Documents it reads and writes.
    pub documents: fn() -> Vec<DocumentKind>,
    /// Makes a connection of checked settings; called by [`Connector::connect`] alone. Performs no I/O: sessions are opened by the first call.
    /// `None` when the settings are wrong; why is in the findings, all of it in one run.
    pub build: fn(&Settings<'_>, Context, &mut Findings) -> Option<Built>,
}

impl Connector {
    /// Makes a connection whose client reaches only the addresses in its settings, and what `rules` add. Performs no
    /// I/O. `None` when the settings are wrong; why is in the findings.
    pub fn connect(
        &self,
        settings: &Settings<'_>,
        rules: EgressRules,
        context: Context,
        findings: &mut Findings,
    ) -> Option<Built> {
        let fields = (self.spec)().fields;
        let texts = |kind| {
            let of_kind = fields.iter().filter(move |field| field.kind == kind);
            of_kind.filter_map(|field| settings.node.get(field.name)?.text())
        };
        let addresses: Vec<url::Url> = texts(ValueKind::Url).filter_map(|text| text.parse().ok()).collect();
        let hosts = texts(ValueKind::Host).filter_map(HostPort::parse);
        let egress = Egress::new(&addresses, rules).and(hosts);
        let context = Context { http: Client::to(egress), ..context };
        (self.build)(settings, context, findings)
    }
}

/// What a connection is made with besides its settings.
#[derive(Clone)]
pub struct Context {
    /// Name of the connection.
    pub connection: String,
    /// The HTTP client; [`Connector::connect`] puts the connection's own here.
    pub http: Client,
    /// Milliseconds since 1970 UTC.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Fresh randomness for nonces.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Context {
    /// Now, in milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Now, in whole seconds since 1970 UTC.
    pub fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }
}

/// A connection: what a connector can do with given settings. What it cannot do is absent.
#[derive(Default, Clone)]
pub struct Built {
    /// Reads from the system.
    pub source: Option<Arc<dyn Source>>,
    /// Writes to the system.
    pub target: Option<Arc<dyn Target>>,
    /// Says what customers and materials it has, and what is in stock.
    pub masters: Option<Arc<dyn Masters>>,
}
