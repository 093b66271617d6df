//! Looking after work on the device: one that gives no sign of life is lost, whatever the browser says of it.

use std::cell::Cell;

use crate::race::minding;
use crate::{EngineFault, Host};

/// Milliseconds between two looks at a device that is silent.
const TICK_MILLIS: u32 = 1000;

/// Looks after work on the device.
pub(crate) struct Watch<'a, H> {
    pub(crate) host: &'a H,
    /// Seconds after which silence means loss.
    pub(crate) silence_seconds: u32,
}

impl<H: Host> Watch<'_, H> {
    /// Waits for one piece of work.
    pub(crate) async fn once<T>(
        &self,
        work: impl Future<Output = Result<T, EngineFault>>,
    ) -> Result<T, EngineFault> {
        self.over(work, &Cell::new(0), || None).await
    }

    /// Waits for `work`. A device that gives no sign of life for too long (whoever sees one sets `idle` to 0) is lost.
    /// `flush` is called now and then, and says after how many milliseconds it wants to be called again.
    pub(crate) async fn over<T>(
        &self,
        work: impl Future<Output = Result<T, EngineFault>>,
        idle: &Cell<u32>,
        mut flush: impl FnMut() -> Option<u32>,
    ) -> Result<T, EngineFault> {
        let tick = || {
            // A tick of a running event loop, shortened when something waits to be sent: that happens at most once a
            // batch, so it hardly hastens the verdict.
            idle.set(idle.get() + 1);
            let wait = flush().unwrap_or(TICK_MILLIS).clamp(1, TICK_MILLIS);
            (idle.get() <= self.silence_seconds + 1).then_some(wait)
        };
        match minding(self.host, work, tick).await {
            Some(result) => result,
            None => {
                let detail = format!(
                    "no sign of life from the GPU for {} seconds",
                    self.silence_seconds
                );
                Err(EngineFault::Lost(detail))
            }
        }
    }
}
