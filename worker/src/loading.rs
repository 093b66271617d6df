//! Loading a model: what is missing comes into the store, then the store's bytes go to the device.

use std::collections::HashMap;
use std::rc::Rc;

use model::Manifest;
use model::hub::Place;
use model::manifest::FileHash;
use protocol::{
    Fault, FaultCode, LoadStage, LoadTimes, Outcome, RequestId, SelfTestReport, Settings,
};

use crate::fetching::{Keeping, Trying, fetch};
use crate::fit::fitting_context;
use crate::load::{self, Package};
use crate::pace::Pace;
use crate::progress::Meter;
use crate::race::{First, first};
use crate::reading::{Shards, Source, obtain};
use crate::runtime::{Loaded, Runtime, no_model};
use crate::store::{Shelf, sum};
use crate::trend::Trend;
use crate::watch::Watch;
use crate::{Blob as _, Engine, EngineFault, Host, Inbox, Loader, Policy, TextLoader};

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    pub(crate) async fn load(
        &mut self,
        id: RequestId,
        model_url: &str,
        settings: Settings,
    ) -> Result<Outcome, Fault> {
        let started_at = self.host.now();
        settings
            .check()
            .map_err(|error| Fault::new(FaultCode::BadRequest, error.to_string()))?;
        // The old session goes first: two would not fit beside each other. What was read of the same package stays, unless
        // its weights come from the network anyhow.
        let place = load::place(model_url)?;
        let base_url = place.key();
        let kept = self
            .model
            .take()
            .filter(|loaded| loaded.cached && loaded.package.base_url == base_url);
        let mut fetched_bytes = 0;
        let loaded = match kept {
            Some(kept) => Loaded {
                settings,
                session: None,
                has_answered: false,
                ..kept
            },
            None => {
                // Another model has another speed.
                self.trend = Trend::default();
                self.pace = Pace::new(self.policy.chunk_millis);
                let inbox = Rc::clone(&self.inbox);
                let mut meter = Meter::new(&self.host, id, self.policy.progress_millis);
                let read = self.read_package(&place, settings, &mut meter);
                let loaded = match first(read, inbox.cancelled()).await {
                    First::Left(loaded) => loaded?,
                    First::Right(()) => {
                        if place.is_chosen() {
                            self.drop_half(&place).await;
                        }
                        return Ok(Outcome::Cancelled);
                    }
                };
                if place.is_chosen() {
                    self.chosen = None;
                }
                fetched_bytes = meter.fetched_bytes();
                loaded
            }
        };
        self.model = Some(loaded);
        self.recall_trials().await;
        match self.open_session(id, fetched_bytes).await {
            Ok(true) => {}
            Ok(false) => {
                self.model = None;
                return Ok(Outcome::Cancelled);
            }
            Err(fault) => {
                // What the store has lost has to be copied or fetched again, so what was read of the package is no use.
                let is_lost = matches!(fault.code, FaultCode::FilesGone | FaultCode::Corrupt);
                self.model.take_if(|_| is_lost);
                return Err(fault);
            }
        }
        self.info(started_at)
            .map(Outcome::Loaded)
            .ok_or_else(no_model)
    }

    /// The package at a place, with everything in the store, or, without one, with its weights still to come when there is a device
    /// to take them.
    async fn read_package(
        &self,
        place: &Place,
        settings: Settings,
        meter: &mut Meter<'_, H>,
    ) -> Result<Loaded<E::Session, T::Model>, Fault> {
        let shelf = Shelf::open(&self.host, &self.policy).await?.ok();
        let (package, text) = self.bring(shelf.as_ref(), place, meter).await?;
        Ok(Loaded {
            package,
            settings,
            cached: shelf.is_some(),
            text,
            session: None,
            has_answered: false,
            times: LoadTimes::default(),
            self_test: SelfTestReport::default(),
        })
    }

    /// Reads manifest and tokenizer, and sees to it that the store, where there is one, holds the weights.
    pub(crate) async fn bring(
        &self,
        shelf: Option<&Shelf<'_, H>>,
        place: &Place,
        meter: &mut Meter<'_, H>,
    ) -> Result<(Package, Option<T::Model>), Fault> {
        let (host, policy) = (&self.host, &self.policy);
        let base_url = place.key();
        let complete = match shelf {
            Some(shelf) => shelf.complete_package(&base_url).await?,
            None => None,
        };
        let package = match complete {
            Some(package) => package,
            None if place.is_chosen() => self.read_chosen(shelf, place, meter).await?,
            None if place.is_foreign() => self.read_foreign(shelf, place, meter).await?,
            None => {
                let (package, bytes) = load::manifest(host, policy, &self.inbox, base_url).await?;
                if let Some(shelf) = shelf {
                    shelf.put_package(&package, &bytes).await?;
                }
                package
            }
        };
        let text = self.read_text(shelf, &package).await?;
        if let Some(shelf) = shelf {
            download(host, policy, &self.inbox, shelf, &package, meter).await?;
        }
        Ok((package, text))
    }

    async fn read_text(
        &self,
        shelf: Option<&Shelf<'_, H>>,
        package: &Package,
    ) -> Result<Option<T::Model>, Fault> {
        let Some(info) = &package.manifest.text else {
            return Ok(None);
        };
        let file = &info.tokenizer;
        if file.bytes > self.policy.max_tokenizer_bytes {
            let detail = format!(
                "{}: expected at most {} bytes, got {}",
                file.file, self.policy.max_tokenizer_bytes, file.bytes
            );
            return Err(Fault::new(FaultCode::BadModel, detail));
        }
        let source = Source {
            host: &self.host,
            policy: &self.policy,
            inbox: &self.inbox,
            shelf,
            base_url: &package.base_url,
            trying: Trying::Patiently,
        };
        let bytes = obtain(&source, file, None).await?;
        let vocab = package.manifest.architecture.vocab;
        self.texts.load(info, bytes.to_vec(), vocab).map(Some)
    }

    /// Puts the package's weights on a new device. An adapter that is missing is asked for several times. `false` =
    /// cancelled. The package stays when this fails, so that the next request can try again. `fetched_bytes` have come from
    /// the network before.
    async fn open_session(&mut self, id: RequestId, fetched_bytes: u64) -> Result<bool, Fault> {
        let asked_at = self.host.now();
        let mut last = Fault::new(FaultCode::NoAdapter, "no attempt was made");
        for millis in self.policy.device_waits_millis.clone() {
            let inbox = Rc::clone(&self.inbox);
            let mut meter = Meter::new(&self.host, id, self.policy.progress_millis);
            meter.add_fetched(fetched_bytes);
            let attempt = async {
                self.host.sleep(millis).await;
                self.new_session(&mut meter, asked_at).await
            };
            let result = match first(attempt, inbox.cancelled()).await {
                First::Left(result) => result,
                First::Right(()) => return Ok(false),
            };
            match result {
                Ok(opened) => {
                    self.generation += 1;
                    if let Some(loaded) = self.model.as_mut() {
                        loaded.session = Some(opened.session);
                        loaded.times = opened.times;
                        loaded.self_test = opened.self_test;
                    }
                    return Ok(true);
                }
                Err(EngineFault::Lost(detail)) => return Err(self.device_lost(detail)),
                Err(EngineFault::Absent(fault)) => {
                    log::warn!("no device yet: {fault}");
                    last = fault;
                }
                Err(EngineFault::Fault(fault)) => return Err(fault),
            }
        }
        Err(last)
    }

    /// The settings with a context that fits, where none was chosen.
    fn fitted(&self, manifest: &Manifest, settings: Settings) -> Settings {
        if settings.context != 0 {
            return settings;
        }
        let budget = &self.judgement.budget;
        let buffer_bytes = self.buffer_bytes.get();
        Settings {
            context: fitting_context(manifest, &settings, budget, buffer_bytes),
            ..settings
        }
    }

    /// Opens a device and uploads the weights. The device gets one shard at a time, while the store reads the next ones.
    async fn new_session(
        &self,
        meter: &mut Meter<'_, H>,
        asked_at: f64,
    ) -> Result<Opened<E::Session>, EngineFault> {
        let (host, policy) = (&self.host, &self.policy);
        let watch = Watch {
            host,
            silence_seconds: policy.slow_silence_seconds,
        };
        let loaded = self
            .model
            .as_ref()
            .ok_or_else(|| EngineFault::Fault(no_model()))?;
        let package = &loaded.package;
        let shelf = if loaded.cached {
            let opened = Shelf::open(host, policy)
                .await
                .map_err(EngineFault::Fault)?;
            opened.ok()
        } else {
            None
        };
        let stage = if shelf.is_some() {
            LoadStage::Upload
        } else {
            LoadStage::Download
        };
        let shards = &package.manifest.shards;
        meter.begin(stage, shards.iter().map(|shard| (shard.bytes, false)), 0);
        let mut laps = Laps::new(asked_at);
        let mut times = LoadTimes::default();
        let settings = self.fitted(&package.manifest, loaded.settings);
        let mut loader = watch
            .once(self.engine.open(&package.manifest, &settings))
            .await?;
        times.device_millis = laps.next(host.now());
        let self_test = loader.self_test();
        let source = Source {
            host,
            policy,
            inbox: &self.inbox,
            shelf: shelf.as_ref(),
            base_url: &package.base_url,
            // What the store has lost is asked for now: nobody can stop this stage.
            trying: if shelf.is_some() {
                Trying::Briefly
            } else {
                Trying::Patiently
            },
        };
        let mut shards = Shards::new(source, shards).await;
        let mut index = 0;
        while let Some(bytes) = shards.next(meter).await.map_err(EngineFault::Fault)? {
            times.read_millis += laps.next(host.now());
            let push = watch.once(loader.push_shard(index, &bytes));
            shards.beside(push).await?;
            times.upload_millis += laps.next(host.now());
            meter.shards(1, bytes.len() as u64, 0);
            index += 1;
        }
        meter.prepare();
        let session = watch.once(loader.finish()).await?;
        times.prepare_millis = laps.next(host.now());
        shards.note().await;
        Ok(Opened {
            session,
            times,
            self_test,
        })
    }
}

