//! Certifying connectors, beginning new ones, and where connections may call.

use super::*;

fn tongbao(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_connector_is_certified_and_the_reports_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports");
    let told =
        tongbao(&["--json", "connector", "certify", "jiandaoyun", "--report", reports.to_str().unwrap()]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    let list: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&list[0]["connector"], &list[0]["certified"]), (&json!("jiandaoyun"), &json!(true)));
    let behaviours = list[0]["behaviours"].as_array().unwrap();
    assert!(behaviours.len() > 30);
    for one in behaviours {
        let verdict = one["verdict"].as_str().unwrap();
        assert!(
            verdict == "pass" || verdict == "not-applicable" && !one["detail"].as_str().unwrap().is_empty()
        );
    }
    let page = std::fs::read_to_string(reports.join("jiandaoyun.md")).unwrap();
    assert!(
        page.contains("| `lost-after-commit` | ✓ |") && page.contains("| `session-renewed-once` | – |"),
        "{page}"
    );
    let kept: Value =
        serde_json::from_str(&std::fs::read_to_string(reports.join("jiandaoyun.json")).unwrap()).unwrap();
    assert_eq!(kept, list[0]);

    let unknown = tongbao(&["connector", "certify", "jiandaoyum"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("kingdee-cloud"), "{}", text(&unknown.stderr));
    assert_eq!(tongbao(&["connector", "certify"]).status.code(), Some(2));
    assert!(text(&tongbao(&["connector", "list"]).stdout).contains("nuonuo"));
}

/// What is written is checked by the compiler, in a copy of the workspace, and refused a second time.
#[test]
fn a_new_connector_builds_and_is_registered() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let copy = tempfile::tempdir().unwrap();
    for part in ["Cargo.toml", "Cargo.lock", "core", "connectors", "tests"] {
        let copied = Command::new("cp").arg("-r").arg(root.join(part)).arg(copy.path()).status().unwrap();
        assert!(copied.success());
    }
    let begin = || {
        let mut command = Command::new(binary());
        command.args(["connector", "new", "acme-erp"]).current_dir(copy.path()).output().unwrap()
    };
    let told = begin();
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert!(text(&told.stdout).contains("connector certify acme-erp"));
    assert_eq!(begin().status.code(), Some(1), "it is there already");
    assert_eq!(tongbao(&["connector", "new", "Acme"]).status.code(), Some(2));
    let target = binary().parent().unwrap().parent().unwrap().to_owned();
    // Warnings are mistakes: an author must not begin with any.
    // The tests beside this one wait for things to happen: the compiler does not get in their way.
    let checked = Command::new("nice")
        .args(["-n", "19", env!("CARGO"), "check", "--locked", "--offline", "-p", "tongbao-connectors"])
        .current_dir(copy.path())
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let said = text(&checked.stderr);
    assert!(checked.status.success() && !said.contains("warning"), "{said}");
}

/// A name that leads to this machine is refused with the way out; with it, the connection works.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_needs_consent() {
    let world = World::new().await;
    let written = std::fs::read_to_string(&world.config).unwrap();
    let named = written.replace("base_url: http://127.0.0.1:", "base_url: http://localhost:");
    assert_ne!(named, written);
    let doctor = |text: &str| {
        let file = write(world.folder.path(), "named.yaml", text);
        world.command_with(Path::new(&file), &["--json", "doctor"]).output().unwrap()
    };
    let check = |told: &Output, name: &str| {
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        told["checks"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    };
    let refused = doctor(&named);
    assert_eq!(refused.status.code(), Some(1));
    let erp = check(&refused, "erp");
    assert!(erp["ok"] == false && erp["detail"].as_str().unwrap().contains("egress.allow_private"), "{erp}");
    let allowed = named.replace(
        "    connector: kingdee-cloud\n",
        "    connector: kingdee-cloud\n    egress: { allow_private: [127.0.0.0/8, '::1/128'] }\n",
    );
    assert_ne!(allowed, named);
    let erp = check(&doctor(&allowed), "erp");
    assert_eq!(erp["ok"], true, "{erp}");
    world.sandbox.shutdown().await;
}
