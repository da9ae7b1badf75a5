//! The command line.

mod compare;
pub mod invoices;
pub mod payments;

pub use compare::{BenchCompareArgs, Charset, CompareArgs, CompareEngine, Once};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// 通宝：CRM 与 ERP、税务、银行之间的财务集成中间件。
/// Tongbao: finance and ERP integration beside the CRM.
#[derive(Debug, Parser)]
#[command(name = "tongbao", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// 配置文件 / configuration file
    #[arg(short, long, global = true, default_value = "tongbao.yaml")]
    pub config: PathBuf,
    /// 以 JSON 输出 / print data as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "退出码 / exit codes: 0 正常 ok · 1 有问题 something is not well · 2 用法错误 wrong usage · \
3 配置或映射有误 wrong configuration or mapping · 4 数据库、消息中间件或端口不可用 database, broker or port not available · 5 映射改动会改变金额 a change of a mapping changes money";

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// 运行服务 / run the service
    Serve,
    /// 一台机器上看完整流程 / see the whole job on this machine, nothing else needed
    Demo(DemoArgs),
    /// 离线检查配置与映射 / check configuration and mappings, offline
    Check {
        /// 密钥不在本机时仍可检查 / check on a machine that has no secrets
        #[arg(long)]
        without_secrets: bool,
    },
    /// 在线检查数据库、消息中间件与各连接 / check database, broker and connections, live
    Doctor,
    /// 运行各外部系统的替身 / run the stand-ins of the far systems
    Sandbox(SandboxArgs),
    /// 字段映射 / mappings
    #[command(subcommand)]
    Mapping(MappingCommand),
    /// 基础资料对照表 / code tables
    #[command(subcommand)]
    Tables(TablesCommand),
    /// 实时查询 ERP / live questions to an ERP
    #[command(subcommand)]
    Query(QueryCommand),
    /// 投递 / deliveries
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// 银行对账单 / bank statements
    #[command(subcommand)]
    Bank(BankCommand),
    /// 连接的暂停与恢复 / pausing and resuming connections
    #[command(subcommand)]
    Connections(ConnectionsCommand),
    /// 连接器：认证与新建 / connectors: certifying them, beginning new ones
    #[command(subcommand)]
    Connector(ConnectorCommand),
    /// 维护前排空：停止接收，办完已收的 / before maintenance: take nothing more in, work off what is there
    Drain(DrainArgs),
    /// 把早已办结的移入归档文件 / move what has been finished for long into archive files
    Archive(ArchiveArgs),
    /// 由任一编号追溯全程 / from any number to everything that happened
    Explain {
        /// 合同号、订单号、发票号、收款单号 / number of a contract, order, invoice or receipt
        number: String,
    },
    /// JSON Schema of canonical records
    Schema {
        /// Name of the record; a list of names without one.
        record: Option<String>,
    },
    /// 故障模拟：同一种子重现同一过程 / simulation of faults; a seed is a run that can be repeated
    Sim(SimArgs),
    /// 收款核销 / payments and what they pay
    #[command(subcommand)]
    Recon(ReconCommand),
    /// 性能测量 / benchmarks, each against a limit measured in the same run
    #[command(subcommand)]
    Bench(BenchCommand),
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// 打印结果后退出 / leave after the table
    #[arg(long)]
    pub exit: bool,
    /// 数据目录，默认为临时目录 / data folder; a temporary one by default
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// 监听地址 / address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: String,
}

/// Options of `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// 协议端口 / port of the protocols
    #[arg(long, default_value_t = 8490)]
    pub port: u16,
    /// 控制端口 / port of the controls
    #[arg(long, default_value_t = 8491)]
    pub control_port: u16,
    /// 邮件端口 / port of the mail server
    #[arg(long, default_value_t = 8492)]
    pub mail_port: u16,
    /// 随机种子 / seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Options of `sim`.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// 种子数 / how many seeds
    #[arg(long, default_value_t = 200)]
    pub seeds: u64,
    /// 起始种子 / the first one
    #[arg(long, default_value_t = 1)]
    pub from: u64,
    /// 只运行一个种子并显示每一步 / one seed, with every step
    #[arg(long)]
    pub seed: Option<u64>,
    /// 故意犯一个错误，检验模拟能否发现 / make a mistake on purpose, to see that it is seen
    #[arg(long)]
    pub bug: Option<String>,
}

