//! What the page asks for.

use serde::{Deserialize, Serialize};

use crate::{Budget, Hello, SamplingSettings, Settings};

/// Number of a request, chosen by the page, never used twice in a worker's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u32);

/// A message from the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// The page's greeting, in answer to the worker's. Before it every other request is refused.
    Hello(Hello),
    /// Say what a model is, what it needs and how much of it is stored. Downloads no weights, opens no device.
    Inspect {
        /// Number of this request.
        id: RequestId,
        /// What a person wrote: the absolute URL of a package's folder, `owner/name` or an address of the Hugging Face hub, the
        /// absolute URL of a GGUF file. The offer has it in the spelling that every other request wants.
        model_url: String,
    },
    /// Say what model the files are that come with this message as its handles, in the order in which they were chosen: an archive of
    /// a package, a package's files, or a checkpoint's. The offer has an address for them, and while this worker lives `Inspect` and
    /// `Load` of that address read the files. Reads no weights, stores nothing.
    OpenFiles {
        /// Number of this request.
        id: RequestId,
        /// How many handles there are.
        files: u32,
    },
    /// Make one file of a model that is stored completely: an archive of its package.
    SaveModel {
        /// Number of this request.
        id: RequestId,
        /// Address of the model.
        model_url: String,
    },
    /// Load a model and keep it ready: what is missing is downloaded into the store, converted on its way if it is no package, then the store's bytes go to the
    /// device. A package that is stored completely needs no network. One that was loaded before in this worker only gets
    /// another device.
    Load {
        /// Number of this request.
        id: RequestId,
        /// Address of the model.
        model_url: String,
        /// Settings of the session.
        settings: Settings,
    },
    /// Bring a model into the store as `Load` does, and not onto a device: a loaded one stays. What has come when it is cancelled
    /// stays, and the next one, or a `Load`, goes on with it.
    Download {
        /// Number of this request.
        id: RequestId,
        /// Address of the model, in any spelling.
        model_url: String,
    },
    /// Answer a conversation.
    Generate {
        /// Number of this request.
        id: RequestId,
        /// The conversation and how to go on.
        job: Generate,
    },
    /// Give the device back and end: another worker takes over, or none. Obeyed at once, whatever runs; answered by
    /// `Retired`.
    Retire,
    /// Stop a request that is queued or running. It still gets its one terminal event. Unknown numbers are ignored,
    /// because the request may just have finished.
    Cancel {
        /// Number of the request to stop.
        id: RequestId,
    },
    /// Let the download of a request rest: nothing is asked of the network until `Resume`, what has come is kept. Obeyed at
    /// once; a request that fetches nothing goes on. Other numbers than the running request's are ignored.
    Pause {
        /// Number of the request that downloads.
        id: RequestId,
    },
    /// Let a paused download go on, or one that waits before its next attempt try again now.
    Resume {
        /// Number of the request that downloads.
        id: RequestId,
    },
    /// Whether the device has a connection, as far as the page's browser knows: not every browser tells workers. While there
    /// is none, failures of a download don't count; when it comes back, what failed is tried again at once.
    Online(bool),
    /// Make at most so many tokens a second from now on, also in the running answer, and let the device rest in between. Reading
    /// prompts and measurements are not limited.
    LimitRate {
        /// Tokens a second; 0 = as many as the device can, which is how a worker begins.
        tokens_per_second: u32,
    },
    /// What offers are judged by from now on, and the context of models that are loaded without one. A worker begins with the defaults
    /// of both. Obeyed in order.
    Judge {
        /// What a page is assumed to get of memory.
        budget: Budget,
        /// What sessions will be asked for.
        settings: Settings,
    },
    /// Compile every kernel in every variant that the device can run.
    CompileAllVariants {
        /// Number of this request.
        id: RequestId,
    },
    /// Compare prefill with decode, bit for bit, on the loaded model.
    PrefillEqualsDecode {
        /// Number of this request.
        id: RequestId,
        /// Prompt lengths to try, in tokens.
        lengths: Vec<u32>,
        /// Lengths above this one are also tried with a cache that was cut to it; 0 = never.
        truncate: u32,
    },
    /// Describe the adapter, the device and the chosen variant.
    DescribeDevice {
        /// Number of this request.
        id: RequestId,
    },
    /// Run the numeric self-test on a device of its own: for the loaded model, or for a small one that is made up. When it
    /// shows that the device in use can't be trusted any more, that one counts as lost.
    SelfTest {
        /// Number of this request.
        id: RequestId,
        /// Settings of the session that would follow.
        settings: Settings,
    },
    /// Measure for a few seconds how fast prompts are read and tokens made: on the loaded model, or, without one, on a
    /// small one that is made up. What the cache held is lost.
    Benchmark {
        /// Number of this request.
        id: RequestId,
        /// Settings of the session that is opened when no model is loaded.
        settings: Settings,
    },
    /// Measure a made-up model of a published shape, on a device of its own.
    MeasureShape {
        /// Number of this request.
        id: RequestId,
        /// Settings of the session.
        settings: Settings,
        /// What to measure.
        job: ShapeJob,
    },
    /// Destroy the device, as a test of what follows from a loss. Obeyed at once, whatever runs; answered by the loss itself,
    /// and by nothing when there is no device.
    LoseDevice,
    /// List the stored models and the room they take.
    Storage {
        /// Number of this request.
        id: RequestId,
    },
    /// Read every stored file of a model, compare its SHA-256, and get those that are wrong or missing again, if that is possible.
    VerifyModel {
        /// Number of this request.
        id: RequestId,
        /// Address of the model.
        model_url: String,
    },
    /// Say everything that the store knows of a model: where it came from, its shape, its files with their hashes. Reads its manifest
    /// alone.
    DescribeModel {
        /// Number of this request.
        id: RequestId,
        /// Address of the model.
        model_url: String,
    },
    /// Delete a stored model. The loaded model is unloaded first if it is this one. A model that is not there is
    /// deleted already: 0 bytes.
    DeleteModel {
        /// Number of this request.
        id: RequestId,
        /// Address of the model.
        model_url: String,
    },
    /// Unload the model and delete everything in the store.
    EraseModels {
        /// Number of this request.
        id: RequestId,
    },
}

