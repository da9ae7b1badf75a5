//! House rules, as tests: dependency direction, the registry, generated lists, banned words.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use tongbao_app::telemetry::{Kind, METRICS, Metric};
use tongbao_model::diagnostic::{Findings, Severity};
use tongbao_model::yaml::{self, Node};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut open = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// What each package may know of the others, besides the test packages. Left may not know right:
/// model ← connect ← connectors, model ← mapping | recon | delivery, delivery ← store, everything ← app ← tests.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("tongbao-model", &[]),
    ("tongbao-mapping", &["tongbao-model"]),
    ("tongbao-recon", &["tongbao-model"]),
    ("tongbao-paper", &["tongbao-model", "tongbao-recon"]),
    ("tongbao-connect", &["tongbao-model"]),
    ("tongbao-connectors", &["tongbao-connect", "tongbao-model"]),
    ("tongbao-delivery", &["tongbao-model"]),
    ("tongbao-store", &["tongbao-delivery", "tongbao-recon", "tongbao-model"]),
    // Only the ports of the kit that it lends itself to; see `each_protocol_has_one_home`.
    ("tongbao-sandbox", &["tongbao-connect"]),
    ("tongbao-yardstick", &["tongbao-model"]),
    (
        "tongbao-app",
        &[
            "tongbao-connect",
            "tongbao-connectors",
            "tongbao-delivery",
            "tongbao-mapping",
            "tongbao-model",
            "tongbao-paper",
            "tongbao-recon",
            "tongbao-sandbox",
            "tongbao-store",
            "tongbao-yardstick",
        ],
    ),
];

#[test]
fn dependencies_run_one_way() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY_KNOW.iter().map(|(name, known)| (*name, known.iter().copied().collect())).collect();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name == "tongbao-tests" {
            continue;
        }
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("{name} is not in MAY_KNOW"));
        seen.insert(name.to_owned());
        for dependency in package["dependencies"].as_array().unwrap() {
            // Tests may look further: a connector's tests talk to the stand-ins.
            if dependency["kind"] == "dev" {
                continue;
            }
            let dependency = dependency["name"].as_str().unwrap();
            let ours = dependency.starts_with("tongbao-");
            assert!(!ours || allowed.contains(dependency), "{name} may not know {dependency}");
        }
    }
    assert_eq!(seen.len(), MAY_KNOW.len());
}

#[test]
fn every_core_package_says_what_it_does_not_know() {
    for entry in std::fs::read_dir(root().join("core")).unwrap() {
        let lib = entry.unwrap().path().join("lib.rs");
        let text = text(&lib);
        let head: String = text
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ");
        assert!(head.len() > 150, "{}: the head says too little", shown(&lib));
        let says = ["not know", "knows no", "no knowledge", "that speaks SQL", "Wiring only", "contains no"];
        assert!(says.iter().any(|words| head.contains(words)), "{}: what does it not know?", shown(&lib));
    }
}

#[test]
fn each_protocol_has_one_home() {
    let sandbox = files("core/sandbox", "rs");
    let knows = sandbox.iter().filter(|file| text(file).contains("tongbao_connect")).map(|file| shown(file));
    assert_eq!(knows.collect::<Vec<_>>(), ["core/sandbox/stand_in.rs"], "stand-ins share no wire code");
    assert_eq!(text(&root().join("core/sandbox/stand_in.rs")).matches("tongbao_connect::").count(), 1);
    for (word, homes) in [
        ("lapin::", &["core/delivery/rabbit"][..]),
        ("sea_orm", &["core/store/"]),
        ("std::env::var", &["core/app/config/secrets.rs", "core/app/telemetry.rs", "core/app/build.rs"]),
        ("SystemTime::now", &["core/delivery/clock.rs", "core/sandbox/"]),
    ] {
        for file in files("core", "rs").into_iter().chain(files("connectors", "rs")) {
            let name = shown(&file);
            let code: Vec<String> = text(&file)
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(str::to_owned)
                .collect();
            // Test modules may do as they like: they end the file.
            let code: String = code.join("\n").split("#[cfg(test)]").next().unwrap().to_owned();
            let at_home = homes.iter().any(|home| name.starts_with(home))
                || name.contains("/tests")
                || name.contains("/examples");
            assert!(at_home || !code.contains(word), "{name} speaks {word}");
        }
    }
}