/// `mapping …`
#[derive(Debug, Subcommand)]
pub enum MappingCommand {
    /// 检查映射文件，一次说完 / check mapping files: every mistake in one run
    Check {
        /// 文件或目录 / files or folders
        #[arg(default_value = "mappings")]
        paths: Vec<PathBuf>,
        /// 输出形式 / form of the output
        #[arg(long, value_enum, default_value_t)]
        format: CheckFormat,
        /// 先把较早格式版本的文件改写成现在的版本 / first rewrite files of an earlier version of the format to today's
        #[arg(long)]
        fix: bool,
    },
    /// 统一排版 / lay mapping files out in the one way
    Fmt {
        /// 文件或目录 / files or folders
        #[arg(default_value = "mappings")]
        paths: Vec<PathBuf>,
        /// 只列出未按此排版的文件 / only list files that are not laid out so
        #[arg(long)]
        check: bool,
    },
    /// 哪些字段没有测试碰到 / which fields no test touches
    Coverage {
        /// 文件或目录 / files or folders
        #[arg(default_value = "mappings")]
        paths: Vec<PathBuf>,
        /// 有遗漏即失败 / fail when any is left
        #[arg(long)]
        strict: bool,
    },
    /// 真实单据经两个版本，逐字段比较，金额在前 / real documents through two versions, field by field, money first
    Diff(DiffArgs),
    /// 由两端生成新映射的开头 / the beginning of a new mapping from its two ends
    New(NewArgs),
    /// 映射文件的 JSON Schema，供编辑器使用 / JSON Schema of mapping files, for editors
    Schema {
        /// 目标单据：补全其字段 / target document, to complete its fields
        #[arg(long)]
        to: Option<String>,
    },
    /// 随机发票经开票映射，逐行核对金额规则 / random invoices through the e-invoice mappings, each line against the amount rules
    Prove(ProveArgs),
    /// 打印语言参考 / print the reference of the language
    Reference,
    /// 运行中的服务在用哪些版本，哪些改动未生效 / which versions the running service uses, which edits it did not take over
    Status,
    /// 令运行中的服务立即重载已改动的映射与对照表 / have the running service take edited mappings and code tables over now
    Reload,
    /// 运行映射文件自带的测试 / run the tests that mapping files carry
    Test {
        /// 文件或目录 / files or folders
        #[arg(default_value = "mappings")]
        paths: Vec<PathBuf>,
    },
    /// 逐字段说明一份单据如何得出 / say of every target field how it came about
    Explain {
        /// 映射名称 / name of the mapping
        #[arg(required_unless_present = "delivery")]
        mapping: Option<String>,
        /// JSON 单据文件，- 为标准输入 / the document as a JSON file, - for standard input
        #[arg(required_unless_present = "delivery")]
        input: Option<PathBuf>,
        /// 已存的投递：按当时的映射版本与对照表说明 / a stored delivery, by the mapping version and code tables that made it
        #[arg(long, conflicts_with_all = ["mapping", "input", "tables"])]
        delivery: Option<String>,
        /// 第几次尝试 / which attempt; the last one that used a mapping by default
        #[arg(long, requires = "delivery")]
        attempt: Option<u32>,
        /// 映射目录 / folders of mappings
        #[arg(long, default_value = "mappings")]
        mappings: Vec<PathBuf>,
        /// 使用数据库中的对照表 / use the code tables of the configured store
        #[arg(long)]
        tables: bool,
        /// 映射所查找的关联记录，名称=JSON 文件 / a related record that the mapping looks up: name=JSON file
        #[arg(long, conflicts_with = "delivery")]
        related: Vec<Named>,
    },
    /// 列出函数 / list the functions
    Functions,
}

