//! Yonyou U8 EAI (用友 U8): `POST /U8EAI/import.asp`, XML both ways.
//!
//! Sources: the vendor's document "U8开发之EAI接口" with its import templates and Java sample (envelope, receipt, query,
//! `Y`/`N` flags), notes of integrators measured on U8 12.0 and on test account sets (texts, empty keys, attribute order,
//! answers without a charset). What none of them settles is a setting of [`U8Config`](crate::U8Config): the charset and
//! declaration of answers, the text for an unknown sender, whether amounts are worked out anew, whether conditions are
//! honoured.

mod archives;
mod import;
mod openapi;
mod openapi_config;
mod openapi_documents;
#[cfg(test)]
mod openapi_tests;
mod query;
mod store;
mod templates;
#[cfg(test)]
mod tests;
mod xml;

use axum::http::Method;

pub(crate) use self::archives::{add_stock, archive_rows, put_archive, remove_archive};
pub(crate) use self::openapi::{accept as accept_open, serves as serves_open, tick};
pub use self::openapi_config::U8OpenApiConfig;
pub use self::store::U8Change;
pub(crate) use self::store::{State, book, cent_off, change, document, orders, pay, receipts};
use self::{
    import::Item,
    query::Filter,
    templates::{Template, template},
    xml::{Style, Tag},
};
use crate::{
    faults::{Fault, System, hash},
    wire::{
        drive::html,
        message::{HTML, Incoming, Job, Reply, Step},
    },
    world::{World, lock},
};

/// Classic ASP names no charset.
const TEXT: &str = "text/html";

/// Whether a path belongs to this system: IIS knows no letter case.
pub(crate) fn serves(path: &str) -> bool {
    path.eq_ignore_ascii_case("/U8EAI/import.asp")
}

/// Reads the envelope and prepares the work. There is no login: the sender's code is all there is.
pub(crate) fn accept(world: &World, request: Incoming) -> Step {
    let config = &world.config.u8;
    if request.method == Method::GET {
        return Step::Done(Reply::text(200, HTML, "正常"));
    }
    if request.method != Method::POST {
        return Step::Done(html(405, None));
    }
    if config.request_limit.is_some_and(|limit| request.body.len() > limit) {
        return Step::Done(html(413, None));
    }
    // The content type is ignored; a text that MSXML cannot load ends the page.
    let Some(envelope) = xml::read(&request.body).filter(|root| root.name == "ufinterface") else {
        return Step::Done(html(500, None));
    };
    let roottag = envelope.attribute("roottag").to_owned();
    let operation = envelope.attribute("proc").to_ascii_lowercase();
    let call = Call { known: template(&roottag), operation, envelope };
    if call.envelope.attribute("sender") != config.sender {
        let item = Item::failed("", "1", config.unknown_sender.as_str());
        return Step::Done(call.receipt(world, vec![item], None));
    }
    let keys = call.keys();
    let operation = format!("{} {roottag}", call.operation);
    Step::Work(Job {
        system: System::U8,
        operation,
        keys,
        run: Box::new(move |world, fault| call.run(world, fault)),
    })
}

/// A message that came in.
struct Call {
    known: Option<&'static Template>,
    operation: String,
    envelope: Tag,
}

impl Call {
    fn documents(&self) -> impl Iterator<Item = &Tag> {
        let name = self.envelope.attribute("roottag");
        self.envelope.children.iter().filter(move |tag| tag.name == name)
    }

    /// Numbers it is about, for fault scripts.
    fn keys(&self) -> Vec<String> {
        let Some(known) = self.known else { return Vec::new() };
        if self.operation == "query" {
            return Filter::read(known, self.documents().next())
                .map(|filter| filter.values())
                .unwrap_or_default();
        }
        self.documents().map(|document| import::number(known, document)).collect()
    }

    fn run(&self, world: &World, fault: Option<&Fault>) -> Reply {
        let Some(known) = self.known else {
            return self.receipt(world, vec![Item::failed("", "1", "暂不提供此项功能")], fault);
        };
        let key = self.keys().first().cloned().unwrap_or_default();
        let refused = match fault {
            Some(Fault::Throttled { .. } | Fault::EditLock) => Some("系统忙，稍后再试！".to_owned()),
            Some(Fault::RuntimeError { after_commit: false }) => Some(RUNTIME.to_owned()),
            Some(Fault::RuntimeError { after_commit: true }) => {
                self.work(world, known);
                Some(RUNTIME.to_owned())
            }
            Some(Fault::DuplicateAccepted) => {
                self.work(world, known);
                Some(format!("{}编号 {key} 已经存在，不可重复！", known.label))
            }
            // It says yes, names nothing, and nothing was written.
            Some(Fault::NothingWritten) => {
                let item = Item { succeed: "0".to_owned(), ..Item::failed("", "", "") };
                return self.receipt(world, vec![item], fault);
            }
            _ => None,
        };
        if let Some(text) = refused {
            return self.receipt(world, vec![Item::failed(&key, "1", text)], fault);
        }
        if self.operation == "query" {
            return self.query(world, known);
        }
        let items = self.work(world, known);
        self.receipt(world, items, fault)
    }

