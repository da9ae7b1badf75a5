//! Options of the commands about payments.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use tongbao_delivery::payments::PaymentBook;

/// `recon payments …`
#[derive(Debug, Subcommand)]
pub enum PaymentsCommand {
    /// 收款清单，默认只列待处理的 / payments; by default those with something to decide
    List {
        /// 也列已处理的 / those that are decided, too
        #[arg(long)]
        all: bool,
        /// 只看一方账簿 / of one book
        #[arg(long, value_enum)]
        book: Option<BookArg>,
        /// 最多多少笔 / at most so many
        #[arg(long, default_value_t = 200)]
        limit: u64,
    },
    /// 一笔收款：单据所述、建议及理由、历次核销 / one payment: what is said of it, what is proposed and why, what was decided
    Show {
        /// 收款号 / number
        number: String,
        /// 哪一方账簿 / in which book
        #[arg(long, value_enum)]
        book: Option<BookArg>,
    },
    /// 立即按规则核销一次 / look once, by the rules, now
    Match,
    /// 人工核销；付款户名与账号由此记住 / allocate by hand; the payer's name and account are learned from it
    Allocate(AllocateArgs),
    /// 撤销核销：各账恢复原状，此后只由人决定 / take back: the accounts are as before, and only a person decides from then on
    Undo {
        /// 收款号 / number
        number: String,
        /// 原因 / reason
        #[arg(long, default_value = "")]
        reason: String,
        /// 经办人，默认为系统用户 / who; the system's user by default
        #[arg(long)]
        by: Option<String>,
    },
    /// 银行与 ERP 收款不一致之处 / where bank and ERP do not agree on what came in
    Drift {
        /// 月份（中国时间），默认全部 / month in China; all by default
        #[arg(long)]
        month: Option<String>,
    },
}

/// Options of `recon payments allocate`.
#[derive(Debug, Args)]
pub struct AllocateArgs {
    /// 收款号 / number
    pub number: String,
    /// 付给什么：合同=金额、合同:发票=金额、合同:发票=金额+手续费；可多次 / what it pays, as often as needed
    #[arg(long, required_unless_present = "choice", conflicts_with = "choice")]
    pub to: Vec<String>,
    /// 采用第几个建议 / the proposal of this number
    #[arg(long)]
    pub choice: Option<usize>,
    /// 原因 / reason
    #[arg(long, default_value = "")]
    pub reason: String,
    /// 经办人，默认为系统用户 / who; the system's user by default
    #[arg(long)]
    pub by: Option<String>,
}

/// Options of `recon pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// 月份（中国时间），如 2026-10 / month in China
    pub month: String,
    /// 格式 / format
    #[arg(long, value_enum, default_value = "table")]
    pub format: PackFormat,
    /// 写入文件 / write to a file
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// 信用期：开票后多少天内不算逾期 / days after its date for which an invoice is not due
    #[arg(long, default_value_t = 0)]
    pub credit_days: u32,
}

/// Options of `recon commission`.
#[derive(Debug, Args)]
pub struct CommissionArgs {
    /// 月份（中国时间），如 2026-10 / month in China
    pub month: String,
    /// 写入 CSV 文件 / write to a CSV file
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// Formats of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PackFormat {
    /// For a terminal.
    Table,
    /// For programs.
    Json,
    /// A page to read and print, with a chart.
    Html,
    /// Excel, with a chart.
    Xlsx,
}

/// Whose book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BookArg {
    /// ERP 的 / the ERP's
    Erp,
    /// 银行的 / the bank's
    Bank,
}

impl From<BookArg> for PaymentBook {
    fn from(book: BookArg) -> PaymentBook {
        match book {
            BookArg::Erp => PaymentBook::Erp,
            BookArg::Bank => PaymentBook::Bank,
        }
    }
}
