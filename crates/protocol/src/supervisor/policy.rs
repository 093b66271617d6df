//! How patient the supervisor is, as numbers.

/// Milliseconds on a clock that never goes back.
pub type Millis = u64;

/// What a smaller configuration gives up. Number 0 gives up nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The context is divided by this.
    pub context_divisor: u32,
    /// Most tokens that one chunk of prefill reads; 0 = as asked.
    pub prefill_chunk: u32,
    /// Where memory was short, the key-value cache is kept as bytes and the context is divided by this instead; 0 = it is not.
    /// That takes as little as half the context and remembers twice as much, but an answer does not go on token for token.
    pub divisor_in_bytes: u32,
}

/// What is done about a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Another device in the same worker.
    Reopen,
    /// Another worker.
    Replace,
}

/// A step of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// What is done.
    pub movement: Move,
    /// With which configuration at most.
    pub level: u32,
}

/// Times, attempts and sizes of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What is done about the first, second... loss without a token in between; behind the last one it gives up.
    pub ladder: Vec<Rung>,
    /// Losses of one answer after which tokens in between no longer start the count again.
    pub patient_losses: u32,
    /// The configurations, from what was asked for to the smallest.
    pub levels: Vec<Level>,
    /// No configuration has a shorter context.
    pub least_context: u32,
    /// Waits before the first, second... loss within the window is answered; the last one is for all further ones. Browsers
    /// count crashes of their GPU process by time, whatever was achieved in between: WebKit ends the page at the third one
    /// in 30 s, Chromium withholds the GPU for 120 s after the second one in 120 s.
    pub waits_millis: Vec<Millis>,
    /// How long a loss is remembered.
    pub window_millis: Millis,
    /// How long an adapter is waited for that a fresh worker did not get either: as long as Chromium withholds it, and a little.
    pub adapter_wait_millis: Millis,
    /// How often that is waited before giving up.
    pub adapter_rounds: u32,
    /// How long a worker that is to be replaced may take to give its device back.
    pub retire_millis: Millis,
    /// Most workers that are started within the window, whoever wants them.
    pub max_spawns: usize,
    /// Ticks of a running page without a word after which a worker that has greeted counts as dead.
    pub silent_ticks: u32,
    /// The same before the greeting: a slow device takes long to compile the worker.
    pub start_ticks: u32,
}

impl Policy {
    /// Milliseconds between two ticks.
    pub const TICK_MILLIS: u32 = 500;
}

impl Default for Policy {
    fn default() -> Self {
        let rung = |movement, level| Rung { movement, level };
        let level = |context_divisor, prefill_chunk, divisor_in_bytes| Level {
            context_divisor,
            prefill_chunk,
            divisor_in_bytes,
        };
        Self {
            ladder: vec![
                rung(Move::Reopen, 0),
                rung(Move::Replace, 0),
                rung(Move::Replace, 1),
                rung(Move::Replace, 2),
            ],
            patient_losses: 2,
            levels: vec![level(1, 0, 0), level(2, 16, 0), level(4, 8, 2)],
            least_context: 512,
            waits_millis: vec![0, 1_000, 5_000, 35_000],
            window_millis: 120_000,
            adapter_wait_millis: 125_000,
            adapter_rounds: 3,
            retire_millis: 1_000,
            max_spawns: 8,
            silent_ticks: 60,
            start_ticks: 180,
        }
    }
}
