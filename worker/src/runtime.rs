//! The event loop: one request at a time, one terminal event for each.

use std::rc::Rc;

use protocol::{
    ByteCount, EqualityReport, Event, Fault, FaultCode, Hello, ModelInfo, Outcome, Request,
    RequestId, SamplingSettings, Settings, Status, StorageReport, StorageState,
};

use crate::load::{self, Package};
use crate::offer;
use crate::race::{First, first};
use crate::{Engine, EngineFault, Host, Inbox, Policy, Session, TextLoader};

/// The worker's state and what it needs from the world.
pub struct Runtime<H, E: Engine, T: TextLoader> {
    pub(crate) host: H,
    pub(crate) engine: E,
    pub(crate) texts: T,
    pub(crate) inbox: Rc<Inbox>,
    pub(crate) policy: Policy,
    pub(crate) model: Option<Loaded<E::Session, T::Model>>,
    pub(crate) generation: u32,
    greeted: bool,
    last_id: Option<RequestId>,
}

/// The package that was loaded last. Its session is absent while there is no device.
pub(crate) struct Loaded<S, M> {
    pub(crate) package: Package,
    pub(crate) settings: Settings,
    /// Absent when the package has no tokenizer: it can be measured, but not talked to.
    pub(crate) text: Option<M>,
    pub(crate) session: Option<S>,
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// A worker that has not spoken yet.
    pub fn new(host: H, engine: E, texts: T, inbox: Rc<Inbox>, policy: Policy) -> Self {
        Self {
            host,
            engine,
            texts,
            inbox,
            policy,
            model: None,
            generation: 0,
            greeted: false,
            last_id: None,
        }
    }

    /// Greets the page, then answers requests for ever.
    pub async fn run(mut self) {
        self.host.post(Event::Hello(Hello::own()));
        loop {
            let request = self.inbox.next().await;
            self.handle(request).await;
            self.inbox.done();
        }
    }

