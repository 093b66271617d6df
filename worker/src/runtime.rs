//! The event loop: one request at a time, one terminal event for each.

use std::cell::Cell;
use std::rc::Rc;

use model::manifest::SuggestedSampling;
use protocol::{
    ByteCount, EqualityReport, Event, Fault, FaultCode, Hello, LoadTimes, ModelInfo, Outcome,
    Request, RequestId, SamplingSettings, SelfTestReport, Settings, Status,
};

use crate::background::Work;
use crate::chosen::Chosen;
use crate::fit::Judgement;
use crate::load::Package;
use crate::pace::Pace;
use crate::race::{First, first};
use crate::store::StoredTrial;
use crate::trend::Trend;
use crate::watch::Watch;
use crate::{Engine, EngineFault, Host, Inbox, Policy, Session, TextLoader};

/// The worker's state and what it needs from the world.
pub struct Runtime<H: Host, E: Engine, T: TextLoader> {
    pub(crate) host: H,
    pub(crate) engine: E,
    pub(crate) texts: T,
    pub(crate) inbox: Rc<Inbox>,
    pub(crate) policy: Policy,
    pub(crate) model: Option<Loaded<E::Session, T::Model>>,
    /// Files that a person chose, until they are stored.
    pub(crate) chosen: Option<Chosen<H>>,
    /// By what models are judged.
    pub(crate) judgement: Judgement,
    /// Bytes of the largest buffer that the adapter offered last.
    pub(crate) buffer_bytes: Cell<Option<u64>>,
    pub(crate) generation: u32,
    pub(crate) pace: Pace,
    pub(crate) trend: Trend,
    /// What is known of trials of kernels, once they were read.
    pub(crate) trials: Option<Vec<StoredTrial>>,
    /// Whether kernels were tried in this worker.
    pub(crate) has_tried: bool,
    greeted: bool,
    last_id: Option<RequestId>,
}

/// The package that was loaded last. Its session is absent while there is no device.
pub(crate) struct Loaded<S, M> {
    pub(crate) package: Package,
    pub(crate) settings: Settings,
    /// Whether the whole package is in the store. Otherwise its weights come from the network each time.
    pub(crate) cached: bool,
    /// Absent when the package has no tokenizer: it can be measured, but not talked to.
    pub(crate) text: Option<M>,
    pub(crate) session: Option<S>,
    /// Whether the session has made a token.
    pub(crate) has_answered: bool,
    /// How long its loading took.
    pub(crate) times: LoadTimes,
    /// What the test of its device found.
    pub(crate) self_test: SelfTestReport,
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// A worker that has not spoken yet.
    pub fn new(host: H, engine: E, texts: T, inbox: Rc<Inbox>, policy: Policy) -> Self {
        Self {
            pace: Pace::new(policy.chunk_millis),
            trend: Trend::default(),
            trials: None,
            has_tried: false,
            host,
            engine,
            texts,
            inbox,
            policy,
            model: None,
            chosen: None,
            judgement: Judgement::default(),
            buffer_bytes: Cell::new(None),
            generation: 0,
            greeted: false,
            last_id: None,
        }
    }

    /// Greets the page, then answers requests for ever.
    pub async fn run(mut self) {
        self.host.post(Event::Hello(Hello::own()));
        loop {
            let request = self.next().await;
            self.handle(request).await;
            self.inbox.done();
        }
    }

    /// The next request. A device that is lost while nothing is asked of it is reported at once, and what can be done for the
    /// next start is done meanwhile.
    async fn next(&mut self) -> Request {
        loop {
            let session = self.model.as_ref().and_then(|model| model.session.as_ref());
            let Some(session) = session else {
                return self.inbox.next().await;
            };
            let trial = async {
                match self.trial_due() {
                    Some((tunable, tries)) => self.tune(&tunable, tries).await,
                    None => std::future::pending().await,
                }
            };
            match first(self.inbox.next(), first(session.lost(), trial)).await {
                First::Left(request) => return request,
                First::Right(First::Left(detail)) => drop(self.device_lost(detail)),
                First::Right(First::Right(())) => self.has_tried = true,
            }
        }
    }

    pub(crate) fn has_session(&self) -> bool {
        let model = self.model.as_ref();
        model.is_some_and(|model| model.session.is_some())
    }

    /// Gives up the session of a lost device and says so. The fault is for the request that needed it.
    pub(crate) fn device_lost(&mut self, detail: String) -> Fault {
        log::warn!("device lost: {detail}");
        if let Some(loaded) = self.model.as_mut() {
            loaded.session = None;
        }
        let fault = Fault::new(FaultCode::DeviceLost, detail.clone());
        self.host.post(Event::Status(Status::DeviceLost { detail }));
        fault
    }

