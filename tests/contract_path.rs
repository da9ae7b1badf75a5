//! The whole chain on real trade data with faults at the far sides: CRM → ERP order and e-invoice → receipt →
//! opportunity, on the embedded set-up and on the production one, with Kingdee and with Yonyou U8; by U8's other door a part of
//! the data only.

#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

mod retail;
#[path = "support/servers.rs"]
#[allow(dead_code, reason = "shared by several test binaries, each of which uses a part")]
mod servers;

use libtest_mimic::{Arguments, Trial};
use servers::Servers;
use tongbao_app::stage::Erp;

fn main() {
    let mut arguments = Arguments::from_args();
    // Each case keeps both cores busy.
    arguments.test_threads.get_or_insert(1);
    let case = |name: &str, set_up: retail::SetUp, erp: Erp| {
        Trial::test(name, move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(retail::run(set_up, erp)).map_err(Into::into)
        })
    };
    let trials = vec![
        case("retail_sqlite_embedded", retail::SetUp::Embedded, Erp::Kingdee),
        case("retail_postgres_rabbitmq", retail::SetUp::Production, Erp::Kingdee),
        case("retail_sqlite_embedded_yonyou_u8", retail::SetUp::Embedded, Erp::YonyouU8),
        case("part_sqlite_embedded_yonyou_u8_openapi", retail::SetUp::Embedded, Erp::YonyouU8OpenApi),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    Servers::shut_down();
    conclusion.exit();
}
