//! `bank`: statement files. Counter CSV, MT940, CAMT.053 and the bills of Alipay and WeChat Pay, told apart by their
//! content, every row accounted for.
//!
//! Nothing is called and nothing is pushed: files come in by the command line, the API or a watched folder. The formats'
//! facts and their sources are in `README.md`.

mod camt;
mod entry;
mod fit;
pub mod kit;
pub mod layout;
mod mt940;
mod statement;
mod table;
mod text;
mod totals;

use layout::Layout;
use std::path::PathBuf;
use std::sync::Arc;
use tongbao_connect::settings::{Secrets, Setting, ValueKind};
use tongbao_connect::{
    Built, Connector, Contents, Context, Decoded, DocumentKind, Files, Inbound, Settings, Source, Watch,
    settings,
};
use tongbao_model::diagnostic::Findings;
use tongbao_model::record::BankEntry;
use tongbao_model::shape::Shape;
use tongbao_model::yaml::{Content, Node};
use tongbao_model::{Code, Fault, Text};

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "bank",
    summary: (
        "银行与支付平台对账单文件：柜台 CSV、MT940、CAMT.053、支付宝与微信账单",
        "Statement files of banks and payment platforms: counter CSV, MT940, CAMT.053, Alipay and WeChat bills",
    ),
    spec: BankSettings::spec,
    documents: || {
        vec![DocumentKind {
            shape: Shape { name: entry::KIND.into(), ..BankEntry::shape() },
            open: false,
            key: None,
        }]
    },
    build,
};

settings! {
    /// Settings of a `bank` connection.
    BankSettings {
        /// Own accounts: a file of another one is refused, and one that names none belongs to the only one. Any, when empty.
        accounts: Vec<String> => (Vec::new()),
        /// Column layouts by name, for files that no built-in layout fits; they come before those.
        layouts: Option<Layouts> => (optional),
        /// Folder that files are taken from, relative to the configuration file's; none is watched without it.
        folder: Option<String> => (optional),
        /// Pause between two looks at the folder, in milliseconds. A file is taken when it did not change between two looks.
        every_ms: u64 => (5_000),
        /// Largest file, in bytes.
        file_bytes_max: u64 => (32 * 1024 * 1024),
    }
}

/// Layouts as they stand in the settings.
#[derive(Debug, Clone)]
pub struct Layouts(Node);

impl Setting for Layouts {
    const KIND: ValueKind = ValueKind::Map;
    fn read(node: &Node, _: &dyn Secrets) -> Result<Self, Text> {
        match node.content {
            Content::Map(_) => Ok(Layouts(node.clone())),
            Content::Null | Content::Scalar { .. } | Content::List(_) => {
                Err(Text::new("应为布局名到布局的映射", "expected a mapping of names to layouts"))
            }
        }
    }
}

fn build(settings: &Settings<'_>, _: Context, findings: &mut Findings) -> Option<Built> {
    let checked = BankSettings::read(settings, findings)?;
    let mut own = Vec::new();
    for entry in checked.layouts.iter().flat_map(|layouts| layouts.0.entries()) {
        own.push(layout::read(&entry.key, &entry.value, findings)?);
    }
    let built_in = layout::built_in(findings);
    if checked.every_ms == 0 || checked.file_bytes_max == 0 {
        findings.error(
            "config-value",
            settings.node.place,
            "every_ms 与 file_bytes_max 应大于 0",
            "`every_ms` and `file_bytes_max` must be more than 0",
        );
        return None;
    }
    let bytes_max = usize::try_from(checked.file_bytes_max).unwrap_or(usize::MAX);
    let watch =
        checked.folder.map(|folder| Watch { folder: PathBuf::from(folder), every_ms: checked.every_ms });
    let bank = Bank { accounts: checked.accounts, own, built_in, watch, bytes_max };
    Some(Built { source: Some(Arc::new(bank)), ..Built::default() })
}

struct Bank {
    accounts: Vec<String>,
    own: Vec<Layout>,
    built_in: Vec<Layout>,
    watch: Option<Watch>,
    bytes_max: usize,
}

