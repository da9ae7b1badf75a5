//! What the conformance kit needs to know of `bank`: a file of each format, written by hand.

use tongbao_connect::kit::{FileSample, FileSamples, Part, Profile};

const PRIVATE: &[&str] =
    &["3301040160000000001", "3901120019200099999", "宁波样例贸易有限公司", "6222000000000000017"];

/// The profile.
pub static PROFILE: Profile = Profile {
    // Nobody is called: there is no far system, and no stand-in is started.
    system: "files",
    settings: "accounts: []\n",
    secrets: &[],
    pushes: Part::Lacks("对账单以文件到来，不接收推送", "statements come in files, nothing is pushed"),
    polls: Part::Lacks("不调用任何系统", "no system is called"),
    files: Part::Has(FileSamples {
        samples: &[
            FileSample {
                name: "counter CSV",
                bytes: include_bytes!("samples/counter.csv"),
                documents: 3,
                wrong: &[
                    ("1,020,240.50", "1,020,240.51"),
                    ("\"20,340.50\",,", "\"20,340.51\",,"),
                    (",99.50,", ",99.60,"),
                ],
                private: PRIVATE,
            },
            FileSample {
                name: "Alipay",
                bytes: include_bytes!("samples/alipay.csv"),
                documents: 2,
                wrong: &[("200.00\t,0", "200.01\t,0")],
                private: PRIVATE,
            },
            FileSample {
                name: "WeChat Pay",
                bytes: include_bytes!("samples/wechat.csv"),
                documents: 2,
                wrong: &[("`2,`100.00", "`3,`100.00"), ("`40.00,`0.00,`0.36", "`40.01,`0.00,`0.36")],
                private: PRIVATE,
            },
            FileSample {
                name: "MT940",
                bytes: include_bytes!("samples/statement.sta"),
                documents: 2,
                wrong: &[("C20340,50N", "C20340,51N"), ("RC340,50", "RD340,50")],
                private: PRIVATE,
            },
            FileSample {
                name: "CAMT.053",
                bytes: include_bytes!("samples/statement.xml"),
                documents: 2,
                wrong: &[(">200.00<", ">200.01<"), (">1300.00<", ">1300.01<")],
                private: PRIVATE,
            },
        ],
    }),
    masters: Part::Lacks("读文件，没有可问的系统", "reads files: there is nobody to ask"),
    writes: Part::Lacks("只读入", "it only reads"),
    session: Part::Lacks("没有登录", "there is no login"),
    refusals: Part::Lacks("不调用任何系统，没有答复", "no system is called, so none answers"),
    cannot: &[],
};