impl Request {
    /// The request's number; greetings, `Retire`, `LoseDevice`, `Online`, `LimitRate` and `Judge` have none, and `Cancel`, `Pause` and `Resume` name
    /// another's.
    #[must_use]
    pub const fn id(&self) -> Option<RequestId> {
        match self {
            Self::Hello(_)
            | Self::Cancel { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Online(_)
            | Self::LimitRate { .. }
            | Self::Judge { .. }
            | Self::Retire
            | Self::LoseDevice => None,
            Self::Inspect { id, .. }
            | Self::OpenFiles { id, .. }
            | Self::SaveModel { id, .. }
            | Self::Load { id, .. }
            | Self::Download { id, .. }
            | Self::Generate { id, .. }
            | Self::CompileAllVariants { id }
            | Self::PrefillEqualsDecode { id, .. }
            | Self::DescribeDevice { id }
            | Self::SelfTest { id, .. }
            | Self::Benchmark { id, .. }
            | Self::MeasureShape { id, .. }
            | Self::Storage { id }
            | Self::VerifyModel { id, .. }
            | Self::DescribeModel { id, .. }
            | Self::DeleteModel { id, .. }
            | Self::EraseModels { id } => Some(*id),
        }
    }
}

/// What to measure of a made-up model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapeJob {
    /// Name of the shape, as `tern bench --shape` knows it.
    pub shape: String,
    /// Lengths of the prompts to read, in tokens.
    pub prompts: Vec<u32>,
    /// Tokens in the cache when the making of tokens is timed.
    pub contexts: Vec<u32>,
    /// Tokens to make at each of them.
    pub tokens: u32,
    /// How often each is measured.
    pub repetitions: u32,
}

/// A conversation to be answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    /// The conversation so far: at most one system message, in front; then questions and answers in turn; the last
    /// message by the user. When it does not fit the context, the oldest pairs are left out (`Event::Trimmed`).
    pub messages: Vec<Message>,
    /// How tokens are chosen.
    pub sampling: SamplingSettings,
    /// Most tokens of the answer, 0 = as many as the context holds. Tokens of `resume` count.
    pub max_tokens: u32,
    /// Tokens of this very answer that were accepted before (on a device that was lost, by a worker that died): the answer goes on behind them, and
    /// only what follows is sent. Empty for a new answer.
    #[serde(default)]
    pub resume: Vec<u32>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, plain text.
    pub content: String,
    /// Of a model's earlier answer: the tokens that it was made of, as `Tokens` events brought them. With them the cache
    /// is reused to the end of that answer; without them (or when they are not the tokens of `content`) the text is
    /// tokenised again, which may give other tokens than the model made. Empty for everything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u32>,
}

impl Message {
    /// A message of plain text.
    #[must_use]
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            ids: Vec::new(),
        }
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Instructions to the model.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The name that chat templates use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}
