//! What the runtime needs from the world, as traits.

use std::future::Future;
use std::ops::ControlFlow;

use model::Manifest;
use model::download::Head;
use model::manifest::TextInfo;
use protocol::{
    CompileReport, DeviceReport, EqualityResult, Event, Fault, Message, RequestId,
    SamplingSettings, SelfTestReport, Settings,
};

use crate::file::File;
use crate::network::{Ask, AskError, Body, Buffer};
use crate::store::Store;

/// Bytes on their way between network, store and device. In a browser they live outside of the worker's own memory, so
/// that a model passes through without ever being in it.
pub trait Blob {
    /// How many.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy in the worker's memory.
    fn to_vec(&self) -> Vec<u8>;

    /// A copy of bytes in the worker's memory.
    fn copied(bytes: &[u8]) -> Self;
}

/// Plain memory, for hosts that have no better place.
impl Blob for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn to_vec(&self) -> Vec<u8> {
        self.clone()
    }

    fn copied(bytes: &[u8]) -> Self {
        bytes.to_vec()
    }
}

/// Time, network, store, files, hashes and the message port.
pub trait Host {
    /// Bytes of a file.
    type Bytes: Blob;
    /// Bytes of a file on their way.
    type Buffer: Buffer<Bytes = Self::Bytes>;
    /// The body of an answer.
    type Body: Body<Buffer = Self::Buffer>;
    /// Where models are kept.
    type Store: Store<Bytes = Self::Bytes>;
    /// A file that a person chose, or one that is made for a person.
    type File: File<Bytes = Self::Bytes>;

    /// The store, open or not.
    fn store(&self) -> &Self::Store;

    /// Milliseconds since some fixed moment.
    fn now(&self) -> f64;

    /// Completes after `millis`.
    fn sleep(&self, millis: u32) -> impl Future<Output = ()>;

    /// Completes after the event loop has handled what was waiting, so that a `Cancel` in the queue is seen.
    fn yield_now(&self) -> impl Future<Output = ()>;

    /// Sends an event to the page.
    fn post(&self, event: Event);

    /// The files that came with a request. They are handed over once.
    fn files(&self, id: RequestId) -> Vec<Self::File>;

    /// Lets a file go to the page with the terminal event of a request.
    fn give(&self, id: RequestId, file: Self::File);

    /// A number in 0..1 that nobody could foretell.
    fn random(&self) -> f64;

    /// A copy of these bytes, to be stored.
    fn bytes(&self, bytes: &[u8]) -> Self::Bytes;

    /// An empty buffer, with room for about so many bytes.
    fn buffer(&self, bytes: u64) -> Self::Buffer;

    /// Asks a server, and waits for the head of its answer.
    ///
    /// # Errors
    /// Why there is none.
    fn ask(&self, ask: Ask) -> impl Future<Output = Result<(Head, Self::Body), AskError>>;

    /// SHA-256 of `bytes` in lower-case hex.
    ///
    /// # Errors
    /// A technical line when the platform cannot hash.
    fn sha256(&self, bytes: &Self::Bytes) -> impl Future<Output = Result<String, String>>;
}

/// What the engine reports when it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineFault {
    /// The device is gone; everything on it must be made again.
    Lost(String),
    /// There is no adapter or device now; browsers give none for a moment after their GPU process died.
    Absent(Fault),
    /// Anything else: trying again on a new device would not help.
    Fault(Fault),
}

/// Makes sessions on devices.
pub trait Engine {
    /// Takes shards.
    type Loader: Loader<Session = Self::Session>;
    /// Runs the model.
    type Session: Session;

    /// Opens a device and allocates what the package needs on it.
    ///
    /// # Errors
    /// [`EngineFault`].
    fn open(
        &self,
        manifest: &Manifest,
        settings: &Settings,
    ) -> impl Future<Output = Result<Self::Loader, EngineFault>>;

    /// Bytes of the largest buffer that a device would have. Opens none.
    ///
    /// # Errors
    /// [`EngineFault`] when there is no adapter to ask.
    fn buffer_bytes_offered(&self) -> impl Future<Output = Result<u64, EngineFault>>;

    /// Compiles every kernel in every variant of a device, on a device of its own.
    ///
    /// # Errors
    /// [`EngineFault`] when there is no device to try on; refused kernels are part of the report.
    fn compile_all(&self) -> impl Future<Output = Result<CompileReport, EngineFault>>;

    /// Runs the numeric self-test on a device of its own, for models like `manifest`, or without one like a small one that is
    /// made up. Variants that fail are not used any more.
    ///
    /// # Errors
    /// [`EngineFault`] when there is no device to try on, or no variant passes.
    fn self_test(
        &self,
        manifest: Option<&Manifest>,
        settings: &Settings,
    ) -> impl Future<Output = Result<SelfTestReport, EngineFault>>;

    /// A model that is made up, on a device of its own: something to measure where no model is loaded. Without the name
    /// of a published shape it is a small one.
    ///
    /// # Errors
    /// [`EngineFault`]; a name that is not known is a bad request.
    fn made_up(
        &self,
        settings: &Settings,
        shape: Option<&str>,
    ) -> impl Future<Output = Result<MadeUp<Self::Session>, EngineFault>>;

    /// Whether devices may have a choice of kernels, so that trials are worth reading.
    fn is_tunable(&self) -> bool;

    /// What the device in use has to choose from for models like `manifest`, if it has a choice and its times mean anything.
    fn tunable(&self, manifest: &Manifest) -> Option<Tunable>;