impl Bank {
    /// Holds every statement to the accounts that are ours.
    fn own(&self, account: &mut String) -> Result<(), Fault> {
        if account.is_empty() {
            return match self.accounts.as_slice() {
                [only] => {
                    account.clone_from(only);
                    Ok(())
                }
                _ => Err(Fault::new(Code::FieldMissing, "文件未写明账号", "the file names no account")
                    .at("account")
                    .remedy(
                        "在该连接的 accounts 中只写这一个账号，或每个账号各设一个连接。",
                        "Name this one account under the connection's `accounts`; make one connection for each account.",
                    )),
            };
        }
        if self.accounts.is_empty() || self.accounts.contains(account) {
            return Ok(());
        }
        let tail = text::tail(account);
        Err(Fault::new(
            Code::Refused,
            format!("账号 …{tail} 不在该连接的 accounts 中"),
            format!("the account …{tail} is none of the connection's `accounts`"),
        )
        .at("account")
        .remedy(
            "核对文件属于哪个账户；若确为本单位账户，加入 accounts。",
            "See whose file it is; if the account is ours, add it to `accounts`.",
        ))
    }
}

impl Files for Bank {
    fn read(&self, bytes: &[u8]) -> Result<Contents, Fault> {
        if bytes.len() > self.bytes_max {
            let max = self.bytes_max;
            return Err(Fault::new(
                Code::BodyTooLarge,
                format!("文件超过 {max} 字节"),
                format!("the file has more than {max} bytes"),
            )
            .at("file")
            .remedy(
                "按较短的日期区间导出，或提高 file_bytes_max。",
                "Export fewer days, or raise `file_bytes_max`.",
            ));
        }
        refuse_binary(bytes)?;
        let mut book = if camt::is_it(bytes) {
            camt::read(bytes)?
        } else {
            let (content, _) = text::decode(bytes)?;
            if mt940::is_it(&content) {
                mt940::read(&content)?
            } else {
                table::read(&content, &self.own, &self.built_in)?
            }
        };
        for statement in &mut book.statements {
            self.own(&mut statement.account)?;
        }
        book.settle()?;
        let documents = entry::documents(&book)?;
        Ok(Contents { documents, facts: entry::FACTS, about: entry::about(&book)? })
    }

    fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    fn watch(&self) -> Option<Watch> {
        self.watch.clone()
    }
}

/// Files that people take for statements and that are none, told from their first bytes.
fn refuse_binary(bytes: &[u8]) -> Result<(), Fault> {
    let refuse = |zh: &str, en: &str, way_zh: &str, way_en: &str| {
        Err(Fault::new(Code::LayoutUnknown, zh, en).at("file").remedy(way_zh, way_en))
    };
    if bytes.starts_with(b"PK") {
        return refuse(
            "这是压缩包或 XLSX 工作簿",
            "this is an archive or an XLSX workbook",
            "压缩包请先解压，导入其中的明细 CSV；工作簿请另存为 CSV。",
            "Unpack an archive and import the CSV of details in it; save a workbook as CSV.",
        );
    }
    if bytes.starts_with(b"\xD0\xCF\x11\xE0") || bytes.starts_with(b"%PDF") {
        return refuse(
            "这是 XLS 工作簿或 PDF",
            "this is an XLS workbook or a PDF",
            "请从网银导出 CSV、MT940 或 CAMT.053。",
            "Export CSV, MT940 or CAMT.053 from the bank's site.",
        );
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return refuse("文件为空", "the file is empty", "请重新下载。", "Download it again.");
    }
    Ok(())
}

impl Source for Bank {
    /// Nobody signs a statement file: none is taken from a request that is not an operator's.
    fn verify(&self, _: &Inbound, _: i64) -> Result<(), Fault> {
        Err(by_file(Code::SignatureInvalid))
    }

    fn decode(&self, _: &Inbound) -> Result<Decoded, Fault> {
        Err(by_file(Code::BodyInvalid))
    }

    fn files(&self) -> Option<&dyn Files> {
        Some(self)
    }
}

fn by_file(code: Code) -> Fault {
    Fault::new(code, "该连接不接收推送", "nothing is pushed to this connection").remedy(
        "用 tongbao bank import、API 或监视的文件夹导入文件。",
        "Import files by `tongbao bank import`, the API or the watched folder.",
    )
}
