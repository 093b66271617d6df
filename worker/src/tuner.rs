//! Choosing kernels by measuring them: which of several that give the same bits is the fastest depends on the device, and no
//! browser tells enough of it. The first time that a model of some shape has been loaded on a device and nothing is asked,
//! each choice makes a few tokens of a small model of that shape, on a device of its own. The result is kept, and used from
//! the next start on; until then, and without one, a fixed table decides.

use std::ops::ControlFlow;

use model::Manifest;
use protocol::{Event, Fault, SamplingSettings, Settings, Status};

use crate::runtime::{Runtime, plain_fault};
use crate::store::{Shelf, StoredTrial};
use crate::watch::Watch;
use crate::{Engine, EngineFault, Host, Session, TextLoader, Tunable};

/// How often a trial is begun that never comes to its end: because it is interrupted, or ends the page.
const MOST_TRIES: u32 = 4;
/// Tokens that are read, and made, before anything is timed: kernels are compiled meanwhile. The tokens made are compared.
const WARM_UP: u32 = 8;
/// Tokens of a prompt that is timed.
const PROMPT: u32 = 64;
/// Most tokens that are timed.
const MADE: u32 = 64;
/// A usual conversation, by which reading and making are weighed.
const READ_AND_MADE: [f64; 2] = [200.0, 200.0];
/// What another choice has to win against the fixed table's, so that noise decides nothing.
const WIN: f64 = 0.95;

/// What one choice has shown.
struct Shown {
    /// The first tokens that it made.
    tokens: Vec<u32>,
    /// Milliseconds of a usual conversation.
    millis: f64,
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Reads what earlier trials have found, once, and tells the engine.
    pub(crate) async fn recall_trials(&mut self) {
        let is_cached = self.model.as_ref().is_some_and(|model| model.cached);
        if self.trials.is_some() || !is_cached || !self.engine.is_tunable() {
            return;
        }
        match self.stored_trials().await {
            Ok(trials) => {
                for trial in &trials {
                    if let Some(kernels) = &trial.kernels {
                        self.engine.prefer(&trial.scope, kernels);
                    }
                }
                self.trials = Some(trials);
            }
            // The fixed table is good enough.
            Err(fault) => log::warn!("trials can't be read: {fault}"),
        }
    }

    async fn stored_trials(&self) -> Result<Vec<StoredTrial>, Fault> {
        match Shelf::open(&self.host, &self.policy).await? {
            Ok(shelf) => shelf.trials().await,
            Err(_) => Ok(Vec::new()),
        }
    }

    /// What is to be tried when nothing is asked, and how often it was begun before.
    pub(crate) fn trial_due(&self) -> Option<(Tunable, u32)> {
        let loaded = self.model.as_ref().filter(|_| !self.has_tried)?;
        let trials = self.trials.as_ref()?;
        let tunable = self.engine.tunable(&loaded.package.manifest)?;
        let stored = trials.iter().find(|trial| trial.scope == tunable.scope);
        let tries = match stored.map(|trial| (&trial.kernels, trial.tries)) {
            Some((Some(kernels), _)) if tunable.kernels.contains(kernels) => return None,
            Some((None, tries)) => tries,
            // What it found can't be used any more.
            Some((Some(_), _)) | None => 0,
        };
        (tries < MOST_TRIES && tunable.kernels.len() > 1).then_some((tunable, tries))
    }

    /// Tries all choices, once nothing has been asked for a while. Dropped when something is: what was begun is lost.
    pub(crate) async fn tune(&self, tunable: &Tunable, tries: u32) {
        self.host.sleep(self.policy.tune_idle_millis).await;
        let Some(loaded) = &self.model else { return };
        let manifest = &loaded.package.manifest;
        match self.tried(manifest, &loaded.settings, tunable, tries).await {
            Ok(detail) => self.host.post(Event::Status(Status::Tuned { detail })),
            Err(fault) => log::warn!("no trial of kernels: {fault}"),
        }
    }