    /// A trial in this scope has found these kernels to be the best: devices that are opened from now on use them, if they can.
    fn prefer(&self, scope: &str, kernels: &str);

    /// A small model of the same shape, on a device of its own with these kernels, to be measured.
    ///
    /// # Errors
    /// [`EngineFault`]; kernels that are not known are a bad request.
    fn trial(
        &self,
        manifest: &Manifest,
        settings: &Settings,
        kernels: &str,
    ) -> impl Future<Output = Result<MadeUp<Self::Session>, EngineFault>>;

    /// Describes the device in use, or one opened for the purpose. `generation` is passed on to the report.
    ///
    /// # Errors
    /// [`EngineFault`].
    fn describe(&self, generation: u32) -> impl Future<Output = Result<DeviceReport, EngineFault>>;
}

/// What a device has to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunable {
    /// Device, browser and shape of the model: what the best choice depends on.
    pub scope: String,
    /// Names of the choices, the fixed table's first.
    pub kernels: Vec<String>,
}

/// A model that is made up. It says nothing that anybody should read.
#[derive(Debug)]
pub struct MadeUp<S> {
    /// The model on a device.
    pub session: S,
    /// What it is called.
    pub name: String,
    /// Number of its tokens.
    pub vocab: u32,
}

/// A session in the making.
pub trait Loader {
    /// What it becomes.
    type Session;

    /// What the numeric self-test of the device found. One that fails in every variant is not opened at all.
    fn self_test(&self) -> SelfTestReport;

    /// Uploads shard number `index`, whose hash has been checked. Returns when the device has taken enough for the next.
    ///
    /// # Errors
    /// [`EngineFault`].
    fn push_shard(
        &mut self,
        index: u32,
        bytes: &[u8],
    ) -> impl Future<Output = Result<(), EngineFault>>;

    /// Makes the session, all shards being there.
    ///
    /// # Errors
    /// [`EngineFault`].
    fn finish(self) -> impl Future<Output = Result<Self::Session, EngineFault>>;
}

/// Bytes of GPU memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Weights.
    pub weight_bytes: u64,
    /// Key-value cache.
    pub kv_bytes: u64,
    /// Everything else.
    pub activation_bytes: u64,
}

/// A loaded model with its key-value cache.
pub trait Session {
    /// Most tokens that the cache can hold.
    fn context(&self) -> u32;

    /// Completes when the device says that it is lost, with a technical line. A device may be lost and never say so.
    fn lost(&self) -> impl Future<Output = String>;

    /// Chooses how tokens are sampled from now on.
    fn set_sampling(&mut self, sampling: &SamplingSettings);

    /// Makes the cache hold exactly `tokens`, reusing what it shares with them, and samples the next token. `pace` gets
    /// (done, total) before each chunk and after the last one; it says how many tokens the next chunk may have, or breaks
    /// off; then the result is `false`.
    ///
    /// # Errors
    /// [`EngineFault`].
    fn prefill(
        &mut self,
        tokens: &[u32],
        pace: impl FnMut(u32, u32) -> ControlFlow<(), u32>,
    ) -> impl Future<Output = Result<bool, EngineFault>>;

    /// Steps that are to wait on the device behind those that are awaited, and how many may go to it together: then as many are
    /// awaited, and what waits are whole groups of them. It changes when tokens come, not which.
    fn set_run_ahead(&mut self, steps: u32, together: u32);

    /// The sampled token, which is appended to the cache.
    ///
    /// # Errors
    /// [`EngineFault`].
    fn next_token(&mut self) -> impl Future<Output = Result<u32, EngineFault>>;

    /// Waits until the device has nothing left to do.
    ///
    /// # Errors
    /// [`EngineFault`].
    fn settle(&mut self) -> impl Future<Output = Result<(), EngineFault>>;

    /// GPU bytes in use.
    fn memory(&self) -> Memory;

    /// Compares prefill with decode at each prompt length, and at those above `truncate`, unless it is 0, once more behind
    /// a cache cut to `truncate` tokens. What the cache held is lost.
    ///
    /// # Errors
    /// [`EngineFault`].
    fn prefill_equals_decode(
        &mut self,
        lengths: &[u32],
        truncate: u32,
    ) -> impl Future<Output = Result<Vec<EqualityResult>, EngineFault>>;
}

/// Makes tokenizers.
pub trait TextLoader {
    /// What it makes.
    type Model: TextModel;

    /// Reads a package's tokenizer file, which may be large and is given up, and chat template.
    ///
    /// # Errors
    /// A fault when they are unusable, or do not fit a vocabulary of `vocab` tokens.
    fn load(&self, info: &TextInfo, tokenizer: Vec<u8>, vocab: u32) -> Result<Self::Model, Fault>;
}

/// Tokenizer and chat template of a model.
pub trait TextModel {
    /// Turns ids back into text, piece by piece.
    type Decoder: Decoder;

    /// Token ids of a conversation, ending where the model's answer starts. A base model gets one text: what both sides have
    /// written, in turn.
    ///
    /// # Errors
    /// A fault when the template or the tokenizer fails.
    fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, Fault>;

    /// A decoder for a new answer.
    fn decoder(&self) -> Self::Decoder;
}

/// Decodes an answer piece by piece.
pub trait Decoder {
    /// The text that `id` completes; may be empty while a character's bytes are incomplete.
    fn push(&mut self, id: u32) -> String;

    /// What is left at the end of the answer.
    fn finish(&mut self) -> String;
}