/// How `mapping check` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum CheckFormat {
    /// 给人看 / for people
    #[default]
    Text,
    /// 一行一条，编辑器可直接跳转 / one finding a line, for editors to jump to
    Editor,
}

/// Options of `mapping diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// 现在的映射文件 / the mapping file as it is
    #[arg(long)]
    pub from: PathBuf,
    /// 改后的映射文件 / the mapping file as it is to be
    #[arg(long)]
    pub to: PathBuf,
    /// 最近多少份真实单据 / how many of the last real documents
    #[arg(long, default_value_t = 100)]
    pub last: usize,
    /// 流程，默认为使用该映射的流程 / flow; by default those that use the mapping
    #[arg(long)]
    pub flow: Option<String>,
    /// 改用这些 JSON 或 JSONL 文件 / JSON or JSONL files instead of the store
    #[arg(long, num_args = 1..)]
    pub inputs: Vec<PathBuf>,
    /// 与这些文件一起：关联记录，名称=JSON 文件 / with these files: a related record, name=JSON file
    #[arg(long, requires = "inputs")]
    pub related: Vec<Named>,
}

/// A file under a name: `name=file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
}

impl std::str::FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(Named { name: name.to_owned(), file: PathBuf::from(file) })
            }
            _ => Err("应为 名称=文件 / expected name=file"),
        }
    }
}

/// Options of `mapping prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// 多少张 / how many invoices
    #[arg(long, default_value_t = 1_000_000)]
    pub documents: u64,
    /// 起始种子 / the first seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Options of `mapping new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// 来源单据 / source document
    #[arg(long)]
    pub from: String,
    /// 目标单据 / target document
    #[arg(long)]
    pub to: String,
    /// 映射名称 / name of the mapping
    #[arg(long)]
    pub name: Option<String>,
}