    async fn tried(
        &self,
        manifest: &Manifest,
        settings: &Settings,
        tunable: &Tunable,
        tries: u32,
    ) -> Result<String, Fault> {
        let Ok(shelf) = Shelf::open(&self.host, &self.policy).await? else {
            return Ok("there is no store to keep it".to_owned());
        };
        let begun = StoredTrial::new(&tunable.scope, tries + 1, None);
        shelf.put_trial(&begun).await?;
        let mut found: Vec<(&str, Shown)> = Vec::new();
        let mut words = Vec::new();
        for kernels in &tunable.kernels {
            let shown = match self.show(manifest, settings, kernels).await {
                Ok(shown) => shown,
                // The device may be in trouble; nothing more is asked of it now.
                Err(EngineFault::Lost(detail)) => {
                    return Err(plain_fault(EngineFault::Lost(detail)));
                }
                Err(EngineFault::Absent(fault) | EngineFault::Fault(fault)) => {
                    words.push(format!("{kernels} fails ({})", fault.detail));
                    continue;
                }
            };
            words.push(format!("{kernels} {:.0} ms", shown.millis));
            found.push((kernels, shown));
        }
        let best = choose(&found, &mut words);
        let kernels = best.map(str::to_owned);
        let words = format!("{} of {}", best.unwrap_or("none"), words.join(", "));
        shelf
            .put_trial(&StoredTrial::new(&tunable.scope, tries + 1, kernels))
            .await?;
        Ok(words)
    }

    /// Measures one choice.
    async fn show(
        &self,
        manifest: &Manifest,
        settings: &Settings,
        kernels: &str,
    ) -> Result<Shown, EngineFault> {
        let watch = Watch {
            host: &self.host,
            silence_seconds: self.policy.slow_silence_seconds,
        };
        let made = watch.once(self.engine.trial(manifest, settings, kernels));
        let (mut session, vocab) = {
            let made = made.await?;
            (made.session, made.vocab)
        };
        session.set_sampling(&SamplingSettings::default());
        let prompt = |n_tokens: u32, salt: u32| -> Vec<u32> {
            let token = |i| (salt * 17 + i * 31) % vocab.max(1);
            (0..n_tokens).map(token).collect()
        };
        let whole = |_, _| ControlFlow::Continue(u32::MAX);
        watch
            .once(session.prefill(&prompt(WARM_UP, 1), whole))
            .await?;
        let mut tokens = Vec::new();
        for _ in 0..WARM_UP {
            tokens.push(watch.once(session.next_token()).await?);
        }
        watch.once(session.settle()).await?;
        let began = self.host.now();
        watch
            .once(session.prefill(&prompt(PROMPT, 2), whole))
            .await?;
        tokens.push(watch.once(session.next_token()).await?);
        let read = self.host.now();
        let mut made = 0;
        let most_millis = f64::from(self.policy.tune_millis);
        while made < MADE && (made < 2 || self.host.now() - read < most_millis) {
            watch.once(session.next_token()).await?;
            made += 1;
            self.host.yield_now().await;
        }
        let spent = [read - began, self.host.now() - read];
        let [of_read, of_made] = READ_AND_MADE;
        Ok(Shown {
            tokens,
            millis: of_read * spent[0] / f64::from(PROMPT) + of_made * spent[1] / f64::from(made),
        })
    }
}

/// The fastest choice that makes the tokens that the first one makes, which is the fixed table's. That one stays unless another
/// one clearly wins.
fn choose<'a>(found: &[(&'a str, Shown)], words: &mut Vec<String>) -> Option<&'a str> {
    let (first, rest) = found.split_first()?;
    let (mut best, mut least) = (first.0, WIN * first.1.millis);
    for (kernels, shown) in rest {
        if shown.tokens != first.1.tokens {
            words.push(format!("{kernels} makes other tokens"));
        } else if shown.millis < least {
            (best, least) = (kernels, shown.millis);
        }
    }
    Some(best)
}
