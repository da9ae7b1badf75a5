//! Taking edited mappings over in a running process: by looking at their contents every so often, or when asked.

use super::decide::{Decision, Uses, decide};
use super::look::Watch;
use super::{InUse, Mappings, Refused, Told, kept};
use crate::config::{Documents, Loaded};
use crate::tables::TableCache;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tongbao_delivery::clock::Clock;
use tongbao_delivery::port::{Store, Stored};
use tongbao_mapping::Mapping;

/// Between the two looks of a reload that somebody asked for. Who asks has written; a file that is still being copied
/// is left for the next time.
const BETWEEN: Duration = Duration::from_millis(200);

/// Watches the mapping files of a process.
pub struct Reloader {
    pub(super) folders: Vec<PathBuf>,
    pub(super) every: Option<Duration>,
    pub(super) uses: Uses,
    pub(super) documents: Arc<Documents>,
    pub(super) mappings: Arc<Mappings>,
    pub(super) tables: Arc<TableCache>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) state: Mutex<State>,
}

pub struct State {
    pub watch: Watch,
    /// By name.
    pub loaded: BTreeMap<String, InUse>,
    /// By file.
    pub refused: BTreeMap<PathBuf, Refused>,
}

impl Reloader {
    /// For what was loaded. Its texts are kept in the store before any document is made by them.
    pub async fn start(
        loaded: &Loaded,
        mappings: Arc<Mappings>,
        tables: Arc<TableCache>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Stored<Reloader> {
        let now_ms = clock.now_ms();
        store.keep_mappings(loaded.mappings.values().map(|mapping| kept(mapping)).collect(), now_ms).await?;
        let files = loaded.files.iter();
        let files = files.filter_map(|(name, path)| Some((path, loaded.mappings.get(name)?)));
        let in_use =
            files.clone().map(|(path, mapping)| (mapping.name.clone(), in_use(mapping, path, now_ms)));
        let every = loaded.config.reload_ms;
        let reloader = Reloader {
            folders: loaded.config.mappings.clone(),
            every: (every > 0).then(|| Duration::from_millis(every)),
            uses: Uses::of(&loaded.config),
            documents: Arc::new(Documents::all()),
            mappings,
            tables,
            store,
            clock,
            state: Mutex::new(State {
                loaded: in_use.collect(),
                watch: Watch::started(files),
                refused: BTreeMap::new(),
            }),
        };
        reloader.state.lock().await.tell(&reloader.mappings);
        Ok(reloader)
    }

    /// Looks until told to stop.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let Some(every) = self.every else { return };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => self.look().await,
            }
        }
    }

    /// Takes over now what is whole and right, mappings and code tables, and tells how things stand.
    pub async fn reload(self: &Arc<Self>) -> Told {
        let own = self.clone();
        // Whoever asks may go away in the middle of a look, which is seen through all the same.
        let looks = tokio::spawn(async move {
            if let Err(error) = own.tables.refresh().await {
                tracing::warn!(%error, "code tables not refreshed");
            }
            own.look().await;
            tokio::time::sleep(BETWEEN).await;
            own.look().await;
        });
        if let Err(error) = looks.await {
            tracing::error!(%error, "the reload failed");
        }
        self.mappings.told()
    }

    /// Looks once; what was found unchanged twice takes over, or is refused and told of.
    pub(super) async fn look(&self) {
        let mut state = self.state.lock().await;
        let mut watch = std::mem::take(&mut state.watch);
        let (folders, documents) = (self.folders.clone(), self.documents.clone());
        let before = watch.problem.clone();
        let looked = tokio::task::spawn_blocking(move || {
            watch.look(&folders, &documents);
            watch
        });
        match looked.await {
            Ok(watch) => state.watch = watch,
            Err(error) => {
                // Whatever it was, everything is read anew by the next look.
                tracing::error!(%error, "looking at the mappings failed");
                return;
            }
        }
        if let Some(problem) = state.watch.problem.as_deref().filter(|now| before.as_deref() != Some(*now)) {
            tracing::warn!(problem, "the mapping folders cannot be read; what is in use goes on");
        }
        if state.watch.has_confirmed() {
            let decision = decide(&state.watch, &self.mappings.all(), &self.uses);
            if let Err(error) = self.take(&mut state, decision).await {
                // Nothing was changed: the next look comes to the same and tries again.
                tracing::warn!(%error, "changed mappings not kept, so they do not take over yet");
            }
        }
        state.tell(&self.mappings);
    }

    async fn take(&self, state: &mut State, decision: Decision) -> Stored<()> {
        let now_ms = self.clock.now_ms();
        let new = decision.taken.iter().filter_map(|(_, mapping)| mapping.as_deref());
        self.store.keep_mappings(new.map(kept).collect(), now_ms).await?;
        let before = self.mappings.all();
        self.mappings.replace(decision.mappings);
        for (path, _) in &decision.taken {
            state.loaded.retain(|_, known| Path::new(&known.file) != path);
        }
        for (path, mapping) in decision.taken {
            state.watch.settle(&path, mapping.as_ref().map(|mapping| mapping.name.clone()), false);
            state.refused.remove(&path);
            let file = path.display();
            if let Some(mapping) = mapping {
                let was = before.get(&mapping.name).map(|before| before.version.as_str());
                let (mapping, version) = (&mapping, &mapping.version);
                tracing::info!(mapping = mapping.name, version, was, %file, "mapping taken over");
                state.loaded.insert(mapping.name.clone(), in_use(mapping, &path, now_ms));
            } else {
                tracing::info!(%file, "mapping gone");
            }
            metrics::counter!("tongbao_mapping_reloads_total", "outcome" => "taken").increment(1);
        }
        for (path, findings) in decision.refused {
            let running = state.watch.units.get(&path).and_then(|unit| unit.running.clone());
            state.watch.settle(&path, running.clone(), true);
            if state.refused.get(&path).is_some_and(|known| known.findings == findings) {
                continue;
            }
            let goes_on = running.and_then(|name| Some(before.get(&name)?.id()));
            for finding in &findings {
                let (code, line, message) = (finding.code, finding.place.line, finding.message.to_string());
                tracing::warn!(
                    file = finding.file,
                    line,
                    code,
                    message,
                    goes_on,
                    "a changed mapping does not take over"
                );
            }
            let file = path.display().to_string();
            state.refused.insert(path, Refused { file, since_ms: now_ms, goes_on, findings });
            metrics::counter!("tongbao_mapping_reloads_total", "outcome" => "refused").increment(1);
        }
        Ok(())
    }
}

impl State {
    fn tell(&self, mappings: &Mappings) {
        let refused: Vec<Refused> = self.refused.values().cloned().collect();
        let count = u32::try_from(refused.len()).unwrap_or(u32::MAX);
        metrics::gauge!("tongbao_mappings_refused").set(f64::from(count));
        mappings.tell(Told {
            loaded: self.loaded.values().cloned().collect(),
            refused,
            changing: self.watch.changing().map(|path| path.display().to_string()).collect(),
            problem: self.watch.problem.clone(),
        });
    }
}

fn in_use(mapping: &Mapping, path: &Path, since_ms: i64) -> InUse {
    InUse {
        name: mapping.name.clone(),
        version: mapping.version.clone(),
        file: path.display().to_string(),
        since_ms,
    }
}
