//! `tongbao connector new`: the beginning of a connector. It builds and is registered; the kit says what is missing.

use crate::output::{self, Exit};
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is written, with `{name}` for the connector's name.
const FILES: [(&str, &str); 3] = [
    ("mod.rs", include_str!("template/mod.rs.txt")),
    ("kit.rs", include_str!("template/kit.rs.txt")),
    ("README.md", include_str!("template/README.md.txt")),
];

/// Begins the list of connectors in `lib.rs`.
const LIST: &str = "\nconnectors! {\n";

/// Writes the folder and the registry line.
pub fn run(name: &str, folder: &Path, as_json: bool) -> Exit {
    if !is_name(name) {
        output::note(&format!(
            "{name} 不能作为连接器名：小写字母开头，小写字母、数字、连字符 / `{name}` cannot name a connector: a \
             lower-case letter, then lower-case letters, digits and hyphens"
        ));
        return Exit::Usage;
    }
    match write(name, folder) {
        Ok(written) if as_json => {
            output::json(&json!({"connector": name, "written": written}));
            Exit::Ok
        }
        Ok(written) => {
            for path in written {
                output::line(&path.display().to_string());
            }
            output::line(&format!(
                "编译后运行 / build, then run: tongbao connector certify {name}\n它列出 kit.rs 中待填写之处 / it \
                 lists what is to be filled in"
            ));
            Exit::Ok
        }
        Err(error) => {
            output::note(&format!("{}: {error}", folder.display()));
            Exit::Failed
        }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn write(name: &str, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let registry = folder.join("lib.rs");
    let module = name.replace('-', "_");
    // First everything that can go wrong without a trace, then the files, then the line that makes them count.
    let listed = listed(&fs::read_to_string(&registry)?, &module)
        .ok_or_else(|| io::Error::other("lib.rs 中没有连接器清单 / lib.rs holds no list of connectors"))?;
    let own = folder.join(&module);
    fs::create_dir(&own)?;
    let mut written = Vec::new();
    for (file, text) in FILES {
        let path = own.join(file);
        fs::write(&path, text.replace("{name}", name))?;
        written.push(path);
    }
    fs::write(&registry, listed)?;
    written.push(registry);
    Ok(written)
}

/// The registry with one line more, in order.
fn listed(text: &str, module: &str) -> Option<String> {
    let (before, rest) = text.split_once(LIST)?;
    let (list, after) = rest.split_once("\n}")?;
    let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
    lines.push(format!("    {module} with kit,"));
    lines.sort();
    lines.dedup();
    Some(format!("{before}{LIST}{}\n}}{after}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_modules() {
        for (name, fits) in [
            ("acme", true),
            ("acme-erp-9", true),
            ("", false),
            ("9acme", false),
            ("Acme", false),
            ("acme_erp", false),
            ("acme-", false),
            ("a--b", false),
            ("../acme", false),
        ] {
            assert_eq!(is_name(name), fits, "{name}");
        }
    }

    #[test]
    fn the_line_goes_into_the_list() {
        let registry = include_str!("../../../../connectors/lib.rs");
        let more = listed(registry, "acme_erp").unwrap();
        assert!(more.contains("connectors! {\n    acme_erp with kit,\n    "), "{more}");
        assert_eq!(more.len(), registry.len() + "    acme_erp with kit,\n".len());
        assert_eq!(listed("", "acme_erp"), None);
    }
}
