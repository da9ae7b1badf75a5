//! A real browser: Chromium without a window, told what to do by its DevTools protocol over two pipes. (Chrome DevTools
//! Protocol; with `--remote-debugging-pipe` commands come by descriptor 3 and answers by 4, each ended by a zero byte.)

use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for anything the browser does; the machine may be busy with builds.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Browser {
    child: Child,
    commands: File,
    answers: Receiver<Value>,
    events: Vec<Value>,
    last: u64,
    session: Option<String>,
    _folder: tempfile::TempDir,
}

fn pipe(folder: &Path, name: &str) -> File {
    let path = folder.join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Opened both ways nobody waits for the other end.
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

impl Browser {
    /// A browser with an empty page of this size.
    pub fn new(width: u32, height: u32) -> Browser {
        let folder = tempfile::tempdir().unwrap();
        let (commands, answers) = (pipe(folder.path(), "commands"), pipe(folder.path(), "answers"));
        let script = r#"for name in chromium chromium-browser google-chrome; do
            command -v $name >/dev/null && exec $name "$@" 3<commands 4>answers; done; exit 127"#;
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "--",
            "sh",
            "-c",
            script,
            "sh",
            "--headless=new",
            "--no-sandbox",
        ]);
        command.args(["--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions"]);
        command.args(["--disable-background-networking", "--remote-debugging-pipe"]);
        command.arg(profile).arg(format!("--window-size={width},{height}")).arg("about:blank");
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            let mut answers = BufReader::new(answers);
            let mut one = Vec::new();
            while answers.read_until(0, &mut one).is_ok_and(|read| read > 0) {
                one.pop();
                let Ok(value) = serde_json::from_slice(&one) else { return };
                one.clear();
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            child,
            commands,
            answers: received,
            events: Vec::new(),
            last: 0,
            session: None,
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({}));
        }
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
        browser.call("Emulation.setDeviceMetricsOverride", size);
        browser
    }

    /// Says something and hears the answer; what happens meanwhile is kept.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).unwrap();
        loop {
            let said = self.answers.recv_timeout(PATIENCE);
            let said =
                said.unwrap_or_else(|error| panic!("{method}: no answer ({error}); is Chromium there?"));
            if said["id"] == self.last {
                assert!(said.get("error").is_none(), "{method}: {said}");
                return said["result"].clone();
            }
            self.events.push(said);
        }
    }

    /// Does something that brings another page, and waits until that is there.
    fn loads(&mut self, act: impl FnOnce(&mut Browser)) {
        let is_load = |event: &Value| event["method"] == "Page.loadEventFired";
        self.events.retain(|event| !is_load(event));
        act(self);
        let begun = Instant::now();
        while !self.events.iter().any(is_load) {
            assert!(begun.elapsed() < PATIENCE, "no page came");
            if let Ok(event) = self.answers.recv_timeout(Duration::from_secs(1)) {
                self.events.push(event);
            }
        }
    }

    pub fn open(&mut self, url: &str) {
        self.loads(|browser| drop(browser.call("Page.navigate", json!({"url": url}))));
    }

    /// What an expression is on the page.
    pub fn look(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let found = self.call("Runtime.evaluate", asked);
        assert!(found.get("exceptionDetails").is_none(), "{expression}: {found}");
        found["result"]["value"].clone()
    }

    /// Types into a field.
    pub fn write(&mut self, field: &str, text: &str) {
        self.look(&format!("document.querySelector({}).focus()", json!(field)));
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Clicks in the middle of an element, as a mouse does.
    pub fn click(&mut self, element: &str) {
        let place = format!(
            "(() => {{ const one = document.querySelector({}); one.scrollIntoView({{block: 'center'}}); \
             const at = one.getBoundingClientRect(); return [at.x + at.width / 2, at.y + at.height / 2]; }})()",
            json!(element)
        );
        let place = self.look(&place);
        for kind in ["mousePressed", "mouseReleased"] {
            let mouse =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", mouse);
        }
    }

    /// Clicks what brings another page.
    pub fn follow(&mut self, element: &str) {
        self.loads(|browser| browser.click(element));
    }

    /// What the page has complained about: scripts that fail, what its policy forbids, what is not found.
    pub fn complaints(&mut self) -> Vec<String> {
        self.look("0");
        let is_one = |event: &&Value| {
            event["method"] == "Log.entryAdded" && event["params"]["entry"]["level"] == "error"
                || event["method"] == "Runtime.exceptionThrown"
        };
        self.events.iter().filter(is_one).map(ToString::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({"id": self.last + 1, "method": "Browser.close"}).to_string() + "\0";
        let _ = self.commands.write_all(close.as_bytes());
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