    async fn handle(&mut self, request: Request) {
        let id = request.id();
        if let Err((id, fault)) = self.admit(&request) {
            self.host.post(Event::Failed { id, fault });
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
            Request::Load {
                model_url,
                settings,
                ..
            } => self.load(id, &model_url, settings).await,
            Request::Generate { job, .. } => self.generate(id, job).await,
            Request::CompileAllVariants { .. } => self.compile_all().await,
            Request::PrefillEqualsDecode {
                lengths, truncate, ..
            } => self.compare(id, &lengths, truncate).await,
            Request::DescribeDevice { .. } => self.describe().await,
            Request::Inspect { model_url, .. } => self.inspect(&model_url).await,
            Request::Storage { .. } => Ok(Outcome::Storage(StorageReport {
                models: Vec::new(),
                usage_bytes: None,
                quota_bytes: None,
                state: no_store(),
            })),
            Request::DeleteModel { .. } => Ok(Outcome::Deleted {
                bytes: ByteCount::default(),
            }),
            Request::EraseModels { .. } => {
                self.model = None;
                Ok(Outcome::Deleted {
                    bytes: ByteCount::default(),
                })
            }
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

    /// Says what a package is and needs.
    async fn inspect(&self, model_url: &str) -> Result<Outcome, Fault> {
        let read = load::manifest(&self.host, &self.policy, model_url);
        match first(read, self.inbox.cancelled()).await {
            First::Left(package) => {
                let manifest = package?.manifest;
                Ok(Outcome::Inspected(offer::offer(
                    model_url,
                    &manifest,
                    offer::Held::default(),
                    no_store(),
                )))
            }
            First::Right(()) => Ok(Outcome::Cancelled),
        }
    }

    async fn load(
        &mut self,
        id: RequestId,
        model_url: &str,
        settings: Settings,
    ) -> Result<Outcome, Fault> {
        let started_at = self.host.now();
        settings
            .check()
            .map_err(|error| Fault::new(FaultCode::BadRequest, error.to_string()))?;
        // The old model goes first: two would not fit beside each other.
        self.model = None;
        let inbox = Rc::clone(&self.inbox);
        let loaded = match first(self.read_package(model_url, settings), inbox.cancelled()).await {
            First::Left(loaded) => loaded?,
            First::Right(()) => return Ok(Outcome::Cancelled),
        };
        self.model = Some(loaded);
        if !self.open_session(id).await? {
            self.model = None;
            return Ok(Outcome::Cancelled);
        }
        self.info(started_at)
            .map(Outcome::Loaded)
            .ok_or_else(no_model)
    }

    /// Fetches what is needed besides the weights.
    async fn read_package(
        &self,
        model_url: &str,
        settings: Settings,
    ) -> Result<Loaded<E::Session, T::Model>, Fault> {
        let package = load::manifest(&self.host, &self.policy, model_url).await?;
        let text = match &package.manifest.text {
            None => None,
            Some(info) => {
                if info.tokenizer.bytes > self.policy.max_tokenizer_bytes {
                    let detail = format!(
                        "{}: expected at most {} bytes, got {}",
                        info.tokenizer.file, self.policy.max_tokenizer_bytes, info.tokenizer.bytes
                    );
                    return Err(Fault::new(FaultCode::BadModel, detail));
                }
                let bytes =
                    load::file(&self.host, &self.policy, &package.base_url, &info.tokenizer)
                        .await?;
                Some(
                    self.texts
                        .load(info, &bytes, package.manifest.architecture.vocab)?,
                )
            }
        };
        Ok(Loaded {
            package,
            settings,
            text,
            session: None,
        })
    }

    /// Puts the package's weights on a new device, patiently. `false` = cancelled. The package stays when this fails, so
    /// that the next request can try again.
    pub(crate) async fn open_session(&mut self, id: RequestId) -> Result<bool, Fault> {
        let waits = self.policy.device_waits_millis.clone();
        let mut last = Fault::new(FaultCode::NoAdapter, "no attempt was made");
        for millis in waits {
            let inbox = Rc::clone(&self.inbox);
            let attempt = async {
                self.host.sleep(millis).await;
                let loaded = self
                    .model
                    .as_ref()
                    .ok_or_else(|| EngineFault::Fault(no_model()))?;
                load::session(
                    &self.host,
                    &self.engine,
                    &self.policy,
                    &loaded.package,
                    &loaded.settings,
                    id,
                )
                .await
            };
            let result = match first(attempt, inbox.cancelled()).await {
                First::Left(result) => result,
                First::Right(()) => return Ok(false),
            };
            match result {
                Ok(session) => {
                    self.generation += 1;
                    if let Some(loaded) = self.model.as_mut() {
                        loaded.session = Some(session);
                    }
                    return Ok(true);
                }
                Err(EngineFault::Lost(detail)) => {
                    log::warn!("device lost while loading: {detail}");
                    last = Fault::new(FaultCode::DeviceLost, detail);
                }
                Err(EngineFault::Absent(fault)) => {
                    log::warn!("no device yet: {fault}");
                    last = fault;
                }
                Err(EngineFault::Fault(fault)) => return Err(fault),
            }
        }
        Err(last)
    }

    /// Replaces a lost device. `false` = cancelled.
    pub(crate) async fn recover(&mut self, id: RequestId, detail: String) -> Result<bool, Fault> {
        log::warn!("device lost: {detail}");
        self.host.post(Event::Status(Status::DeviceLost { detail }));
        if let Some(loaded) = self.model.as_mut() {
            loaded.session = None;
        }
        let open = self.open_session(id).await?;
        if open {
            self.host.post(Event::Status(Status::DeviceRestored {
                generation: self.generation,
            }));
        }
        Ok(open)
    }

    fn info(&self, started_at: f64) -> Option<ModelInfo> {
        let loaded = self.model.as_ref()?;
        let session = loaded.session.as_ref()?;
        let manifest = &loaded.package.manifest;
        let memory = session.memory();
        let suggested = manifest.text.as_ref().and_then(|text| text.sampling);
        Some(ModelInfo {
            name: manifest.name.clone(),
            license: manifest.license.clone(),
            context: session.context(),
            sampling: suggested.map(|suggested| SamplingSettings {
                temperature: decimal(suggested.temperature),
                top_p: decimal(suggested.top_p),
                repetition_penalty: decimal(suggested.repetition_penalty),
                ..SamplingSettings::default()
            }),
            weight_bytes: ByteCount::saturating(memory.weight_bytes),
            kv_bytes: ByteCount::saturating(memory.kv_bytes),
            activation_bytes: ByteCount::saturating(memory.activation_bytes),
            load_millis: self.host.now() - started_at,
            cached: false,
        })
    }

    async fn compile_all(&self) -> Result<Outcome, Fault> {
        match first(self.engine.compile_all(), self.inbox.cancelled()).await {
            First::Left(report) => report.map(Outcome::Compiled).map_err(plain_fault),
            First::Right(()) => Ok(Outcome::Cancelled),
        }
    }

    async fn describe(&self) -> Result<Outcome, Fault> {
        self.engine
            .describe(self.generation)
            .await
            .map(Outcome::Described)
            .map_err(plain_fault)
    }

    /// A lost device ends the comparison: half of it would be from one device and half from another.
    async fn compare(
        &mut self,
        id: RequestId,
        lengths: &[u32],
        truncate: u32,
    ) -> Result<Outcome, Fault> {
        if self.model.as_ref().ok_or_else(no_model)?.session.is_none()
            && !self.open_session(id).await?
        {
            return Ok(Outcome::Cancelled);
        }
        let loaded = self.model.as_mut().ok_or_else(no_model)?;
        let session = loaded.session.as_mut().ok_or_else(no_model)?;
        match first(
            session.prefill_equals_decode(lengths, truncate),
            self.inbox.cancelled(),
        )
        .await
        {
            First::Left(Ok(results)) => Ok(Outcome::Compared(EqualityReport { results })),
            First::Left(Err(fault)) => {
                if matches!(fault, EngineFault::Lost(_)) {
                    loaded.session = None;
                }
                Err(plain_fault(fault))
            }
            First::Right(()) => {
                // Cut off in the middle, the session is in no known state.
                loaded.session = None;
                Ok(Outcome::Cancelled)
            }
        }
    }
}

fn no_store() -> StorageState {
    StorageState::Unavailable {
        detail: "models are not stored yet".to_owned(),
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

/// An engine fault that the request does not recover from.
fn plain_fault(fault: EngineFault) -> Fault {
    match fault {
        EngineFault::Lost(detail) => Fault::new(FaultCode::DeviceLost, detail),
        EngineFault::Absent(fault) | EngineFault::Fault(fault) => fault,
    }
}
