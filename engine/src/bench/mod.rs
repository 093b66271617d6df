//! Measurements: what the kernels reach on the device at hand, as ratios to a plain read kernel of the same run.
//!
//! A timing counts only when the work that was timed gave the right result, so every measurement carries its check.

mod agree;
mod check;
#[cfg(not(target_arch = "wasm32"))]
pub mod interleave;
mod kernels;
mod load;
pub mod products;
mod read;
mod report;
#[cfg(not(target_arch = "wasm32"))]
mod rig;
mod run;
mod shapes;
pub mod synthetic;
mod timer;

pub use check::Check;
pub use kernels::KernelTime;
pub use load::{load, load_synthetic};
pub use read::{ReadSpeed, read_speed};
pub use report::{DecodeSpeed, LoadTime, Options, PrefillSpeed, Report};
pub use run::run;
pub use timer::Clock;