#[test]
fn no_binary_float_touches_money() {
    for folder in ["core/model", "core/mapping", "core/recon", "core/store", "connectors"] {
        for file in files(folder, "rs") {
            let name = shown(&file);
            if name == "core/store/limit.rs" {
                continue; // rates of a benchmark
            }
            let text = text(&file);
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let float = line
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|word| word == "f64" || word == "f32");
                assert!(!float, "{name}: {line}");
            }
        }
    }
}

#[test]
fn connector_folders_and_registry_agree() {
    let folders: BTreeSet<String> = std::fs::read_dir(root().join("connectors"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("mod.rs").exists())
        .map(|path| path.file_name().unwrap().to_string_lossy().replace('_', "-"))
        .collect();
    let listed: BTreeSet<String> =
        tongbao_connectors::all().iter().map(|connector| connector.name.to_owned()).collect();
    assert_eq!(folders, listed);
    for connector in tongbao_connectors::all() {
        let folder = root().join("connectors").join(connector.name.replace('-', "_"));
        assert!(folder.join("README.md").exists(), "{}: protocol notes are missing", connector.name);
        assert!(!(connector.spec)().fields.is_empty());
    }
}

#[test]
fn shipped_mappings_compile_without_a_warning_and_pass_their_tests() {
    let folder = root().join("mappings");
    let paths = tongbao_app::config::mapping_files(&[folder]).unwrap();
    assert!(paths.len() >= 12);
    for path in &paths {
        let (mapping, found) = tongbao_app::commands::mapping::compile_file(path);
        assert!(mapping.is_some() && found.is_empty(), "{found:#?}");
    }
    let tested = tongbao_app::commands::mapping::test_files(&paths);
    let failed: Vec<_> = tested.iter().filter(|(_, test)| test.failure.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(tested.len() >= 2 * paths.len());
}

/// What editors are given fits the shipped files, and sees a mistyped key, field and rounding.
#[test]
fn the_schema_of_mapping_files_fits_them() {
    use tongbao_mapping::{Ends, schema};
    let documents = tongbao_app::config::Documents::all();
    let general = jsonschema::validator_for(&schema(None)).unwrap();
    let mut exact = 0;
    for path in tongbao_app::config::mapping_files(&[root().join("mappings")]).unwrap() {
        let text = text(&path);
        let file = yaml::parse(&text, &mut Findings::new("")).unwrap().to_json();
        let told = |validator: &jsonschema::Validator, file: &serde_json::Value| -> Vec<String> {
            validator.iter_errors(file).map(|error| format!("{}: {error}", error.instance_path())).collect()
        };
        assert_eq!(told(&general, &file), Vec::<String>::new(), "{}", shown(&path));
        let head = tongbao_mapping::head(&text).unwrap();
        let Some(target) = documents.shape(&head.to) else { continue };
        let narrow = jsonschema::validator_for(&schema(Some(&target))).unwrap();
        assert_eq!(told(&narrow, &file), Vec::<String>::new(), "{}", shown(&path));
        exact += 1;
        // A variant may state its target and nothing else.
        let mut whole = file.clone();
        whole.as_object_mut().unwrap().entry("set").or_insert_with(|| serde_json::json!({}));
        for (pointer, key) in [("", "ignored"), ("/set", "FBilNo")] {
            let mut wrong = whole.clone();
            wrong.pointer_mut(pointer).unwrap()[key] = "x".into();
            assert!(!narrow.is_valid(&wrong), "{}: {key}", shown(&path));
        }
        let mut wrong = whole;
        let rules = wrong["set"].as_object_mut().unwrap();
        let field = rules.keys().next().cloned().unwrap_or_else(|| target.fields[0].name.to_string());
        rules.insert(field, serde_json::json!({"from": "a", "round": "half"}));
        assert!(!narrow.is_valid(&wrong) && !general.is_valid(&wrong), "{}", shown(&path));
    }
    assert!(exact > 5);
}

/// Every code has a file that shows it and nothing else of its kind, the reference names it, and no file is left over.
#[test]
fn refused_mappings_codes_and_reference_agree() {
    use tongbao_mapping::codes::CODES;
    let mut shown: BTreeSet<String> = BTreeSet::new();
    for path in files("mappings/refused", "yaml") {
        let code = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (mapping, found) = tongbao_app::commands::mapping::compile_file(&path);
        let known = CODES.iter().find(|known| known.code == code);
        let known = known.unwrap_or_else(|| panic!("{code} is no code"));
        assert_eq!(mapping.is_none(), known.severity == Severity::Error, "{code}: {found:#?}");
        for finding in &found {
            assert_eq!(finding.code, code, "{finding}");
            assert_eq!(finding.severity, known.severity, "{finding}");
            assert!(finding.place.line > 0 && finding.place.column > 0, "{finding}");
            let suggestion = finding.suggestion.as_ref().unwrap_or_else(|| panic!("{finding}"));
            for text in [&finding.message, suggestion] {
                assert!(!text.en.is_empty() && !text.zh.is_ascii(), "{finding}");
            }
        }
        assert!(!found.is_empty(), "{code}: nothing found");
        shown.insert(code);
    }
    // A file of four megabytes is not kept; it is made.
    let large = format!("mapping: x\n# {}\n", "x".repeat(tongbao_model::yaml::BYTES_MAX));
    let (_, found) = tongbao_mapping::compile("large.yaml", &large, &tongbao_app::config::Documents::all());
    assert_eq!(found.first().map(|finding| finding.code), Some("yaml-too-large"));
    shown.insert("yaml-too-large".to_owned());
    assert_eq!(shown, CODES.iter().map(|known| known.code.to_owned()).collect());
    let page = text(&root().join("mappings/REFERENCE.md"));
    assert_eq!(page.trim_end(), tongbao_mapping::reference().trim_end(), "run `tongbao mapping reference`");
}

/// Names and kinds of the metrics that the code counts, from the macros that count.
fn counted() -> BTreeSet<(String, Kind)> {
    let mut counted = BTreeSet::new();
    let mut found = Vec::new();
    for file in files("core", "rs").into_iter().chain(files("connectors", "rs")) {
        let text = text(&file);
        for (word, kind) in
            [("counter!(", Kind::Counter), ("gauge!(", Kind::Gauge), ("histogram!(", Kind::Histogram)]
        {
            for after in text.split(&format!("metrics::{word}")).skip(1) {
                let name = after.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                found.push((name.unwrap_or_else(|| panic!("{}: {word}", shown(&file))).to_owned(), kind));
            }
        }
    }
    for (name, kind) in found {
        counted.insert((name, kind));
    }
    counted
}

#[test]
fn every_metric_is_described_and_every_description_is_of_a_metric() {
    let described: BTreeSet<(String, Kind)> =
        METRICS.iter().map(|metric| (metric.name.to_owned(), metric.kind)).collect();
    assert_eq!(counted(), described);
    assert_eq!(described.len(), METRICS.len());
    let guide = text(&root().join("deploy/README.md"));
    for word in guide.split(|c: char| !c.is_ascii_lowercase() && c != '_') {
        let known = !word.starts_with("tongbao_") || METRICS.iter().any(|metric| metric.name == word);
        assert!(known, "deploy/README.md speaks of {word}");
    }
}

/// Alert rules name metrics and labels that are exported, each leads to a page, and no page is left over.
#[test]
fn alert_rules_pages_and_metrics_agree() {
    let mut findings = Findings::new("alerts.yaml");
    let rules = yaml::parse(&text(&root().join("deploy/alerts.yaml")), &mut findings).unwrap();
    assert_eq!(findings.into_sorted().len(), 0);
    let groups = rules.get("groups").unwrap().items();
    let mut pages = BTreeSet::new();
    let mut named = BTreeSet::new();
    for rule in groups.iter().flat_map(|group| group.get("rules").unwrap().items()) {
        let of = |key: &str| rule.get(key).and_then(Node::text).unwrap_or_default().to_owned();
        let (alert, expression) = (of("alert"), of("expr"));
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let metrics: Vec<&Metric> = words
            .filter(|word| word.starts_with("tongbao_"))
            .map(|word| {
                let is_it = |metric: &&Metric| {
                    let parts = ["_sum", "_count"].map(|part| format!("{}{part}", metric.name));
                    metric.name == word
                        || (metric.kind == Kind::Histogram && parts.contains(&word.to_owned()))
                };
                METRICS.iter().find(is_it).unwrap_or_else(|| panic!("{alert}: nobody exports {word}"))
            })
            .collect();
        assert!(!metrics.is_empty(), "{alert}: {expression}");
        named.extend(metrics.iter().map(|metric| metric.name));
        // Labels in `by (…)`, `on (…)` and `{…="…"}`; Prometheus adds `instance`.
        let known: BTreeSet<&str> =
            metrics.iter().flat_map(|metric| metric.labels).copied().chain(["instance"]).collect();
        let grouped = ["by (", "on ("].iter().flat_map(|word| expression.split(word).skip(1));
        let grouped = grouped.flat_map(|rest| rest.split(')').next().unwrap().split(','));
        let matched =
            expression.split('{').skip(1).flat_map(|rest| rest.split('}').next().unwrap().split(','));
        for label in grouped.chain(matched) {
            let label = label.split(['=', '!']).next().unwrap().trim();
            assert!(known.contains(label), "{alert}: no label {label}");
        }
        let opened = expression.matches(['(', '[', '{']).count();
        assert_eq!(opened, expression.matches([')', ']', '}']).count(), "{alert}: {expression}");
        let annotations = rule.get("annotations").unwrap();
        let summary = annotations.get("summary").and_then(Node::text).unwrap();
        assert!(summary.contains(" / "), "{alert}: in two languages");
        let page = annotations.get("runbook").and_then(Node::text).unwrap();
        let read = text(&root().join(page));
        assert_eq!(read.lines().next(), Some(format!("# {alert}").as_str()), "{page}");
        for part in ["## 含义", "## 先看", "## 怎么办", "## Meaning", "## What to do", "```sh"] {
            assert!(read.contains(part), "{page}: {part}");
        }
        assert!(pages.insert(page.to_owned()), "{page} is of two rules");
    }
    let there: BTreeSet<String> = files("deploy/alerts", "md").iter().map(|path| shown(path)).collect();
    assert_eq!(pages, there);
    for wanted in [
        "tongbao_backlog_oldest_seconds",
        "tongbao_circuit_open",
        "tongbao_poll_failures_total",
        "tongbao_publish_failures_total",
        "tongbao_store_failures_total",
        "tongbao_outbox_rows",
        "tongbao_fenced_total",
        "tongbao_panics_total",
        "tongbao_refused_total",
        "tongbao_paused_seconds",
        "tongbao_disk_free_bytes",
    ] {
        assert!(named.contains(wanted), "nobody is told about {wanted}");
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let output = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(!listed.is_empty());
    for name in listed
        .lines()
        .filter(|name| !name.ends_with(".gz") && *name != "Cargo.lock" && *name != "tests/tidy.rs")
    {
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
        for word in ["../shared", "/work/", "/root/", "/tmp/wt-"] {
            assert!(!text.contains(word), "{name} holds {word:?}");
        }
    }
}
