//! Executors: the same programs on the GPU and, by the references, on the CPU.

mod cpu;
mod gpu;

pub use cpu::CpuMemory;
pub(crate) use gpu::Compiling;
pub use gpu::{GpuExecutor, PendingFlush, PendingGpuRead};

use crate::Error;
use crate::device::{Device, DeviceOptions};
use crate::ops::{BufferId, Op, Step, Tuning};
use crate::shader::Choice;

/// One dispatch with its buffers.
#[derive(Debug)]
pub struct Dispatch {
    /// What it is in the model, for example `layers.3.qkv`.
    pub label: String,
    /// The operation.
    pub op: Box<dyn Op>,
    /// Storage buffers in binding order.
    pub buffers: Vec<BufferId>,
}

/// Dispatches that an executor has made ready. Belongs to the executor that prepared it.
#[derive(Debug)]
pub struct Program {
    pub(crate) dispatches: Vec<Dispatch>,
    pub(crate) gpu: Vec<gpu::Prepared>,
}

impl Program {
    /// The dispatches, in order.
    #[must_use]
    pub fn dispatches(&self) -> &[Dispatch] {
        &self.dispatches
    }
}

/// A read that was queued behind the work submitted so far.
#[derive(Debug)]
pub enum PendingRead {
    /// Being copied on the GPU.
    Gpu(PendingGpuRead),
    /// Already there.
    Ready(Vec<u8>),
}

/// Where programs run.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one executor for a device, so a box would save nothing"
)]
pub enum Executor {
    /// wgpu.
    Gpu(GpuExecutor),
    /// The references.
    Cpu(CpuMemory),
}

impl Executor {
    /// Opens a GPU.
    ///
    /// # Errors
    /// [`Error::NoAdapter`], [`Error::NoDevice`].
    pub async fn gpu(options: &DeviceOptions) -> Result<Self, Error> {
        Ok(Self::Gpu(GpuExecutor::new(Device::open(options).await?)))
    }

    /// The CPU references as an executor.
    #[must_use]
    pub fn cpu() -> Self {
        Self::Cpu(CpuMemory::default())
    }

    /// The device, when this is a GPU.
    #[must_use]
    pub fn device(&self) -> Option<&Device> {
        match self {
            Self::Gpu(gpu) => Some(gpu.device()),
            Self::Cpu(_) => None,
        }
    }

    /// Whether attention loops (see [`Tuning::attention_loops`](crate::ops::Tuning)).
    pub(crate) fn loops_attention(&self) -> bool {
        match self {
            Self::Cpu(_) => false,
            Self::Gpu(gpu) => gpu.tuning().attention_loops,
        }
    }

    /// Whether fused attention takes pairs of chunks (see [`Tuning::attention_pairs`](crate::ops::Tuning)).
    pub(crate) fn pairs_attention(&self) -> bool {
        match self {
            Self::Cpu(_) => false,
            Self::Gpu(gpu) => gpu.tuning().attention_pairs,
        }
    }

    /// Tokens of a prefill submit that suit the device.
    pub(crate) fn prefill_chunk(&self) -> u32 {
        match self {
            Self::Cpu(_) => crate::device::PREFILL_CHUNK,
            Self::Gpu(gpu) => gpu.device().prefill_chunk(),
        }
    }

