//! The only place that sees the environment.

use secrecy::SecretString;
use std::path::PathBuf;
use tongbao_connect::settings::Secrets;
use tongbao_model::Text;

/// Secrets from environment variables and files.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Folder that relative files are looked up in.
    pub folder: PathBuf,
    /// Values that take the place of environment variables (the demo brings its own).
    pub given: std::collections::BTreeMap<String, String>,
    /// Offline checks on a machine that has no secrets: every variable counts as set.
    pub pretend: bool,
}

/// What `TONGBAO_FAILPOINT` holds: where the process is to die, for tests of crashes.
pub fn failpoint() -> Option<String> {
    std::env::var("TONGBAO_FAILPOINT").ok().filter(|line| !line.is_empty())
}

impl Secrets for Environment {
    fn env(&self, name: &str) -> Result<SecretString, Text> {
        if let Some(value) = self.given.get(name) {
            return Ok(value.clone().into());
        }
        match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(value.into()),
            Ok(_) | Err(_) if self.pretend => Ok(SecretString::from("pretended".to_owned())),
            Ok(_) | Err(_) => Err(Text::new(
                format!("环境变量 {name} 未设置"),
                format!("the environment variable {name} is not set"),
            )),
        }
    }

    fn file(&self, path: &str) -> Result<SecretString, Text> {
        let path = self.folder.join(path);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned().into()),
            Err(_) if self.pretend => Ok(SecretString::from("pretended".to_owned())),
            Err(error) => Err(Text::new(
                format!("无法读取密钥文件 {}：{error}", path.display()),
                format!("the secret file {} cannot be read: {error}", path.display()),
            )),
        }
    }
}

/// Who runs this command, as the system says.
pub fn operator() -> String {
    let named = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(named).unwrap_or_else(|| "cli".to_owned())
}
