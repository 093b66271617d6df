//! Buffers of the CPU executor.

use crate::ops::BufferId;

/// All buffers as `u32` words, so that every view is aligned.
#[derive(Debug, Default)]
pub struct CpuMemory {
    buffers: Vec<Vec<u32>>,
}

impl CpuMemory {
    /// Makes a zeroed buffer.
    pub fn create_buffer(&mut self, bytes: u64) -> BufferId {
        let words =
            usize::try_from(bytes.div_ceil(4)).expect("a buffer that fits the address space");
        self.buffers.push(vec![0; words]);
        BufferId(u32::try_from(self.buffers.len() - 1).expect("fewer than 2^32 buffers"))
    }

    /// Size in bytes.
    #[must_use]
    pub fn buffer_bytes(&self, id: BufferId) -> u64 {
        self.buffers[id.0 as usize].len() as u64 * 4
    }

    /// Bytes of all buffers.
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        self.buffers.iter().map(|b| b.len() as u64 * 4).sum()
    }

    pub(super) fn write(&mut self, id: BufferId, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).expect("checked by the caller");
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut self.buffers[id.0 as usize]);
        all[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn read(&self, id: BufferId, offset: u64, len: u64) -> Vec<u8> {
        let range = usize::try_from(offset).expect("in range")
            ..usize::try_from(offset + len).expect("in range");
        let all: &[u8] = bytemuck::cast_slice(&self.buffers[id.0 as usize]);
        all[range].to_vec()
    }

    /// Words of a buffer.
    #[must_use]
    pub fn u32(&self, id: BufferId) -> &[u32] {
        &self.buffers[id.0 as usize]
    }

    /// A buffer as floats.
    #[must_use]
    pub fn f32(&self, id: BufferId) -> &[f32] {
        bytemuck::cast_slice(&self.buffers[id.0 as usize])
    }

    /// Takes a buffer out, to be written while others are read. Give it back with [`CpuMemory::put`].
    #[must_use]
    pub fn take(&mut self, id: BufferId) -> Vec<u32> {
        std::mem::take(&mut self.buffers[id.0 as usize])
    }

    /// Gives a taken buffer back.
    pub fn put(&mut self, id: BufferId, words: Vec<u32>) {
        self.buffers[id.0 as usize] = words;
    }
}
