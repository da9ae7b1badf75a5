//! Options of the commands about invoices.

use clap::{Args, Subcommand};

/// `recon invoices …`
#[derive(Debug, Subcommand)]
pub enum InvoicesCommand {
    /// 合同各行：可开、已申请、已开、红冲、剩余，及其开票单与发票 / a contract by line, with its invoice orders and invoices
    Show {
        /// 合同号 / contract
        contract: String,
    },
    /// 待合并的开票申请 / requests that wait to be put together
    Waiting {
        /// 客户编码，默认全部 / customer; all by default
        #[arg(long)]
        customer: Option<String>,
    },
    /// 合并开票：把客户待合并的申请合为尽量少的发票 / put a customer's waiting requests together as few invoices
    Together {
        /// 客户编码 / customer
        customer: String,
        /// 只合并这些申请，可多次；默认全部 / only these requests; all by default
        #[arg(long)]
        request: Vec<String>,
        /// 原因 / reason
        #[arg(long, default_value = "")]
        reason: String,
        /// 经办人，默认为系统用户 / who; the system's user by default
        #[arg(long)]
        by: Option<String>,
    },
    /// 撤回不再开具的开票单或申请，其额度恢复可开 / take back an order or request that will not be issued: it may be asked for again
    Withdraw {
        /// 开票单号或申请号 / number of the order or request
        number: String,
        /// 原因 / reason
        #[arg(long)]
        reason: String,
        /// 开具结果未知，但已在开票平台查明没有开出 / nobody knows whether it was issued, and a look at the platform shows that it was not
        #[arg(long)]
        checked: bool,
        /// 经办人，默认为系统用户 / who; the system's user by default
        #[arg(long)]
        by: Option<String>,
    },
}

/// Options of `recon threeway`.
#[derive(Debug, Args)]
pub struct ThreeWayArgs {
    /// 只看一份合同 / one contract
    #[arg(long, conflicts_with = "customer")]
    pub contract: Option<String>,
    /// 只看一个客户 / one customer
    #[arg(long)]
    pub customer: Option<String>,
    /// 也列订单、发票、收款一致的合同 / contracts on which all three agree, too
    #[arg(long)]
    pub all: bool,
}