    /// Adapter and variant in one line, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Gpu(gpu) => gpu.device().describe(),
            Self::Cpu(_) => "CPU reference".to_owned(),
        }
    }

    /// Makes a zeroed storage buffer of at least `bytes` bytes.
    ///
    /// # Errors
    /// [`Error::Limit`] above the adapter's binding or buffer size, [`Error::DeviceLost`].
    pub fn create_buffer(&mut self, label: &str, bytes: u64) -> Result<BufferId, Error> {
        match self {
            Self::Gpu(gpu) => gpu.create_buffer(label, bytes),
            Self::Cpu(cpu) => Ok(cpu.create_buffer(bytes)),
        }
    }

    /// Frees all buffers. What was made with them (programs, sessions) must be gone; compiled kernels stay.
    pub fn free_buffers(&mut self) {
        match self {
            Self::Gpu(gpu) => gpu.free_buffers(),
            Self::Cpu(cpu) => *cpu = CpuMemory::default(),
        }
    }

    /// Size of a buffer in bytes.
    #[must_use]
    pub fn buffer_bytes(&self, id: BufferId) -> u64 {
        match self {
            Self::Gpu(gpu) => gpu.buffer_bytes(id),
            Self::Cpu(cpu) => cpu.buffer_bytes(id),
        }
    }

    /// Largest storage buffer that a kernel can bind, in bytes.
    #[must_use]
    pub fn max_binding_bytes(&self) -> u64 {
        match self {
            Self::Gpu(gpu) => gpu.device().max_binding_bytes(),
            Self::Cpu(_) => u64::MAX,
        }
    }

    /// Queues a write of `bytes` (length and offset multiples of 4) before all later runs.
    ///
    /// # Errors
    /// [`Error::Shape`] when the range does not fit, [`Error::DeviceLost`].
    pub fn write(&mut self, id: BufferId, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let end = offset.checked_add(bytes.len() as u64);
        let size = self.buffer_bytes(id);
        if end.is_none_or(|end| end > size)
            || !offset.is_multiple_of(4)
            || !bytes.len().is_multiple_of(4)
        {
            let got = end.unwrap_or(u64::MAX);
            return Err(Error::Shape {
                op: "write",
                what: "end of the range",
                expected: size,
                got,
            });
        }
        match self {
            Self::Gpu(gpu) => gpu.write(id, offset, bytes),
            Self::Cpu(cpu) => {
                cpu.write(id, offset, bytes);
                Ok(())
            }
        }
    }

    /// Begins to compile the kernels of dispatches, whose buffers need not be there yet. What comes of it,
    /// [`Executor::compiled`] says.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub(crate) fn compile(
        &mut self,
        dispatches: impl Iterator<Item = Dispatch>,
        base: &Choice,
    ) -> Result<Compiling, Error> {
        match self {
            Self::Gpu(gpu) => gpu.compile(dispatches, base),
            Self::Cpu(_) => Ok(Compiling::default()),
        }
    }

    /// Waits for kernels.
    ///
    /// # Errors
    /// [`Error::Validation`] when one does not compile, [`Error::DeviceLost`].
    pub(crate) async fn compiled(&self, kernels: Compiling) -> Result<(), Error> {
        match self {
            Self::Gpu(gpu) => gpu.compiled(kernels).await,
            Self::Cpu(_) => Ok(()),
        }
    }

    /// Checks dispatches and makes pipelines and bind groups for them.
    ///
    /// # Errors
    /// [`Error::Shape`] for buffers that do not fit, [`Error::Validation`] when a kernel does not compile,
    /// [`Error::DeviceLost`].
    pub async fn prepare(
        &mut self,
        dispatches: Vec<Dispatch>,
        step: BufferId,
        base: &Choice,
    ) -> Result<Program, Error> {
        for dispatch in &dispatches {
            let sizes: Vec<u64> = dispatch
                .buffers
                .iter()
                .map(|&id| self.buffer_bytes(id))
                .collect();
            let (expected, got) = (dispatch.op.access().len() as u64, sizes.len() as u64);
            if expected != got {
                return Err(Error::Shape {
                    op: dispatch.op.kernel().name(),
                    what: "number of buffers",
                    expected,
                    got,
                });
            }
            dispatch.op.check(&sizes)?;
        }
        let gpu = match self {
            Self::Gpu(gpu) => gpu.prepare(&dispatches, step, base).await?,
            Self::Cpu(_) => Vec::new(),
        };
        Ok(Program { dispatches, gpu })
    }

    /// Runs programs one after the other, in one submit. `step` is what the step buffer will hold by then.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Validation`].
    pub fn run(&mut self, programs: &[&Program], step: &Step) -> Result<(), Error> {
        match self {
            Self::Gpu(gpu) => gpu.run(programs.iter().copied(), step),
            Self::Cpu(cpu) => {
                let dispatches = programs.iter().flat_map(|program| &program.dispatches);
                run_on_cpu(cpu, dispatches, step);
                Ok(())
            }
        }
    }

    /// Runs programs one after the other, once for each of `steps`, and then reads `len` bytes of a buffer from `offset`
    /// (multiples of 4), in one submit. The programs themselves advance the step buffer, from the first of `steps` on.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Validation`].
    pub fn run_and_read(
        &mut self,
        programs: &[&Program],
        steps: &[Step],
        (id, offset, len): (BufferId, u64, u64),
    ) -> Result<PendingRead, Error> {
        if let Self::Gpu(gpu) = self {
            let read = gpu.run_and_read(programs, steps, (id, offset, len))?;
            return Ok(PendingRead::Gpu(read));
        }
        for step in steps {
            self.run(programs, step)?;
        }
        self.begin_read(id, offset, len)
    }

    /// Runs some dispatches of a program: for taking intermediate results and for finding a wrong one.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_range(
        &mut self,
        program: &Program,
        range: std::ops::Range<usize>,
        step: &Step,
    ) -> Result<(), Error> {
        match self {
            Self::Gpu(gpu) => gpu.run_range(program, range, step),
            Self::Cpu(cpu) => {
                run_on_cpu(cpu, &program.dispatches[range], step);
                Ok(())
            }
        }
    }

    /// Queues a read of a buffer range (multiples of 4) behind the work submitted so far.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn begin_read(
        &mut self,
        id: BufferId,
        offset: u64,
        len: u64,
    ) -> Result<PendingRead, Error> {
        match self {
            Self::Gpu(gpu) => Ok(PendingRead::Gpu(gpu.begin_read(id, offset, len)?)),
            Self::Cpu(cpu) => Ok(PendingRead::Ready(cpu.read(id, offset, len))),
        }
    }

    /// Waits for a read.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub async fn finish_read(&mut self, read: PendingRead) -> Result<Vec<u8>, Error> {
        match (self, read) {
            (Self::Gpu(gpu), PendingRead::Gpu(read)) => gpu.finish_read(read).await,
            (_, PendingRead::Ready(bytes)) => Ok(bytes),
            (Self::Cpu(_), PendingRead::Gpu(_)) => Err(Error::Order {
                what: "a GPU read was given to the CPU executor",
            }),
        }
    }

    /// Reads a buffer range and waits for it.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub async fn read(&mut self, id: BufferId, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
        let read = self.begin_read(id, offset, len)?;
        self.finish_read(read).await
    }

    /// Waits until all submitted work and writes are done, so that the driver's staging memory is free again.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        let flush = self.begin_flush();
        self.finish_flush(flush).await
    }

    /// Begins to wait for all work and writes so far, while more is queued.
    pub(crate) fn begin_flush(&self) -> PendingFlush {
        match self {
            Self::Gpu(gpu) => gpu.begin_flush(),
            Self::Cpu(_) => PendingFlush::default(),
        }
    }

    /// Waits until they are done.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub(crate) async fn finish_flush(&self, flush: PendingFlush) -> Result<(), Error> {
        match self {
            Self::Gpu(gpu) => gpu.finish_flush(flush).await,
            Self::Cpu(_) => Ok(()),
        }
    }

    /// Bytes of all buffers.
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        match self {
            Self::Gpu(gpu) => gpu.allocated_bytes(),
            Self::Cpu(cpu) => cpu.allocated_bytes(),
        }
    }
}

/// Runs what has something to do at this step: of ops that a device takes by position, those that one without a tuning would.
fn run_on_cpu<'a>(
    cpu: &mut CpuMemory,
    dispatches: impl IntoIterator<Item = &'a Dispatch>,
    step: &Step,
) {
    for dispatch in dispatches {
        if !dispatch.op.grid(step, &Tuning::default()).contains(&0) {
            dispatch.op.run_cpu(cpu, &dispatch.buffers, step);
        }
    }
}
