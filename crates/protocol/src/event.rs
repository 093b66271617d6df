//! What the worker reports.

use serde::{Deserialize, Serialize};

use crate::{
    BenchmarkReport, BenchmarkStep, ByteCount, CompileReport, DeviceReport, EqualityReport, Fault,
    Hello, ModelDetails, ModelOffer, RequestId, SamplingSettings, SelfTestReport, ShapeReport,
    StorageReport, VerifyReport,
};

/// A message from the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The worker's greeting, its first message.
    Hello(Hello),
    /// The worker is alive. Sent about once a second from its event loop, so silence means that the loop hangs.
    Beat,
    /// The worker met a bug and is dead. No other message follows.
    Trap {
        /// Panic message with its place in the source.
        text: String,
    },
    /// The answer to `Retire`: the device was given back and the worker has ended. No other message follows.
    Retired,
    /// Something happened that belongs to no request.
    Status(Status),
    /// Progress of loading, or of a check.
    Loading {
        /// The request.
        id: RequestId,
        /// How far it is.
        progress: LoadProgress,
    },
    /// The conversation is longer than the context: its oldest questions and answers were left out. Sent at most once for
    /// a `Generate`, before its first `Prefill`.
    Trimmed {
        /// The request.
        id: RequestId,
        /// Number of messages left out, always whole pairs of question and answer.
        messages: u32,
    },
    /// Progress of reading the prompt.
    Prefill {
        /// The request.
        id: RequestId,
        /// Tokens read.
        done: u32,
        /// Tokens to read: those of the prompt that an earlier turn has not left in the cache.
        total: u32,
    },
    /// Part of an answer.
    Tokens {
        /// The request.
        id: RequestId,
        /// 0, 1, 2... within the request, without gaps.
        sequence: u32,
        /// Text that these tokens complete. A character whose bytes span two batches comes with the second.
        text: String,
        /// Token ids, stop tokens not included.
        ids: Vec<u32>,
    },
    /// The device makes tokens much slower than it did at about the same length of the cache, and has for ten seconds, or no
    /// longer does. Browsers don't say why: most likely it has become warm, or is told to save energy. Sent when that changes
    /// within an answer; the answer's end ends it as well.
    Slowdown {
        /// The request.
        id: RequestId,
        /// Whether it is slow from now on.
        is_slow: bool,
        /// The rate in per cent of the usual one.
        percent: u32,
    },
    /// Progress of a benchmark. Counts start again with each step.
    Measuring {
        /// The request.
        id: RequestId,
        /// What is being measured.
        step: BenchmarkStep,
        /// Tokens that are done.
        done: u32,
        /// Most tokens of this step: a slow device does fewer, since its time is limited.
        total: u32,
    },
    /// The request is done. Terminal.
    Finished {
        /// The request.
        id: RequestId,
        /// What came of it.
        outcome: Box<Outcome>,
    },
    /// The request failed. Terminal.
    Failed {
        /// The request; `None` when a message was so wrong that it has no number.
        id: Option<RequestId>,
        /// Why.
        fault: Fault,
    },
}

impl Event {
    /// The request that this event belongs to.
    #[must_use]
    pub const fn id(&self) -> Option<RequestId> {
        match self {
            Self::Hello(_) | Self::Beat | Self::Trap { .. } | Self::Retired | Self::Status(_) => {
                None
            }
            Self::Loading { id, .. }
            | Self::Trimmed { id, .. }
            | Self::Prefill { id, .. }
            | Self::Tokens { id, .. }
            | Self::Slowdown { id, .. }
            | Self::Measuring { id, .. }
            | Self::Finished { id, .. } => Some(*id),
            Self::Failed { id, .. } => *id,
        }
    }

    /// Whether the request gets no event after this one.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Finished { .. } | Self::Failed { .. })
    }
}

/// News about the worker's devices and its network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The GPU device was lost, and with it the session; the page decides what to do. Sent once for each lost device, also
    /// while no request runs. A request that needed the device fails with `DeviceLost` behind it.
    DeviceLost {
        /// Technical line.
        detail: String,
    },
    /// A file did not come and is fetched again.
    FetchRetry {
        /// Name of the file within its package.
        file: String,
        /// Number of the coming attempt, from 2.
        attempt: u32,
        /// What was wrong.
        trouble: FetchTrouble,
        /// Milliseconds until that attempt.
        wait_millis: u32,
    },
    /// A download rests until `Resume`.
    DownloadPaused,
    /// A paused download goes on.
    DownloadResumed,
    /// Kernels were tried while nothing was asked, for the next start.
    Tuned {
        /// Technical line: the choice, and what each one took.
        detail: String,
    },
}

/// What was wrong with an attempt to fetch a file, as far as a person would want it told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FetchTrouble {
    /// No answer, or a broken one.
    Connection,
    /// The connection is there, but nothing comes.
    Stalled,
    /// The server can't or does not want to, now.
    Busy,
    /// A web page came instead of the file: the network wants somebody to log in, perhaps.
    WebPage,
    /// What came is not the file that was meant: it is fetched anew.
    Wrong,
}