    async fn handle(&mut self, request: Request) {
        let id = request.id();
        if let Err((id, fault)) = self.admit(&request) {
            self.host.post(Event::Failed { id, fault });
            return;
        }
        if request == Request::Retire {
            self.model = None;
            self.host.post(Event::Retired);
        }
        if request == Request::LoseDevice && self.has_session() {
            self.device_lost("destroyed on request".to_owned());
        }
        if let Request::Judge { budget, settings } = request {
            self.judgement = Judgement { budget, settings };
            return;
        }
        let Some(id) = id else { return };
        if self.inbox.is_cancelled() {
            self.host.post(Event::Finished {
                id,
                outcome: Box::new(Outcome::Cancelled),
            });
            return;
        }
        let result = match request {
            Request::Hello(_) | Request::Cancel { .. } => return,
            Request::Pause { .. } | Request::Resume { .. } | Request::Online(_) => return,
            Request::LimitRate { .. } | Request::Retire | Request::LoseDevice => return,
            Request::Judge { .. } => return,
            Request::Load {
                model_url,
                settings,
                ..
            } => self.load(id, &model_url, settings).await,
            Request::Generate { job, .. } => self.generate(id, job).await,
            Request::CompileAllVariants { .. } => self.compile_all().await,
            Request::PrefillEqualsDecode {
                lengths, truncate, ..
            } => self.compare(&lengths, truncate).await,
            Request::DescribeDevice { .. } => self.describe().await,
            Request::SelfTest { settings, .. } => self.self_test(&settings).await,
            Request::Benchmark { settings, .. } => self.benchmark(id, &settings).await,
            Request::MeasureShape { settings, job, .. } => {
                self.measure_shape(id, &settings, &job).await
            }
            Request::OpenFiles { files, .. } => self.open_files(id, files).await,
            Request::SaveModel { model_url, .. } => self.save_model(id, &model_url).await,
            Request::Inspect { model_url, .. } => self.inspect(&model_url).await,
            Request::Storage { .. } => self.storage().await,
            Request::Download { model_url, .. } => self.work(id, Work::Download(&model_url)).await,
            Request::VerifyModel { model_url, .. } => self.work(id, Work::Verify(&model_url)).await,
            Request::DescribeModel { model_url, .. } => self.describe_model(&model_url).await,
            Request::DeleteModel { model_url, .. } => self.delete(&model_url).await,
            Request::EraseModels { .. } => self.erase().await,
        };
        self.host.post(match result {
            Ok(outcome) => Event::Finished {
                id,
                outcome: Box::new(outcome),
            },
            Err(fault) => Event::Failed {
                id: Some(id),
                fault,
            },
        });
    }

    /// Refuses what must not be answered: anything before a fitting greeting, and a number that was used before (it has
    /// had its terminal event, or will get it; so the refusal carries no number).
    fn admit(&mut self, request: &Request) -> Result<(), (Option<RequestId>, Fault)> {
        if let Request::Hello(hello) = request {
            hello.check().map_err(|fault| (None, fault))?;
            self.greeted = true;
            return Ok(());
        }
        let id = request.id();
        if let (Some(new), Some(last)) = (id, self.last_id)
            && new <= last
        {
            let detail = format!(
                "request numbers must rise: expected more than {}, got {}",
                last.0, new.0
            );
            return Err((None, Fault::new(FaultCode::BadRequest, detail)));
        }
        self.last_id = id.or(self.last_id);
        if self.greeted {
            Ok(())
        } else {
            Err((
                id,
                Fault::new(
                    FaultCode::BadRequest,
                    "expected a greeting first, got another request",
                ),
            ))
        }
    }

    pub(crate) fn info(&self, started_at: f64) -> Option<ModelInfo> {
        let loaded = self.model.as_ref()?;
        let session = loaded.session.as_ref()?;
        let manifest = &loaded.package.manifest;
        let memory = session.memory();
        let text = manifest.text.as_ref();
        let suggested = text.and_then(|text| text.sampling);
        Some(ModelInfo {
            name: manifest.name.clone(),
            license: manifest.license.clone(),
            context: session.context(),
            continues_text: text.is_some_and(|text| text.chat_template.is_none()),
            sampling: suggested.map(sampling),
            weight_bytes: ByteCount::saturating(memory.weight_bytes),
            kv_bytes: ByteCount::saturating(memory.kv_bytes),
            activation_bytes: ByteCount::saturating(memory.activation_bytes),
            load_millis: self.host.now() - started_at,
            times: loaded.times,
            self_test: loaded.self_test.clone(),
            cached: loaded.cached,
        })
    }

