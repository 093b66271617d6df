//! What trials of kernels have found, kept beside the models.

use protocol::{BUILD, Fault};
use serde::{Deserialize, Serialize};

use super::{Shelf, Store};
use crate::{Blob, Host};

/// How the keys of all such records begin; then the build follows, and what the record is good for.
const START: &str = "tuned/";
/// Version of the fields.
const VERSION: u32 = 1;

/// A trial that was begun, and what it found if it came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredTrial {
    version: u32,
    /// Device, browser and shape of the model that it is good for.
    pub(crate) scope: String,
    /// How often it was begun. What ends a page or takes the device away must not be tried for ever.
    pub(crate) tries: u32,
    /// Name of the kernels to use; absent without an end.
    pub(crate) kernels: Option<String>,
}

impl StoredTrial {
    pub(crate) fn new(scope: &str, tries: u32, kernels: Option<String>) -> Self {
        Self {
            version: VERSION,
            scope: scope.to_owned(),
            tries,
            kernels,
        }
    }
}

/// The key of a trial by this build.
fn key(scope: &str) -> String {
    format!("{START}{BUILD}/{scope}")
}

impl<H: Host> Shelf<'_, H> {
    /// Every trial of this build. Records that can't be read, or are another's, count as absent.
    pub(crate) async fn trials(&self) -> Result<Vec<StoredTrial>, Fault> {
        let mut trials = Vec::new();
        for key in self.trial_keys(&key("")).await? {
            let read = self.run("reading a trial", |store| store.record(&key));
            let Some(bytes) = read.await? else {
                continue;
            };
            match serde_json::from_slice::<StoredTrial>(&bytes.to_vec()) {
                Ok(trial) if trial.version == VERSION && self::key(&trial.scope) == key => {
                    trials.push(trial);
                }
                Ok(_) => log::warn!("a trial of another version is ignored: {key}"),
                Err(error) => log::warn!("a trial is ignored: {key}: {error}"),
            }
        }
        Ok(trials)
    }

    /// Keeps a trial in place of what was there, and drops those of other builds.
    pub(crate) async fn put_trial(&self, trial: &StoredTrial) -> Result<(), Fault> {
        let own = key("");
        let mut stale = self.trial_keys(START).await?;
        stale.retain(|key| !key.starts_with(&own));
        if !stale.is_empty() {
            self.run("dropping old trials", |store| {
                store.remove(None, &[], &stale)
            })
            .await?;
        }
        let text = serde_json::to_vec(trial).unwrap_or_default();
        let (key, bytes) = (key(&trial.scope), self.host().bytes(&text));
        self.run("keeping a trial", |store| store.put_record(&key, &bytes))
            .await
    }

    /// Forgets all trials.
    pub(super) async fn drop_trials(&self) -> Result<(), Fault> {
        let keys = self.trial_keys(START).await?;
        if keys.is_empty() {
            return Ok(());
        }
        self.run("dropping trials", |store| store.remove(None, &[], &keys))
            .await
    }

    async fn trial_keys(&self, start: &str) -> Result<Vec<String>, Fault> {
        self.run("listing trials", |store| store.record_keys(start))
            .await
    }
}
