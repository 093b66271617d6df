//! What happens to the supervisor, what it does, and what goes on.

use super::{Millis, Move};

/// What was lost, as far as it matters for what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The device: its GPU process died, it was taken away, or it gave no sign of life.
    Device,
    /// The browser gives no adapter.
    Adapter,
    /// There was not enough memory.
    Memory,
    /// The worker ended by itself, having given its device back.
    Trap,
    /// The worker failed outside its own code, or says nothing any more. It may still hold a device.
    Worker,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The engine is wanted.
    Start,
    /// The engine is given up on purpose.
    Shutdown,
    /// The worker is of no use, and is ended without being asked.
    Discard,
    /// The person wants another try.
    Retry,
    /// The worker said something.
    Heard(u32),
    /// The worker greeted.
    Greeted(u32),
    /// The model is on a device.
    Loaded(u32),
    /// The worker has given its device back and ended.
    Retired(u32),
    /// Something was lost.
    Lost(u32, Cause),
    /// An answer begins. One that is there already goes on.
    Began,
    /// The running answer got tokens.
    Accepted,
    /// The running answer ended, however it did.
    Ended,
    /// Nobody looks: the GPU is out of bounds, and time does not count.
    Hidden,
    /// Somebody looks again.
    Visible,
    /// Time went by.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Know that the worker has been silent for too long: it counts as lost. What is done about it follows.
    Silent,
    /// Start a worker of this generation.
    Spawn(u32),
    /// Ask the worker to give its device back and to end.
    Retire,
    /// End the worker.
    Terminate,
    /// Load the model again in the worker that is there.
    Reopen,
    /// Give up, because of this loss.
    GiveUp(Cause),
}

/// What goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No engine is wanted.
    Cold,
    /// The worker has not greeted yet.
    Starting,
    /// The worker is there, without a model on a device.
    Up,
    /// The model is on a device.
    Ready,
    /// The worker gives its device back until then at the latest; another one is started at the second time.
    Retiring(Millis, Option<Millis>),
    /// At this time the move is made.
    Waiting(Millis, Move),
    /// It was given up.
    Stopped,
}
