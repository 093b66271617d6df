//! Attention for software adapters (`shaders/attention_loop.wgsl`).

use super::{Access, Attention, BufferId, Op, Step, Tuning};
use crate::Error;
use crate::exec::CpuMemory;
use crate::shader::{Choice, Kernel};

/// Invocations of a workgroup.
const WORKGROUP: u32 = 16;

/// What [`Attention`] computes, with its buffers and its bits, by few invocations that loop.
#[derive(Debug, Clone)]
pub struct AttentionLoop(pub Attention);

impl Op for AttentionLoop {
    fn kernel(&self) -> Kernel {
        Kernel::AttentionLoop
    }

    fn access(&self) -> &'static [Access] {
        self.0.access()
    }

    fn params(&self) -> Vec<u8> {
        self.0.params()
    }

    fn constants(&self, _: &Tuning) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn sizes(&self, _: &Tuning) -> Vec<(&'static str, u32)> {
        vec![("ROUNDS", (self.0.head_dim / 4).div_ceil(WORKGROUP))]
    }

    fn grid(&self, step: &Step, _: &Tuning) -> [u32; 3] {
        [self.0.heads, step.n_tokens, 1]
    }

    fn check(&self, sizes: &[u64]) -> Result<(), Error> {
        self.0.check(sizes)
    }

    fn run_cpu(&self, memory: &mut CpuMemory, buffers: &[BufferId], step: &Step) {
        self.0.run_cpu(memory, buffers, step);
    }

    fn choice(&self, base: &Choice) -> Choice {
        self.0.choice(base)
    }

    fn bytes(&self, step: &Step) -> u64 {
        self.0.bytes(step)
    }
}
