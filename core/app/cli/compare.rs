//! Options of `recon compare` and of its benchmark.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Options of `recon compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// 左侧 CSV 文件 / left file, as CSV
    pub left: PathBuf,
    /// 右侧 CSV 文件 / right file, as CSV
    pub right: PathBuf,
    /// 键所在列，如合同号、发票号 / column by which rows are found, e.g. the number of the invoice
    #[arg(long)]
    pub key: String,
    /// 金额列，同键各行相加 / column of the amount; rows of one key are added up
    #[arg(long)]
    pub amount: String,
    /// 币别列：不同币别不相加 / column of the currency: amounts of different ones are never added up
    #[arg(long)]
    pub currency: Option<String>,
    /// 右侧的键列，默认与左侧同名 / column of the key on the right, where its name differs
    #[arg(long)]
    pub right_key: Option<String>,
    /// 右侧的金额列 / column of the amount on the right
    #[arg(long)]
    pub right_amount: Option<String>,
    /// 右侧的币别列 / column of the currency on the right
    #[arg(long, requires = "currency")]
    pub right_currency: Option<String>,
    /// 左侧编码，默认自动识别 / encoding of the left file; found out by default
    #[arg(long, value_enum)]
    pub encoding: Option<Charset>,
    /// 右侧编码，默认自动识别 / encoding of the right file; found out by default
    #[arg(long, value_enum)]
    pub right_encoding: Option<Charset>,
    /// 该侧每键只应有一行，重复即不一致（可写两次）/ a side where a key is to have one row only; may be given twice
    #[arg(long, value_enum)]
    pub once: Vec<Once>,
    /// 把全部不一致写入 CSV / write all that differs to a CSV file
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// 显示差额最大的多少个 / how many of the largest differences are shown
    #[arg(long, default_value_t = 20)]
    pub show: usize,
    /// 最多多少个不同的键 / how many different keys there may be
    #[arg(long, default_value_t = 10_000_000)]
    pub keys_max: usize,
}

/// Encoding of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Charset {
    /// UTF-8
    #[value(name = "utf-8")]
    Utf8,
    /// GB18030、GBK、GB2312
    #[value(name = "gb18030", alias = "gbk", alias = "gb2312")]
    Gb18030,
}

/// A side on which keys are not to be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Once {
    /// 左侧 / left
    Left,
    /// 右侧 / right
    Right,
}

/// Options of `bench compare`.
#[derive(Debug, Args)]
pub struct BenchCompareArgs {
    /// 每个文件的行数 / rows of each file
    #[arg(long, default_value_t = 1_000_000)]
    pub rows: u32,
    /// 轮数 / rounds
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// 种子 / seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// 装有 duckdb 的 Python，另与 DuckDB 比较 / a Python that has duckdb: DuckDB takes part too
    #[arg(long)]
    pub python: Option<PathBuf>,
}

/// What compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareEngine {
    /// As `recon compare` does.
    Ours,
    /// A hash join written by hand.
    Join,
}