    async fn compile_all(&self) -> Result<Outcome, Fault> {
        match first(self.engine.compile_all(), self.inbox.cancelled()).await {
            First::Left(report) => report.map(Outcome::Compiled).map_err(plain_fault),
            First::Right(()) => Ok(Outcome::Cancelled),
        }
    }

    /// Tests a device of its own. What fails there is not to be trusted on the device in use either: that one counts as lost
    /// then, and the next one is opened without it.
    async fn self_test(&mut self, settings: &Settings) -> Result<Outcome, Fault> {
        let watch = Watch {
            host: &self.host,
            silence_seconds: self.policy.slow_silence_seconds,
        };
        let manifest = self.model.as_ref().map(|model| &model.package.manifest);
        let test = watch.once(self.engine.self_test(manifest, settings));
        let First::Left(tested) = first(test, self.inbox.cancelled()).await else {
            return Ok(Outcome::Cancelled);
        };
        let used = self
            .model
            .as_ref()
            .filter(|model| model.session.is_some())
            .map(|model| model.self_test.variant.as_str());
        let doubt = match (&tested, used) {
            (Ok(report), Some(variant)) if report.variant != variant => {
                Some(format!("variant {variant} fails the self-test now"))
            }
            (Err(EngineFault::Fault(fault)), Some(_)) if fault.code == FaultCode::WrongNumbers => {
                Some(fault.detail.clone())
            }
            _ => None,
        };
        if let Some(doubt) = doubt {
            self.device_lost(doubt);
        }
        tested.map(Outcome::Tested).map_err(plain_fault)
    }

    async fn describe(&self) -> Result<Outcome, Fault> {
        self.engine
            .describe(self.generation)
            .await
            .map(Outcome::Described)
            .map_err(plain_fault)
    }

    /// A lost device ends the comparison: half of it would be from one device and half from another.
    async fn compare(&mut self, lengths: &[u32], truncate: u32) -> Result<Outcome, Fault> {
        let loaded = self.model.as_mut().ok_or_else(no_model)?;
        let session = loaded.session.as_mut().ok_or_else(no_device)?;
        match first(
            session.prefill_equals_decode(lengths, truncate),
            self.inbox.cancelled(),
        )
        .await
        {
            First::Left(Ok(results)) => Ok(Outcome::Compared(EqualityReport { results })),
            First::Left(Err(EngineFault::Lost(detail))) => Err(self.device_lost(detail)),
            First::Left(Err(fault)) => Err(plain_fault(fault)),
            // What the cache holds is known all the same.
            First::Right(()) => Ok(Outcome::Cancelled),
        }
    }
}

/// What a package suggests, as messages have it. The manifest's ranges are within those of [`SamplingSettings::check`].
fn sampling(suggested: SuggestedSampling) -> SamplingSettings {
    SamplingSettings {
        temperature: decimal(suggested.temperature),
        top_p: decimal(suggested.top_p),
        repetition_penalty: decimal(suggested.repetition_penalty),
        ..SamplingSettings::default()
    }
}

/// The shortest decimal that is this f32, as f64: 0.9 stays 0.9 on its way through the messages.
fn decimal(value: f32) -> f64 {
    value
        .to_string()
        .parse()
        .unwrap_or_else(|_| f64::from(value))
}

/// The fault of a request that needs a model when there is none.
pub(crate) fn no_model() -> Fault {
    Fault::new(
        FaultCode::BadRequest,
        "expected a loaded model, got none; send Load first",
    )
}

/// The fault of a request that needs a device when the model has none.
pub(crate) fn no_device() -> Fault {
    Fault::new(
        FaultCode::DeviceLost,
        "the model's device was lost before; send Load for another one",
    )
}

/// An engine fault that the request does not recover from.
pub(crate) fn plain_fault(fault: EngineFault) -> Fault {
    match fault {
        EngineFault::Lost(detail) => Fault::new(FaultCode::DeviceLost, detail),
        EngineFault::Absent(fault) | EngineFault::Fault(fault) => fault,
    }
}

#[cfg(test)]
mod tests {
    use model::manifest::SuggestedSampling;

    #[test]
    fn whatever_a_package_may_suggest_can_be_used() {
        let ends = |range: std::ops::RangeInclusive<f32>| [*range.start(), *range.end()];
        for temperature in ends(SuggestedSampling::TEMPERATURE) {
            for top_p in ends(SuggestedSampling::TOP_P) {
                for repetition_penalty in ends(SuggestedSampling::REPETITION_PENALTY) {
                    let suggested = SuggestedSampling {
                        temperature,
                        top_p,
                        repetition_penalty,
                    };
                    assert_eq!(super::sampling(suggested).check(), Ok(()), "{suggested:?}");
                }
            }
        }
    }
}