/// `recon …`
#[derive(Debug, Subcommand)]
pub enum ReconCommand {
    /// 合同的应收账：订货、开票、收款、应收、预收、未收及其依据 / what a contract owes, and what that is made of
    Contract {
        /// 合同号 / number of the contract
        number: String,
        /// 截至何时 / as of when
        #[command(flatten)]
        when: AsOf,
    },
    /// 客户的应收账，逐合同并按币别合计 / what a customer owes, by contract and in all by currency
    Customer {
        /// 客户编码（CRM 的）/ code of the customer, as in the CRM
        code: String,
        /// 截至何时 / as of when
        #[command(flatten)]
        when: AsOf,
    },
    /// 客户月度对账单：期初、发票、收款、调整、期末、账龄 / a customer's statement of a month
    Statement(StatementArgs),
    /// 把对账单发给客户：附 PDF 与 Excel，带确认链接 / send a statement to its customer: PDF, Excel, and a link to confirm by
    Send(SendArgs),
    /// 对账单发送、确认与异议的记录 / what was sent, confirmed and disputed
    Sent(SentArgs),
    /// 结账：该月及以前各月冻结，迟到的单据列为下月调整 / close a month and all before it: what comes later is an adjustment
    Close {
        /// 月份，如 2026-10 / month, e.g. 2026-10
        month: String,
        /// 原因 / reason
        #[arg(long, default_value = "")]
        reason: String,
        /// 经办人，默认为系统用户 / who; the system's user by default
        #[arg(long)]
        by: Option<String>,
    },
    /// 反结账：重新打开最后一个已结账的月份 / open the last closed month again
    Reopen {
        /// 月份，如 2026-10 / month, e.g. 2026-10
        month: String,
        /// 经办人，默认为系统用户 / who; the system's user by default
        #[arg(long)]
        by: Option<String>,
    },
    /// 结账记录 / what was closed, by whom
    Closings,
    /// 证明导出的对账单与账面一致，逐行指出不符 / prove that an exported statement equals the books, naming each line that does not
    Verify {
        /// CSV、Excel 或 PDF 文件（PDF 只核对校验）/ CSV, Excel or PDF file; of a PDF only the checksum
        file: PathBuf,
    },
    /// 逐键比对两个导出文件，如银行流水与 ERP 收款 / two exports compared by key, e.g. the bank's and the ERP's receipts
    Compare(Box<CompareArgs>),
    /// 月结包：应收变动、核销、账面与银行调节、账龄、DSO 及趋势图 / month-end pack with the walk to the bank, ageing and DSO
    Pack(payments::PackArgs),
    /// 提成基数：该月每笔收款放行或收回多少，按业务员合计 / what commission is due on in a month, by payment and salesperson
    Commission(payments::CommissionArgs),
    /// 收款与核销 / payments and what they pay
    #[command(subcommand)]
    Payments(payments::PaymentsCommand),
    /// 开票控制：可开、已开、红冲与剩余 / what may be invoiced, is invoiced, was taken back and is left
    #[command(subcommand)]
    Invoices(invoices::InvoicesCommand),
    /// 三单匹配：订单、发票、收款逐合同核对，不一致时以 1 退出 / orders, invoices and receipts by contract; 1 where they do not agree
    Threeway(invoices::ThreeWayArgs),
    /// 用答案已知的收款检验自动核销 / automatic matching held against payments whose truth is known
    Bench {
        /// 多少笔收款 / how many payments
        #[arg(long, default_value_t = 100_000)]
        payments: usize,
        /// 种子 / seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

/// Options of `recon statement`.
#[derive(Debug, Args)]
pub struct StatementArgs {
    /// 客户编码（CRM 的）/ code of the customer, as in the CRM
    pub customer: String,
    /// 月份（中国时间），如 2026-10 / month in China
    #[arg(long)]
    pub month: String,
    /// 格式 / format
    #[arg(long, value_enum, default_value = "table")]
    pub format: StatementFormat,
    /// 写入文件 / write to a file
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// 信用期：开票后多少天内不算逾期 / days after its date for which an invoice is not due
    #[arg(long, default_value_t = 0)]
    pub credit_days: u32,
    /// 出具单位名称 / name of who issues it
    #[arg(long)]
    pub seller: Option<String>,
    /// 客户名称，默认取自其合同 / name of the customer; as in its contracts by default
    #[arg(long)]
    pub buyer: Option<String>,
    /// PDF 用的中文字体文件，默认取系统已装的 / file of a font with Chinese for a PDF; an installed one by default
    #[arg(long)]
    pub font: Option<PathBuf>,
    /// 截至何时 / as of when
    #[command(flatten)]
    pub when: AsOf,
}

/// Options of `recon send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// 客户编码 / code of the customer
    pub customer: String,
    /// 月份，如 2026-10 / the month, such as 2026-10
    pub month: String,
    /// 经办人，默认为系统用户 / who; the system's user by default
    #[arg(long)]
    pub by: Option<String>,
}

/// Options of `recon sent`.
#[derive(Debug, Args)]
pub struct SentArgs {
    /// 只看此客户 / this customer only
    pub customer: Option<String>,
    /// 只看此月 / this month only
    #[arg(long)]
    pub month: Option<String>,
}

/// Formats of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatementFormat {
    /// For a terminal.
    Table,
    /// For programs.
    Json,
    /// UTF-8 with a byte order mark.
    Csv,
    /// Excel.
    Xlsx,
    /// A4, to be stamped.
    Pdf,
}

impl StatementFormat {
    /// Whether it is nothing for a terminal.
    pub fn is_binary(self) -> bool {
        matches!(self, StatementFormat::Xlsx | StatementFormat::Pdf)
    }
}

/// A moment in the past.
#[derive(Debug, Args)]
pub struct AsOf {
    /// 截至何时所知：2026-11-30（至当日终）或 2026-11-30T18:00:00+08:00 / as far as was known then: a day to its end, or a time
    #[arg(long)]
    pub as_of: Option<String>,
}