    /// Writes: each document on its own, so that a bad one leaves the others standing.
    fn work(&self, world: &World, known: &'static Template) -> Vec<Item> {
        let mut state = lock(&world.u8);
        let recompute = world.config.u8.recompute;
        let number = |document: &Tag| import::number(known, document);
        match self.operation.as_str() {
            "add" if known.roottag == "voucher" && !self.may_add_voucher() => {
                vec![Item::failed("", "1", "renewproofno、newadd、import 的组合不合法")]
            }
            "add" => {
                let items =
                    self.documents().flat_map(|document| import::add(&mut state, known, document, recompute));
                items.collect()
            }
            "delete" if !known.number.is_empty() => {
                let items = self.documents().map(|document| {
                    let number = number(document);
                    if state.remove(known, &number) {
                        Item { text: "ok".to_owned(), ..Item::failed(&number, "0", "") }
                    } else {
                        Item::failed(&number, "1", format!("{} {number} 不存在！", known.label))
                    }
                });
                items.collect()
            }
            _ => vec![Item::failed("", "1", "暂不提供此项功能")],
        }
    }

    /// Of the combinations that exist those two that add.
    fn may_add_voucher(&self) -> bool {
        let flag = |name: &str| self.envelope.attribute(name).to_ascii_lowercase();
        matches!(flag("renewproofno").as_str(), "y" | "n")
            && matches!((flag("newadd").as_str(), flag("import").as_str()), ("y", "n") | ("n", "y"))
    }

    fn query(&self, world: &World, known: &'static Template) -> Reply {
        let config = &world.config.u8;
        let filter = match Filter::read(known, self.documents().next()) {
            Ok(filter) => filter,
            Err(text) => return self.receipt(world, vec![Item::failed("", "1", text)], None),
        };
        let limit = self.envelope.attribute("maxdataitems").parse().unwrap_or(20_000);
        // Root attributes are echoed.
        let mut root = Tag { children: Vec::new(), text: String::new(), ..self.envelope.clone() };
        {
            let state = lock(&world.u8);
            let taken =
                |document: &&store::Document| config.ignore_conditions || filter.takes(known, document);
            let found = state.all(known.roottag).iter().filter(taken).take(limit);
            root.children =
                found.map(|document| query::export(known, document, config.dates_with_time)).collect();
        }
        answer(world, &root)
    }

    /// A receipt: sender and receiver change places, `docid` and `proc` are echoed.
    fn receipt(&self, world: &World, items: Vec<Item>, fault: Option<&Fault>) -> Reply {
        let asked = |name: &str| self.envelope.attribute(name).to_owned();
        let is_voucher = asked("roottag") == "voucher";
        let mut root = Tag::new("ufinterface");
        root.set("roottag", if is_voucher { "voucheraddreturn" } else { "return" });
        root.set("docid", asked("docid"));
        root.set("proc", asked("proc"));
        root.set("sender", "u8");
        root.set("receiver", asked("sender"));
        root.set("request-roottag", asked("roottag"));
        root.children = items.into_iter().map(|item| shown(world, item, fault)).collect();
        answer(world, &root)
    }
}

/// A runtime error of the page that leaks through.
const RUNTIME: &str = "未设置对象变量或 With block 变量";

/// An item as it is printed. Success comes as `ok` or without a text, with a key, with an empty one or with none.
fn shown(world: &World, item: Item, fault: Option<&Fault>) -> Tag {
    let config = &world.config.u8;
    let draw = hash(format!("{}|{}", world.config.seed, item.key).as_bytes());
    let is_done = item.succeed == "0" && fault != Some(&Fault::NothingWritten);
    let text = if is_done && draw.is_multiple_of(3) { String::new() } else { item.text };
    let mut tag = Tag::new("item");
    if let Some(entry) = item.entry {
        // Items of vouchers have no key.
        for (name, value) in [
            ("accounting_period", ""),
            ("voucher_type", ""),
            ("voucher_id", ""),
            ("entry_id", entry.as_str()),
            ("succeed", item.succeed.as_str()),
            ("dsc", text.as_str()),
            ("u8accounting_period", ""),
            ("u8voucher_id", item.u8key.as_str()),
        ] {
            tag.set(name, value);
        }
        return tag;
    }
    // By the vendor's text the key is that of a line; in practice it is the document's number.
    let key = if config.keys_of_lines && is_done { "MAT0001".to_owned() } else { item.key };
    tag.set("key", key);
    tag.set("succeed", item.succeed);
    tag.set("dsc", text);
    match draw % 5 {
        _ if !is_done => {}
        0 => {}
        1 => tag.set("u8key", ""),
        // Sometimes not the newest one.
        2 => tag.set("u8key", "1000000000"),
        _ => tag.set("u8key", item.u8key),
    }
    if draw.is_multiple_of(2) {
        tag.attributes.reverse();
    }
    tag
}

/// Prints an answer; what is free in its form varies from one to the next.
fn answer(world: &World, root: &Tag) -> Reply {
    let config = &world.config.u8;
    let count = {
        let mut state = lock(&world.u8);
        state.answers += 1;
        state.answers
    };
    let draw = hash(format!("{}|u8|{count}", world.config.seed).as_bytes());
    let bit = |at: u32| draw >> at & 1 == 1;
    let declares = config.declare_encoding;
    let style = Style {
        charset: config.response_charset,
        declaration: declares || bit(1),
        encoding: declares,
        open: bit(2),
        single: bit(3),
    };
    Reply::text(200, TEXT, xml::print(root, style))
}
