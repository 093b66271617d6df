//! The worker that runs the model: a closed event loop that takes [`protocol::Request`]s and gives [`protocol::Event`]s.
//!
//! [`Runtime`] is the loop. It knows no browser and no GPU: the world outside is a [`Host`] (time, network, store, files, hashes,
//! the message port), the engine an [`Engine`], tokenizer and template a [`TextLoader`]. The browser's versions of them are
//! the wasm-only module `web`; tests put scripted ones in their place and run every story natively under virtual time.
//!
//! What makes a lost GPU device harmless: the accepted tokens of an answer live in the page, not on the device, and the
//! sampler depends on nothing but seed and position. So a new device that reads the prompt and the accepted tokens goes on
//! with exactly the tokens that the lost one would have made. The worker only notices a loss and says so; what is done about
//! it, the page decides (`protocol::supervisor`).

mod answer;
mod background;
mod benchmark;
mod cap;
mod chosen;
mod context;
mod details;
mod engine_checks;
mod engine_port;
mod engine_terms;
mod fetching;
mod file;
mod fit;
mod foreign;
mod generate;
mod gpu_session;
mod hosts;
mod inbox;
mod keep;
mod kernels;
mod load;
mod loading;
mod network;
mod offer;
mod pace;
mod policy;
mod ports;
mod precision;
mod progress;
mod race;
mod reading;
mod repacking;
mod runtime;
mod saving;
mod store;
mod text_port;
mod trend;
mod tuner;
mod variants;
mod verifying;
mod watch;
#[cfg(target_arch = "wasm32")]
pub mod web;

pub use engine_port::{DeviceProbe, GpuEngine, GpuLoader};
pub use file::File;
pub use gpu_session::GpuSession;
pub use hosts::{Forbidden, Hosts};
pub use inbox::Inbox;
pub use network::{Ask, AskError, Body, Buffer};
pub use policy::Policy;
pub use ports::{
    Blob, Decoder, Engine, EngineFault, Host, Loader, MadeUp, Memory, Session, TextLoader,
    TextModel, Tunable,
};
pub use runtime::Runtime;
pub use store::{Estimate, RECORD_BYTES, Store, StoreError, StoredFile, StoredPackage, StoredPart};
pub use text_port::{PackageText, PackageTexts};