/// `tables …`
#[derive(Debug, Subcommand)]
pub enum TablesCommand {
    /// 导入 CSV 或 XLSX（source,target,note,valid_from,valid_to）/ import a CSV or XLSX file
    Import {
        /// 表名 / name of the table
        table: String,
        /// 文件，- 为标准输入 / file, - for standard input
        file: PathBuf,
        /// 以文件内容完全替换 / the table holds exactly the file afterwards
        #[arg(long)]
        replace: bool,
        /// 只逐行说明会改什么 / only say row by row what would change
        #[arg(long)]
        dry_run: bool,
        /// 重放正缺这些编码的单据 / replay the documents that lacked these codes, and no others
        #[arg(long)]
        replay: bool,
    },
    /// 读取 ERP 的客户或物料，提出编码对应 / read the ERP's customers or materials and propose rows
    Propose(ProposeArgs),
    /// 导入 propose 写出且已在 confirm 列确认的行 / import the rows of a file of `propose` that were confirmed in it
    Confirm {
        /// 文件，.csv 或 .xlsx / file, .csv or .xlsx
        file: PathBuf,
        /// 谁确认的 / who confirms
        #[arg(long)]
        by: Option<String>,
        /// 重放正缺这些编码的单据 / replay the documents that lacked these codes, and no others
        #[arg(long)]
        replay: bool,
    },
    /// 挂起的单据在等哪些编码 / which codes parked documents wait for
    Missing {
        /// 只看此表 / this table only
        table: Option<String>,
    },
    /// 谁在用这张表或这个编码 / who uses a table, or one of its codes
    Users {
        /// 表名 / name of the table
        table: String,
        /// 编码 / code
        code: Option<String>,
    },
    /// 导出 CSV 或 XLSX / export as CSV or XLSX
    Export {
        /// 表名 / name of the table
        table: String,
        /// 写入文件，按扩展名为 .csv 或 .xlsx / write to a file, .csv or .xlsx by its name
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// 列出各表行数 / list the tables
    List,
}

/// Options of `tables propose`.
#[derive(Debug, Args)]
pub struct ProposeArgs {
    /// 表名 / name of the table
    pub table: String,
    /// 读取哪个连接的 ERP / connection whose ERP is read
    #[arg(long)]
    pub connection: String,
    /// 清单 customers 或 materials，默认同表名 / list: customers or materials; by the table's name by default
    #[arg(long)]
    pub list: Option<String>,
    /// 写入文件，按扩展名为 .csv 或 .xlsx，供人确认 / write to a file, .csv or .xlsx by its name, to be confirmed in
    #[arg(long, short)]
    pub out: Option<PathBuf>,
}

/// `query …`
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// 现存量与可用量 / stock on hand, and what of it is free
    Stock {
        /// 连接 / connection
        #[arg(long)]
        connection: String,
        /// 物料编码，逗号分隔 / codes of materials, separated by commas
        #[arg(long)]
        material: String,
        /// 仓库编码 / code of a warehouse
        #[arg(long)]
        warehouse: Option<String>,
        /// 编码是 CRM 的，经对照表 materials 翻译 / the codes are the CRM's: the table `materials` translates them
        #[arg(long)]
        crm: bool,
    },
}

/// Which deliveries.
#[derive(Debug, Args, Clone, Default)]
pub struct Which {
    /// 状态，逗号分隔 / states: pending, calling, waiting, posted, rejected, parked, superseded
    #[arg(long)]
    pub state: Option<String>,
    /// 连接 / connection
    #[arg(long)]
    pub target: Option<String>,
    /// 流程 / flow
    #[arg(long)]
    pub flow: Option<String>,
    /// 业务键 / business key
    #[arg(long)]
    pub key: Option<String>,
    /// 故障码 / fault code
    #[arg(long)]
    pub code: Option<String>,
    /// 最近结果的类别 / class of the last outcome: rejected, unknown, unavailable, …
    #[arg(long)]
    pub class: Option<String>,
    /// 最近变化早于此时长之前 / last changed longer ago than this: 30m, 12h, 7d
    #[arg(long)]
    pub older_than: Option<String>,
    /// 最近变化在此时长之内 / last changed not longer ago than this
    #[arg(long)]
    pub newer_than: Option<String>,
    /// 最多 / at most
    #[arg(long)]
    pub limit: Option<u64>,
    /// 从此序号之后 / after this sequence number
    #[arg(long)]
    pub after: Option<i64>,
}

