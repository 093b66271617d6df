//! Loading a model: what is missing comes into the store, then the store's bytes go to the device.

use std::rc::Rc;

use model::manifest::FileHash;
use protocol::{
    Fault, FaultCode, LoadStage, LoadTimes, Outcome, RequestId, SelfTestReport, Settings,
};

use crate::load::{self, Package};
use crate::progress::Meter;
use crate::race::{First, first};
use crate::runtime::{Loaded, Runtime, no_model};
use crate::store::{Shelf, sum};
use crate::watch::Watch;
use crate::{Blob, Engine, EngineFault, Host, Loader, Policy, TextLoader};

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
        let base_url = load::base_url(model_url);
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
                let inbox = Rc::clone(&self.inbox);
                let mut meter = Meter::new(&self.host, id, self.policy.progress_millis);
                let read = self.read_package(base_url, settings, &mut meter);
                let loaded = match first(read, inbox.cancelled()).await {
                    First::Left(loaded) => loaded?,
                    First::Right(()) => return Ok(Outcome::Cancelled),
                };
                fetched_bytes = meter.fetched_bytes();
                loaded
            }
        };
        self.model = Some(loaded);
        if !self.open_session(id, fetched_bytes).await? {
            self.model = None;
            return Ok(Outcome::Cancelled);
        }
        self.info(started_at)
            .map(Outcome::Loaded)
            .ok_or_else(no_model)
    }

    /// Reads manifest and tokenizer, and sees to it that the store holds the weights. Without a store the weights come
    /// later, when there is a device to take them.
    async fn read_package(
        &self,
        base_url: String,
        settings: Settings,
        meter: &mut Meter<'_, H>,
    ) -> Result<Loaded<E::Session, T::Model>, Fault> {
        let (host, policy) = (&self.host, &self.policy);
        let shelf = Shelf::open(host, policy).await?.ok();
        let complete = match &shelf {
            Some(shelf) => shelf.complete_package(&base_url).await?,
            None => None,
        };
        let package = match complete {
            Some(package) => package,
            None => {
                let (package, bytes) = load::manifest(host, policy, base_url).await?;
                if let Some(shelf) = &shelf {
                    shelf.put_package(&package, &bytes).await?;
                }
                package
            }
        };
        let text = self.read_text(shelf.as_ref(), &package).await?;
        if let Some(shelf) = &shelf {
            download(host, policy, shelf, &package, meter).await?;
        }
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
        let (host, policy) = (&self.host, &self.policy);
        let bytes = obtain(host, policy, shelf, &package.base_url, file, &mut |_| {}).await?;
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

    /// Opens a device and uploads the weights, one shard at a time; no shard is held twice.
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
        meter.begin(stage, shards.iter().map(|shard| (shard.bytes, false)));
        let mut laps = Laps::new(asked_at);
        let mut times = LoadTimes::default();
        let mut loader = watch
            .once(self.engine.open(&package.manifest, &loaded.settings))
            .await?;
        times.device_millis = laps.next(host.now());
        let self_test = loader.self_test();
        for (index, shard) in (0u32..).zip(shards) {
            let base_url = &package.base_url;
            let on_bytes = &mut |bytes| meter.part(bytes);
            let bytes = obtain(host, policy, shelf.as_ref(), base_url, shard, on_bytes)
                .await
                .map_err(EngineFault::Fault)?;
            let length = bytes.len();
            let copy = bytes.to_vec();
            // The browser's buffer goes before the decoder asks for more.
            drop(bytes);
            times.read_millis += laps.next(host.now());
            watch.once(loader.push_shard(index, &copy)).await?;
            times.upload_millis += laps.next(host.now());
            meter.shard(length);
        }
        meter.prepare();
        let session = watch.once(loader.finish()).await?;
        times.prepare_millis = laps.next(host.now());
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

/// Brings every shard that the store lacks from the network into it, one at a time.
async fn download<H: Host>(
    host: &H,
    policy: &Policy,
    shelf: &Shelf<'_, H>,
    package: &Package,
    meter: &mut Meter<'_, H>,
) -> Result<(), Fault> {
    let mut stored = shelf.hashes(&package.base_url).await?;
    let shards = &package.manifest.shards;
    let is_stored = |shard: &FileHash| stored.contains(&shard.sha256);
    if shards.iter().all(is_stored) {
        return Ok(());
    }
    let missing: Vec<&FileHash> = shards.iter().filter(|shard| !is_stored(shard)).collect();
    let counts = shards.iter().map(|shard| (shard.bytes, is_stored(shard)));
    meter.begin(LoadStage::Download, counts);
    for (index, shard) in missing.iter().enumerate() {
        // Shards may be alike.
        if !stored.contains(&shard.sha256) {
            let base_url = &package.base_url;
            let bytes = load::file(host, policy, base_url, shard, &mut |bytes| {
                meter.part(bytes);
            })
            .await?;
            if let Err(fault) = shelf.put(base_url, shard, &bytes).await {
                if fault.code != FaultCode::StorageFull {
                    return Err(fault);
                }
                let missing_bytes = sum(missing[index..].iter().map(|shard| shard.bytes));
                return Err(shelf.full(missing_bytes, &fault.detail).await);
            }
            stored.insert(shard.sha256.clone());
        }
        meter.shard(shard.bytes);
    }
    Ok(())
}

/// A file of a package: from the store, or, if it is not there or has gone bad, from the network into the store.
async fn obtain<H: Host>(
    host: &H,
    policy: &Policy,
    shelf: Option<&Shelf<'_, H>>,
    base_url: &str,
    file: &FileHash,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<H::Bytes, Fault> {
    let Some(shelf) = shelf else {
        return load::file(host, policy, base_url, file, on_bytes).await;
    };
    if let Some(bytes) = shelf.get(base_url, file).await? {
        return Ok(bytes);
    }
    let bytes = load::file(host, policy, base_url, file, on_bytes).await?;
    if let Err(fault) = shelf.put(base_url, file, &bytes).await {
        if fault.code == FaultCode::StorageFull {
            return Err(shelf.full(file.bytes, &fault.detail).await);
        }
        return Err(fault);
    }
    Ok(bytes)
}
