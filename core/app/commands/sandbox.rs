//! `tongbao sandbox`: the far sides' stand-ins, to build and try against.

use crate::cli::SandboxArgs;
use crate::output::{self, Exit};
use serde_json::json;
use tongbao_sandbox::{Sandbox, SandboxConfig};

/// Runs the stand-ins until told to stop.
pub async fn run(args: SandboxArgs, as_json: bool) -> Exit {
    let config = SandboxConfig {
        protocol_port: args.port,
        control_port: args.control_port,
        mail_port: args.mail_port,
        seed: args.seed,
        ..SandboxConfig::default()
    };
    let sandbox = match Sandbox::start(config).await {
        Ok(sandbox) => sandbox,
        Err(error) => {
            output::note(&format!("无法启动沙箱 / the sandbox cannot start: {error}"));
            return Exit::Unavailable;
        }
    };
    let (url, control, mail) = (sandbox.url(), sandbox.control_url(), sandbox.mail_address());
    if as_json {
        output::json(&json!({"url": url, "control_url": control, "mail_address": mail}));
    } else {
        output::line(&format!(
            "金蝶 Kingdee     {url}/k3cloud/\n诺诺 Nuonuo      {url}/open/v1/services · {url}/accessToken\n用友 U8 EAI      {url}/U8EAI/import.asp\n用友 U8 OpenAPI  {url}/u8open/\nCRM              {url}/crm/\n简道云 Jiandaoyun {url}/jdy/\ne签宝 esign       {url}/v3/sign-flow/\n法大大 fadada     {url}/api/v5/\n企业微信 wecom    {url}/cgi-bin/webhook/send\n钉钉 dingtalk     {url}/robot/send\n邮件 mail         {mail}\n控制 controls    {control}\nCtrl-C 结束 / ends it"
        ));
    }
    super::serve::stop_signal().await;
    sandbox.shutdown().await;
    Exit::Ok
}
