//! What a session will take, from the same sizes that its buffers get. Nothing is allocated.

use crate::Error;
use crate::device::PREFILL_CHUNK;
use crate::exec::Executor;
use crate::ops::BufferId;
use crate::session::{MemoryReport, SessionConfig};
use model::Manifest;

use super::{Scratch, io_buffers, kv_buffers};

/// Longest chunk of prefill that a device chooses by itself.
const LONGEST_CHUNK: u32 = 2 * PREFILL_CHUNK;

/// Where buffers are made, or only counted.
pub(super) trait Buffers {
    /// Makes a buffer, as [`Executor::create_buffer`] does.
    fn create_buffer(&mut self, label: &str, bytes: u64) -> Result<BufferId, Error>;
}

impl Buffers for Executor {
    fn create_buffer(&mut self, label: &str, bytes: u64) -> Result<BufferId, Error> {
        Executor::create_buffer(self, label, bytes)
    }
}

/// Counts bytes as a GPU rounds them.
#[derive(Default)]
struct Count(u64);

impl Buffers for Count {
    fn create_buffer(&mut self, _: &str, bytes: u64) -> Result<BufferId, Error> {
        self.0 = self.0.saturating_add(bytes.next_multiple_of(16).max(16));
        Ok(super::NOWHERE)
    }
}

/// GPU bytes of a session of a model that [`Manifest`] has described and validated; weights on their way to the device, which may be
/// a few megabytes more before there is a cache, are left out.
///
/// # Errors
/// None today; buffers that are only counted always fit.
pub fn memory_need(manifest: &Manifest, config: &SessionConfig) -> Result<MemoryReport, Error> {
    let arch = &manifest.architecture;
    let context = config.context.clamp(1, arch.context.max(1));
    let chunk = match config.prefill_chunk {
        0 => LONGEST_CHUNK,
        chunk => chunk.min(1024),
    };
    let chunk = chunk.min(context);
    let mut cache = Count::default();
    let kv = kv_buffers(&mut cache, arch, context, config.kv)?;
    let mut rest = Count::default();
    io_buffers(&mut rest, arch, context, chunk, kv)?;
    Scratch::allocate(
        &mut rest,
        arch,
        manifest.ternary.rows_per_tile,
        context,
        chunk,
    )?;
    Ok(MemoryReport {
        weight_bytes: manifest.weight_bytes(),
        kv_bytes: cache.0,
        activation_bytes: rest.0,
    })
}