/// How far loading is. Counts start again with each stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadProgress {
    /// What is being done.
    pub stage: LoadStage,
    /// Shards that are through this stage.
    pub shards_done: u32,
    /// Shards of the package.
    pub shards_total: u32,
    /// Bytes of these shards; in stage `Download` also the part of the current shard that has come.
    pub bytes_done: ByteCount,
    /// Bytes of all shards.
    pub bytes_total: ByteCount,
    /// Bytes that this request has fetched from the network so far, weights only. For the speed: what was stored before
    /// does not count.
    pub fetched_bytes: ByteCount,
}

/// Part of loading a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LoadStage {
    /// What is missing comes from the network and is checked and stored.
    Download,
    /// What is stored is read and compared.
    Verify,
    /// The weights go to the device.
    Upload,
    /// Buffers and kernels are made.
    Prepare,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// `Load`: the model is ready.
    Loaded(ModelInfo),
    /// `Generate`: the answer is complete.
    Answered {
        /// Why it ended.
        reason: FinishReason,
        /// Counts and speed.
        usage: Usage,
    },
    /// The request was cancelled before it had a result of its own. An answer cut short is `Answered`.
    Cancelled,
    /// `CompileAllVariants`.
    Compiled(CompileReport),
    /// `PrefillEqualsDecode`.
    Compared(EqualityReport),
    /// `DescribeDevice`.
    Described(DeviceReport),
    /// `SelfTest`: some variant computes right.
    Tested(SelfTestReport),
    /// `Benchmark`.
    Measured(BenchmarkReport),
    /// `MeasureShape`.
    ShapeMeasured(ShapeReport),
    /// `Inspect`, or `OpenFiles`.
    Inspected(ModelOffer),
    /// `SaveModel`: the file comes with this message as its only handle.
    Saved {
        /// What it should be called.
        name: String,
        /// Its length.
        bytes: ByteCount,
    },
    /// `Storage`.
    Storage(StorageReport),
    /// `Download`: everything is in the store.
    Downloaded {
        /// The address under which it is stored: of a repository that holds a package of ours the package's folder.
        model_url: String,
    },
    /// `VerifyModel`.
    Verified(VerifyReport),
    /// `DescribeModel`.
    ModelDescribed(ModelDetails),
    /// `DeleteModel` or `EraseModels`.
    Deleted {
        /// Bytes that were freed.
        bytes: ByteCount,
    },
}

/// Facts about the loaded model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Name as the package has it.
    pub name: String,
    /// SPDX licence expression of the weights, when known.
    pub license: Option<String>,
    /// Context length of the session in tokens.
    pub context: u32,
    /// Whether it is a base model, which has no chat template: it continues texts instead of answering questions.
    pub continues_text: bool,
    /// Sampling that the package suggests (seed 0), when it does.
    pub sampling: Option<SamplingSettings>,
    /// GPU bytes of the weights.
    pub weight_bytes: ByteCount,
    /// GPU bytes of the key-value cache.
    pub kv_bytes: ByteCount,
    /// GPU bytes of everything else.
    pub activation_bytes: ByteCount,
    /// Milliseconds from the request to ready.
    pub load_millis: f64,
    /// What of it went where.
    #[serde(default)]
    pub times: LoadTimes,
    /// What the numeric self-test found.
    #[serde(default)]
    pub self_test: SelfTestReport,
    /// Whether the whole package lies in the store, so that the next start needs no network. `false` = the model runs
    /// from memory only.
    pub cached: bool,
}

/// Where the time of loading went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LoadTimes {
    /// Getting adapter and device and testing it, waits for a missing adapter included.
    pub device_millis: f64,
    /// Waiting for the weights from the store (or the network, where there is none). What is read while the device takes
    /// others is not waited for.
    pub read_millis: f64,
    /// Giving them to the device.
    pub upload_millis: f64,
    /// Making buffers, and waiting for kernels that are not compiled yet.
    pub prepare_millis: f64,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinishReason {
    /// The model said that it is done.
    Stop,
    /// `max_tokens` were made.
    Length,
    /// The context is full.
    Context,
    /// `Cancel`.
    Cancelled,
}

/// Counts and speed of an answer, or of the part of it that this request made.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, without what was left out.
    pub prompt_tokens: u32,
    /// Tokens of the answer, resumed ones included, stop tokens not.
    pub answer_tokens: u32,
    /// Milliseconds from the request to the first token that this worker made; 0 when it made none.
    pub first_token_millis: f64,
    /// Tokens a second behind the first; 0 when there were fewer than two.
    pub tokens_per_second: f64,
    /// Positions of the context in use at the end of the answer: prompt and answer.
    pub context_tokens: u32,
}
