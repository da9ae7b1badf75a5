//! Every command in the guides is run, as it stands there.
//!
//! Lines of ```sh blocks are run in order in a copy of the parts they speak of. `tongbao` is the binary that was built;
//! a line that ends in `&` stays running until the page is through. Ports are exchanged for free ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn binary_folder() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    assert!(
        folder.join("tongbao").exists(),
        "the binary is not built: run tests/run, or `cargo build` first"
    );
    folder
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The lines of all ```sh blocks.
fn lines(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (inside, line) {
            (false, "```sh") => inside = true,
            (true, "```") => inside = false,
            (true, line) => lines.push(line.to_owned()),
            (false, _) => {}
        }
    }
    assert!(!lines.is_empty(), "{page} has no commands");
    lines
}

struct Page {
    folder: tempfile::TempDir,
    ports: Vec<(String, u16)>,
    exports: Vec<String>,
    running: Vec<Child>,
}

impl Page {
    fn new() -> Page {
        let folder = tempfile::tempdir().unwrap();
        for part in ["deploy", "mappings"] {
            let status =
                Command::new("cp").arg("-r").arg(root().join(part)).arg(folder.path()).status().unwrap();
            assert!(status.success());
        }
        let ports = ["8480", "8490", "8491", "8492"].map(|known| (known.to_owned(), free_port())).into();
        let mut page = Page { folder, ports, exports: Vec::new(), running: Vec::new() };
        let example = page.folder.path().join("deploy/tongbao.yaml");
        let text = page.exchanged(&std::fs::read_to_string(&example).unwrap());
        std::fs::write(&example, text).unwrap();
        page.exports.push("export PATH=\"$TONGBAO_BIN:$PATH\"".to_owned());
        page
    }

    fn exchanged(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (known, free)| text.replace(known, &free.to_string()))
    }

    fn port(&self, known: &str) -> u16 {
        self.ports.iter().find(|(name, _)| name == known).unwrap().1
    }

    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("bash");
        // `exec`, so that stopping the shell stops the command.
        shell.arg("-c").arg(format!("{}\n{line}", self.exports.join("\n")));
        shell.current_dir(self.folder.path()).env("TONGBAO_BIN", binary_folder());
        shell
    }

    fn run(&mut self, line: &str) {
        if line.starts_with("export ") {
            self.exports.push(line.to_owned());
            return;
        }
        let Some(line) = line.strip_suffix(" &") else {
            let output = self.shell(line).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{line}: {:?}\n{told}", output.status);
            return;
        };
        let (line, port) = if line.ends_with("sandbox") {
            let (port, control) = (self.port("8490"), self.port("8491"));
            let mail = self.port("8492");
            (format!("{line} --port {port} --control-port {control} --mail-port {mail}"), port)
        } else {
            (line.to_owned(), self.port("8480"))
        };
        let mut child =
            self.shell(&format!("exec {line}")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = child.try_wait().unwrap() {
                let mut told = String::new();
                child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
                panic!("{line}: {status}\n{told}");
            }
            assert!(Instant::now() < deadline, "{line} does not answer on port {port}");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.running.push(child);
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        for child in &mut self.running {
            // Ended already is fine too.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn works(page: &str, before: &[&str]) {
    let mut run = Page::new();
    for line in before {
        run.run(line);
    }
    for line in lines(page) {
        run.run(&line);
    }
    assert!(Path::new(&run.folder.path().join("deploy")).exists());
}

const PREPARED: &[&str] = &[
    "export TONGBAO_CRM_SECRET=x TONGBAO_CRM_TOKEN=x TONGBAO_KINGDEE_APP_SECRET=x TONGBAO_NUONUO_APP_SECRET=x",
    "cp deploy/tongbao.yaml tongbao.yaml",
    "sed -i 's|\\[../mappings\\]|[mappings]|' tongbao.yaml",
];

#[test]
fn the_readme_works() {
    works("README.md", &[]);
}

#[test]
fn the_chinese_readme_has_the_same_commands() {
    assert_eq!(lines("README.md"), lines("README.zh-CN.md"));
}

#[test]
fn the_mapping_guide_works() {
    works("mappings/README.md", PREPARED);
}

/// Every whole mapping in the guide compiles without an error, and the one of the tutorial makes what it says.
#[test]
fn the_mappings_in_the_guide_compile() {
    let text = std::fs::read_to_string(root().join("mappings/README.md")).unwrap();
    let ends = tongbao_app::config::Documents::all();
    let mut names = Vec::new();
    for block in text.split("```yaml\n").skip(1) {
        let block = block.split("\n```").next().unwrap();
        if !block.starts_with("mapping:") {
            continue;
        }
        let (mapping, found) = tongbao_mapping::compile("mappings/README.md", block, &ends);
        let mapping = mapping.unwrap_or_else(|| panic!("{found:#?}"));
        if mapping.name == "rebate-to-settlement" {
            let mut rebate = serde_json::json!({"no": "R-1", "agreed_at": "2026-11-30T20:00:00Z", "currency": "CNY",
                "customer": {"code": "C1", "name": "宁波样例贸易有限公司"}, "total": "12.50", "lines": [
                {"sku": "A", "quantity": 1, "rebate": "12.50", "reason": "年返"}, {"sku": "B", "quantity": 1, "rebate": "0.00"}]});
            let tables = tongbao_mapping::Tables::default();
            assert_eq!(
                mapping.run(&rebate, &tables).unwrap().document.to_string(),
                r#"{"number":"R-1","month":"202612","payer":"宁波样例贸易有限公司","kind":"rebate","rows":[{"item":"A 年返","amount":"12.50"}]}"#
            );
            rebate["currency"] = "USD".into();
            assert_eq!(mapping.run(&rebate, &tables).unwrap_err().fault.code.as_str(), "refused");
        }
        names.push(mapping.name);
    }
    assert_eq!(names, ["rebate-to-settlement", "commission-to-crm", "credit-note-to-return-notice"]);
}

#[test]
fn the_runbook_works() {
    works("deploy/README.md", PREPARED);
}

#[test]
fn the_page_on_statements_works() {
    works("deploy/month-end/statements.zh-CN.md", PREPARED);
}

/// All pages of the alerts, one after the other, beside a service that runs as in the readme.
#[test]
fn the_alert_pages_work() {
    let mut run = Page::new();
    for line in lines("README.md") {
        run.run(&line);
        if line == "tongbao serve &" {
            break;
        }
    }
    assert_eq!(run.running.len(), 2, "the stand-ins and the service");
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(root().join("deploy/alerts")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    assert!(pages.len() > 10);
    for page in pages {
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        for line in lines(&name) {
            run.run(&line);
        }
    }
}
