//! What database and broker manage at most, measured several times in a run.

use std::time::Duration;
use tongbao_delivery::RabbitSettings;
use tongbao_delivery::rabbit::limit::publishes_per_second;

/// How long each is measured at a time.
const TIME: Duration = Duration::from_millis(1_500);

/// What was measured so far.
#[derive(Default)]
pub struct Limits {
    /// Single-row commits a second.
    pub commits: Vec<f64>,
    /// Confirmed publishes a second.
    pub confirms: Vec<f64>,
}

impl Limits {
    /// Measures once more.
    pub async fn measure(
        &mut self,
        store: &str,
        clients: u64,
        rabbit: Option<&RabbitSettings>,
    ) -> Result<(), String> {
        let commits = tongbao_store::limit::commits_per_second(store, clients, TIME).await;
        self.commits.push(commits.map_err(|error| error.to_string())?);
        if let Some(settings) = rabbit {
            let confirms = publishes_per_second(settings, TIME).await;
            self.confirms.push(confirms.map_err(|error| error.to_string())?);
        }
        Ok(())
    }
}