/// A model on a device.
struct Opened<S> {
    session: S,
    times: LoadTimes,
    self_test: SelfTestReport,
}

/// Times between moments.
struct Laps(f64);

impl Laps {
    const fn new(now: f64) -> Self {
        Self(now)
    }

    /// Milliseconds since the last moment.
    fn next(&mut self, now: f64) -> f64 {
        now - std::mem::replace(&mut self.0, now)
    }
}

/// Brings every shard that the store lacks from the network into it.
async fn download<H: Host>(
    host: &H,
    policy: &Policy,
    inbox: &Inbox,
    shelf: &Shelf<'_, H>,
    package: &Package,
    meter: &mut Meter<'_, H>,
) -> Result<(), Fault> {
    let stored = shelf.hashes(&package.base_url).await?;
    let shards = &package.manifest.shards;
    let is_stored = |shard: &FileHash| stored.contains(&shard.sha256);
    // Shards may be alike.
    let mut missing: Vec<(&FileHash, usize)> = Vec::new();
    let mut places = HashMap::new();
    for shard in shards.iter().filter(|shard| !is_stored(shard)) {
        let place = *places.entry(&shard.sha256).or_insert(missing.len());
        match missing.get_mut(place) {
            Some((_, copies)) => *copies += 1,
            None => missing.push((shard, 1)),
        }
    }
    if missing.is_empty() {
        // What an earlier version of a package has left. Another one may go on with what has come of it.
        let parts = shelf.parts().await?;
        let wanted = shelf.wanted_by_others(&package.base_url, &parts).await?;
        let left = parts.iter().filter(|part| !wanted.contains(&part.sha256));
        return shelf.drop_parts(left).await.map(drop);
    }
    let counts: Vec<(u64, bool)> = shards
        .iter()
        .map(|shard| (shard.bytes, is_stored(shard)))
        .collect();
    let keeping = Keeping::new(host, shelf, &package.base_url, missing, Some(meter));
    let orders = keeping.orders(policy).await?;
    let held_bytes = sum(orders.iter().map(|order| order.want.held_bytes));
    keeping.begin(LoadStage::Download, counts.into_iter(), held_bytes);
    fetch(host, policy, inbox, &keeping, Trying::Patiently, orders).await
}
