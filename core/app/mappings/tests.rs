//! Edited mapping files in a folder, look by look.

use super::look::Watch;
use super::reload::{Reloader, State};
use super::*;
use crate::config::Documents;
use crate::stage::MAPPINGS;
use crate::tables::TableCache;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tongbao_delivery::clock::SystemClock;
use tongbao_delivery::port::Store;
use tongbao_delivery::sim::MemoryStore;

const ORDER: &str = "order.yaml";
const COMMISSION: &str = "commission.yaml";

fn shipped(name: &str) -> String {
    MAPPINGS.iter().find(|(path, _)| *path == name).unwrap().1.to_owned()
}

/// A process with two mappings; the configuration uses the first, which includes a part.
struct Process {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
    reloader: Reloader,
}

impl Process {
    async fn start() -> Process {
        let folder = tempfile::tempdir().unwrap();
        let order = shipped("contract/contract__kingdee-cloud.yaml");
        let order = order.replace("\nset:\n", "\ninclude: [parts/refuse.yaml]\nset:\n");
        std::fs::create_dir(folder.path().join("parts")).unwrap();
        for (name, text) in [
            (ORDER, order.as_str()),
            (COMMISSION, &shipped("commission/commission__webhook.yaml")),
            ("parts/refuse.yaml", "refuse: []\n"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let store = Arc::new(MemoryStore::new());
        let mut uses = Uses::default();
        uses.needs("contract-to-kingdee-sales-order", "kingdee-cloud");
        let reloader = Reloader {
            folders: vec![folder.path().to_owned()],
            every: None,
            uses,
            documents: Arc::new(Documents::all()),
            mappings: Arc::new(Mappings::default()),
            tables: Arc::new(TableCache::load(store.clone()).await.unwrap()),
            store: store.clone(),
            clock: Arc::new(SystemClock),
            state: tokio::sync::Mutex::new(State {
                watch: Watch::default(),
                loaded: BTreeMap::new(),
                refused: BTreeMap::new(),
            }),
        };
        let process = Process { folder, store, reloader };
        process.looks(2).await;
        assert_eq!(process.told().loaded.len(), 2, "{:?}", process.told().refused);
        process
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    async fn looks(&self, count: usize) {
        for _ in 0..count {
            self.reloader.look().await;
        }
    }

    fn told(&self) -> Told {
        self.reloader.mappings.told()
    }

    fn order(&self) -> Arc<Mapping> {
        self.reloader.mappings.get("contract-to-kingdee-sales-order").unwrap()
    }

    /// File and code of what was refused.
    fn refused(&self) -> Vec<(String, &'static str)> {
        let name = |file: &str| Path::new(file).file_name().unwrap().to_string_lossy().into_owned();
        let told = self.told();
        told.refused.iter().map(|one| (name(&one.file), one.findings[0].code)).collect()
    }
}

#[tokio::test]
async fn only_what_two_looks_find_the_same_takes_over() {
    let process = Process::start().await;
    let (before, whole) = (process.order(), process.text(ORDER));
    let edited = format!("# edited\n{whole}");
    // Of a file cut off after `set` the checker would not say a word: its tests are what is missing.
    let half = edited.split("\ntests:").next().unwrap();
    process.write(ORDER, half);
    process.looks(1).await;
    assert_eq!(process.told().changing.len(), 1);
    process.write(ORDER, &edited);
    process.looks(1).await;
    assert_eq!(process.order().version, before.version, "half of a file");
    process.looks(1).await;
    let after = process.order();
    assert_ne!(after.version, before.version);
    assert!(process.told().changing.is_empty() && process.refused().is_empty());
    let kept = process.store.mapping(&after.version).await.unwrap().unwrap();
    assert_eq!(
        (kept.files[0].text.as_str(), kept.files[1].path.as_str()),
        (edited.as_str(), "parts/refuse.yaml")
    );
    // Edited and edited back between two looks, or back before the second.
    process.write(ORDER, &whole);
    process.looks(1).await;
    process.write(ORDER, &edited);
    process.looks(2).await;
    assert_eq!(process.order().version, after.version);
}

#[tokio::test]
async fn a_mistake_is_told_and_the_old_one_goes_on() {
    let process = Process::start().await;
    let (before, whole) = (process.order(), process.text(ORDER));
    let commission = process.text(COMMISSION);
    process.write(ORDER, &whole.replace("signed_at", "signed_on"));
    process.write(COMMISSION, &format!("# edited\n{commission}"));
    let was = process.reloader.mappings.get("commission-to-crm").unwrap();
    process.looks(2).await;
    assert_eq!(process.order().version, before.version);
    assert_ne!(
        process.reloader.mappings.get("commission-to-crm").unwrap().version,
        was.version,
        "its own matter"
    );
    assert_eq!(process.refused(), [(ORDER.to_owned(), "source-unknown")]);
    let told = process.told();
    assert_eq!(told.refused[0].goes_on, Some(before.id()));
    assert!(told.refused[0].findings[0].place.line > 1);
    process.looks(3).await;
    assert_eq!(process.told().refused[0].since_ms, told.refused[0].since_ms, "judged once");
    process.write(ORDER, &whole);
    process.looks(2).await;
    assert!(process.refused().is_empty());
    process.write(".order.yaml", "mapping: [\n");
    process.looks(2).await;
    assert!(process.refused().is_empty(), "an editor's own file");
    // The same with a file that another includes.
    process.write("parts/refuse.yaml", "refuse: [{ when: nonsense, zh: 无, en: none }]\n");
    process.looks(2).await;
    assert_eq!(process.refused(), [(ORDER.to_owned(), "source-unknown")]);
    assert!(process.told().refused[0].findings[0].file.ends_with("parts/refuse.yaml"));
    process.write("parts/refuse.yaml", "refuse: [{ when: currency == \"USD\", zh: 无, en: none }]\n");
    process.looks(2).await;
    assert_ne!(process.order().version, before.version);
    // Gone, a part is a mistake like any other.
    std::fs::remove_file(process.path("parts/refuse.yaml")).unwrap();
    process.looks(2).await;
    assert_eq!(process.refused(), [(ORDER.to_owned(), "reuse-file")]);
}

#[tokio::test]
async fn what_the_configuration_uses_does_not_go_away() {
    let process = Process::start().await;
    let (before, whole) = (process.order(), process.text(ORDER));
    std::fs::remove_file(process.path(ORDER)).unwrap();
    std::fs::remove_file(process.path(COMMISSION)).unwrap();
    process.looks(2).await;
    assert_eq!(process.refused(), [(ORDER.to_owned(), "mapping-gone")]);
    assert_eq!(process.order().version, before.version);
    assert!(process.reloader.mappings.get("commission-to-crm").is_none(), "nobody uses it");
    // It comes back under another name of the file, which takes the place of the one that is gone.
    process.write("moved.yaml", &whole);
    process.looks(2).await;
    assert!(process.refused().is_empty(), "{:?}", process.refused());
    // A second file of the same name of mapping does not take over; nor does one that makes another document.
    process.write("copy.yaml", &format!("# copy\n{whole}"));
    process.looks(2).await;
    assert_eq!(process.refused(), [("copy.yaml".to_owned(), "mapping-twice")]);
    std::fs::remove_file(process.path("copy.yaml")).unwrap();
    let renamed = whole.replace("contract-to-kingdee-sales-order", "another-name");
    process.write("moved.yaml", &renamed);
    process.looks(2).await;
    assert_eq!(process.refused(), [("moved.yaml".to_owned(), "mapping-gone")]);
    let invoice = shipped("contract/contract__nuonuo.yaml");
    let invoice =
        invoice.replace("mapping: contract-to-nuonuo-invoice", "mapping: contract-to-kingdee-sales-order");
    process.write("moved.yaml", &invoice);
    process.looks(2).await;
    assert_eq!(process.refused(), [("moved.yaml".to_owned(), "mapping-end")]);
    assert_eq!(process.order().to, before.to);
    process.write("moved.yaml", &whole.replace("key: number\n", "key: upper(number)\n"));
    process.looks(2).await;
    assert_eq!(process.refused(), [("moved.yaml".to_owned(), "mapping-key")]);
    // Renamed and used no more than before: two files change places in one go.
    process.write("moved.yaml", &renamed);
    process.write("again.yaml", &whole);
    process.looks(2).await;
    assert!(process.refused().is_empty(), "{:?}", process.refused());
    assert_eq!(process.told().loaded.len(), 2);
    std::fs::remove_dir_all(process.folder.path()).unwrap();
    process.looks(2).await;
    assert!(process.told().problem.is_some());
    assert_eq!(process.told().loaded.len(), 2, "what is in use goes on");
}