/// `deliveries …`
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// 各连接的积压、挂起与熔断 / backlog, parked and circuit of each connection
    Status,
    /// 列表 / list
    List(Which),
    /// 一个投递及其各次尝试 / one delivery with its attempts
    Show {
        /// 投递编号 / id of the delivery
        id: String,
    },
    /// 重放挂起或被拒的投递 / replay parked or rejected deliveries
    Replay {
        /// 投递编号 / ids
        ids: Vec<String>,
        /// Conditions.
        #[command(flatten)]
        which: Which,
        /// 只说明会重放什么 / only say what would be replayed
        #[arg(long)]
        dry_run: bool,
        /// 分批处理全部，每批 --limit 个 / go through all, --limit at a time
        #[arg(long)]
        all: bool,
    },
}

/// `bank …`
#[derive(Debug, Subcommand)]
pub enum BankCommand {
    /// 导入对账单文件：逐行核对，重复导入不增加任何分录 / import statement files: every row is checked, a second time adds nothing
    Import {
        /// 连接 / connection
        #[arg(long)]
        connection: String,
        /// 文件：CSV、MT940、CAMT.053、支付宝与微信账单 / files: CSV, MT940, CAMT.053, Alipay and WeChat bills
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Options of `drain`.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// 结束排空，恢复接收 / take documents in again
    #[arg(long)]
    pub undo: bool,
    /// 最多等待，如 10m / wait no longer than this, e.g. 10m
    #[arg(long)]
    pub timeout: Option<String>,
    /// 原因 / reason
    #[arg(long, default_value = "")]
    pub reason: String,
    /// 经办人，默认为系统用户 / who; the system's user by default
    #[arg(long)]
    pub by: Option<String>,
}

/// Options of `archive`.
#[derive(Debug, Args)]
pub struct ArchiveArgs {
    /// 只说明会归档什么 / only say what would be archived
    #[arg(long)]
    pub dry_run: bool,
    /// 此日之前办结的，默认按 retention.keep_days / finished before this day; retention.keep_days by default
    #[arg(long)]
    pub before: Option<String>,
}

/// `connections …`
#[derive(Debug, Subcommand)]
pub enum ConnectionsCommand {
    /// 列出连接及其暂停 / list the connections and what is paused
    List,
    /// 暂停：不再调用，收单照常 / pause: no more calls; the intake goes on
    Pause {
        /// 连接 / connection
        name: String,
        /// 原因 / reason
        #[arg(long, default_value = "")]
        reason: String,
        /// 经办人，默认为系统用户 / who; the system's user by default
        #[arg(long)]
        by: Option<String>,
    },
    /// 恢复 / resume
    Resume {
        /// 连接 / connection
        name: String,
        /// 经办人，默认为系统用户 / who; the system's user by default
        #[arg(long)]
        by: Option<String>,
    },
}

/// `connector …`
#[derive(Debug, Subcommand)]
pub enum ConnectorCommand {
    /// 列出连接器、方向与是否可认证 / list the connectors, their directions and whether they can be certified
    List,
    /// 在替身上运行全部行为，不通过即失败 / run all behaviours on the stand-ins; fails when one is not shown
    Certify(CertifyArgs),
    /// 新建连接器：能编译、已登记、列出待填写之处 / begin one: it builds, is registered, and says what is to be filled in
    New {
        /// 名称：系统名，小写，连字符 / the system's name, lower case with hyphens
        name: String,
        /// 连接器目录 / folder of the connectors
        #[arg(long, default_value = "connectors")]
        folder: PathBuf,
    },
}

/// Options of `connector certify`.
#[derive(Debug, Args)]
pub struct CertifyArgs {
    /// 连接器 / connectors
    #[arg(required_unless_present = "all")]
    pub names: Vec<String>,
    /// 全部连接器；没有资料的不算通过 / all connectors; one without a profile does not pass
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// 把报告写入目录（Markdown 与 JSON）/ write the reports to a folder, as Markdown and as JSON
    #[arg(long)]
    pub report: Option<PathBuf>,
}

/// `bench …`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// 映射 / mapping: against hand-written code
    Mapping {
        /// 秒 / seconds per side
        #[arg(long, default_value_t = 4)]
        seconds: u64,
        /// 另测真实合同：每行一份 JSON，可为 .gz / measure real contracts too: JSON documents a line, may be .gz
        #[arg(long)]
        contracts: Option<PathBuf>,
    },
    /// 积压 / backlog: start, memory and drain with many deliveries waiting
    Backlog {
        /// 积压笔数 / deliveries that wait
        #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
        rows: Vec<u64>,
        /// 空数据库地址，默认临时 SQLite / an empty database, for one size; temporary SQLite files by default
        #[arg(long)]
        store: Option<String>,
    },
    /// 投递 / delivery: intake, publishing, end to end, slow far side, latency and memory, by turns in one run
    Delivery {
        /// 每轮单据数 / documents a round
        #[arg(long, default_value_t = 2000)]
        documents: u64,
        /// 轮数 / rounds
        #[arg(long, default_value_t = 3)]
        rounds: u64,
        /// 并发客户端 / clients
        #[arg(long, default_value_t = 32)]
        clients: u64,
        /// 空数据库地址，默认临时 SQLite / an empty database; a temporary SQLite file by default
        #[arg(long)]
        store: Option<String>,
        /// RabbitMQ 地址，默认内嵌 / RabbitMQ; embedded by default
        #[arg(long)]
        broker: Option<String>,
    },
    /// 合同 / contracts: the main job end to end, with the stand-ins in the same process
    Contracts {
        /// 合同数 / contracts
        #[arg(long, default_value_t = 2000)]
        contracts: u64,
        /// 并发客户端 / clients
        #[arg(long, default_value_t = 32)]
        clients: u64,
        /// 数据库地址，默认临时 SQLite / database; a temporary SQLite file by default
        #[arg(long)]
        store: Option<String>,
        /// RabbitMQ 地址，默认内嵌 / RabbitMQ; embedded by default
        #[arg(long)]
        broker: Option<String>,
    },
    /// 比对两个文件 / compare: two files against a bare hash join, and DuckDB where there is one
    Compare(BenchCompareArgs),
    /// One engine on two files, in a process of its own.
    #[command(hide = true)]
    CompareOnce {
        /// Engine.
        engine: CompareEngine,
        /// Left file.
        left: PathBuf,
        /// Right file.
        right: PathBuf,
    },
    /// 坏单据 / poison: what 1 % bad documents cost the healthy ones, with and without them by turns
    Poison {
        /// 每批健康合同数 / healthy contracts of a batch
        #[arg(long, default_value_t = 1000)]
        contracts: usize,
        /// 轮数，每轮两批 / rounds of two batches
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// 并发客户端 / clients
        #[arg(long, default_value_t = 32)]
        clients: usize,
        /// 怎样的坏单据，轮流 / how they are bad, by turns
        #[arg(long, value_delimiter = ',', default_values_t = [PoisonKind::Refused, PoisonKind::Garbage, PoisonKind::Hanging])]
        kinds: Vec<PoisonKind>,
        /// 数据库地址，默认临时 SQLite / database; a temporary SQLite file by default
        #[arg(long)]
        store: Option<String>,
        /// RabbitMQ 地址，默认内嵌 / RabbitMQ; embedded by default
        #[arg(long)]
        broker: Option<String>,
    },
}

/// How a document is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PoisonKind {
    /// 被拒绝 / the far side refuses it
    Refused,
    /// 回答无法读懂 / the answers cannot be read
    Garbage,
    /// 没有回答 / there is no answer
    Hanging,
}

impl std::fmt::Display for PoisonKind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            PoisonKind::Refused => "refused",
            PoisonKind::Garbage => "garbage",
            PoisonKind::Hanging => "hanging",
        })
    }
}
