//! The messages between the page and the worker that runs the model.
//!
//! Both sides are built from this crate, so a message has one definition. It never touches a browser type, a clock or a
//! GPU: messages are plain values, and bulk bytes (weights) never travel in them. How they cross the border, and who says
//! what when, is written in `docs/PROTOCOL.md`.
//!
//! The entry points are [`Request`] (page to worker) and [`Event`] (worker to page). Every request that has a
//! [`RequestId`] gets exactly one terminal event, [`Event::Finished`] or [`Event::Failed`]. What the page does about lost
//! devices and dead workers is decided in [`supervisor`].

mod budget;
mod details;
mod event;
mod fault;
mod host;
mod number;
mod report;
mod request;
mod settings;
mod storage;
pub mod supervisor;
mod version;

pub use budget::Budget;
pub use details::{
    HashOrigin, MemoryAt, ModelDetails, ModelShape, PackageFile, PartBytes, SourceFile,
    VerifyReport,
};
pub use event::{
    Event, FetchTrouble, FinishReason, LoadProgress, LoadStage, LoadTimes, ModelInfo, Outcome,
    Status, Usage,
};
pub use fault::{Fault, FaultCode, Retry};
pub use host::{HUB_SOURCES, MAX_HOSTS, Origin};
pub use number::{ByteCount, MAX_BYTE_COUNT};
pub use report::{
    AdapterInfo, BenchmarkReport, BenchmarkStep, CompileReport, CompileResult, DeviceReport,
    DroppedVariant, EqualityReport, EqualityResult, Limit, SelfTestReport, ShapeReport, ShapeTime,
};
pub use request::{Generate, Message, Request, RequestId, Role, ShapeJob};
pub use settings::{KvType, SamplingSettings, Settings, SettingsError};
pub use storage::{
    Fit, KvNeed, ModelOffer, Precision, PrecisionOffer, StorageReport, StorageState, StoredModel,
    is_of_files,
};
pub use version::{BUILD, Hello, PROTOCOL_VERSION};
