//! Copies of one matrix, and the dispatches that multiply with them.

use super::layer::Product;
use super::readers::Set;
use super::{Options, STEP};
use crate::bench::check::{Check, check_floats};
use crate::bench::kernels::gpu;
use crate::bench::synthetic::Random;
use crate::exec::{CpuMemory, Dispatch, Program};
use crate::ops::{BufferId, Epilogue, NormGemv, Op};
use crate::shader::Choice;
use crate::{Error, Executor, KvType, Rows, reference};

/// Copies of a matrix beyond which more of them tell nothing new.
const MAX_COPIES: u64 = 128;

/// One program for each kernel, with one dispatch for each copy.
pub(super) struct Copies {
    /// The codes of all copies.
    pub(super) set: Set,
    programs: Vec<(Program, BufferId)>,
    epilogue: Epilogue,
    /// What the results are before a check: the residual where there is one.
    before: Vec<f32>,
}

/// The buffers that all copies share: like those of a step, they stay in the cache.
struct Shared {
    x: BufferId,
    q: BufferId,
    rows: BufferId,
    dummy: BufferId,
}

impl Copies {
    pub(super) async fn new(
        executor: &mut Executor,
        product: &Product,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut random = Random::new(options.seed);
        let step = executor.create_buffer("step", size_of_val(&STEP) as u64)?;
        executor.write(step, 0, bytemuck::bytes_of(&STEP))?;
        let shared = Shared::new(executor, product, &mut random)?;
        let y_bytes = u64::from(product.op.n_rows) * 4;
        let y = executor.create_buffer("bench y", y_bytes)?;
        let fused_y = executor.create_buffer("bench fused y", y_bytes)?;
        let bytes = product.op.weight_bytes();
        let mut set = Set {
            copies: Vec::new(),
            bytes,
            checksum: 0,
        };
        let (mut plain, mut fused) = (Vec::new(), Vec::new());
        // Keeps products of normalised rows near 1: half of the codes are not zero.
        let scale = (2.0 / product.op.k_padded as f32).sqrt();
        for _ in 0..(options.set_bytes / bytes).clamp(2, MAX_COPIES) {
            let w = executor.create_buffer("bench codes", bytes)?;
            // The executor has refused what is too large for a binding.
            let mut codes = vec![0; usize::try_from(bytes).unwrap_or(0)];
            random.fill_codes(&mut codes);
            set.push(executor, w, &codes).await?;
            let n_rows = product.stored_rows();
            let gamma = floats(executor, &mut random, "bench gamma", n_rows, scale)?;
            let gain = if product.fused.norm {
                floats(
                    executor,
                    &mut random,
                    "bench gain",
                    product.fused.width,
                    1.0,
                )?
            } else {
                shared.dummy
            };
            let buffers = vec![w, gamma, shared.q, shared.rows, y];
            plain.push(dispatch(product, product.op.clone(), buffers));
            let buffers = vec![w, gamma, shared.x, gain, fused_y];
            fused.push(dispatch(product, product.fused.clone(), buffers));
        }
        let device = gpu(executor)?.device();
        let choice = Choice {
            variant: device.variant(),
            // No product reads the cache or the embedding.
            kv: KvType::F16,
            rows: Rows::Q8,
        };
        let (k_padded, memory) = (product.op.k_padded, device.workgroup_bytes());
        let shape = (product.op.epilogue, product.op.n_rows, k_padded);
        let fits = NormGemv::fits(shape, gpu(executor)?.tuning(), memory);
        let mut programs = vec![(executor.prepare(plain, step, &choice).await?, y)];
        if fits {
            programs.push((executor.prepare(fused, step, &choice).await?, fused_y));
        }
        Ok(Self {
            set,
            programs,
            epilogue: product.op.epilogue,
            before: values(&mut random, product.op.n_rows),
        })
    }

    /// The programs, each with the buffer that all of its dispatches write.
    pub(super) fn programs(&self) -> impl Iterator<Item = (&Program, BufferId)> {
        self.programs.iter().map(|(program, y)| (program, *y))
    }

    /// Compares the first and the last copy's products with those of the CPU, and what the timed passes have left with the last.
    pub(super) async fn check(
        &self,
        executor: &mut Executor,
        label: &str,
    ) -> Result<Vec<Check>, Error> {
        let mut checks = Vec::new();
        let last = self.set.copies.len() - 1;
        let y_bytes = self.before.len() as u64 * 4;
        for (program, y) in self.programs() {
            let left = executor.read(y, 0, y_bytes).await?;
            for index in [0, last] {
                let expected = self.expected(executor, program, index).await?;
                executor.write(y, 0, bytemuck::cast_slice(&self.before))?;
                gpu(executor)?.run_one(program, index, &STEP)?;
                let got = executor.read(y, 0, y_bytes).await?;
                let kernel = program.dispatches()[index].op.kernel();
                let label = format!("{label}, copy {index}");
                // What is added up in the passes is the sum of all copies.
                if index == last && self.epilogue != Epilogue::Add {
                    let label = format!("{label} as timed");
                    checks.push(check_floats(label, kernel, &expected, &left));
                }
                checks.push(check_floats(label, kernel, &expected, &got));
            }
        }
        Ok(checks)
    }

    /// One dispatch by its reference, on what the device's buffers hold.
    async fn expected(
        &self,
        executor: &mut Executor,
        program: &Program,
        index: usize,
    ) -> Result<Vec<u8>, Error> {
        let dispatch = &program.dispatches()[index];
        let mut memory = CpuMemory::default();
        let mut ids = Vec::new();
        for id in &dispatch.buffers {
            let bytes = executor.buffer_bytes(*id);
            let contents = executor.read(*id, 0, bytes).await?;
            let copy = memory.create_buffer(bytes);
            memory.put(copy, bytemuck::pod_collect_to_vec(&contents));
            ids.push(copy);
        }
        let y = ids[ids.len() - 1];
        memory.put(y, bytemuck::cast_slice(&self.before).to_vec());
        dispatch.op.run_cpu(&mut memory, &ids, &STEP);
        Ok(bytemuck::cast_slice(memory.u32(y)).to_vec())
    }
}

impl Shared {
    fn new(executor: &mut Executor, product: &Product, random: &mut Random) -> Result<Self, Error> {
        let x = values(random, product.fused.width);
        let mut q = vec![0; product.op.k_padded as usize];
        let scale = reference::norm_quantize(&x, None, product.fused.eps, &mut q);
        let rows = [scale.amax.to_bits(), scale.sum_q.cast_unsigned()];
        Ok(Self {
            x: filled(executor, "bench x", bytemuck::cast_slice(&x))?,
            q: filled(executor, "bench q", bytemuck::cast_slice(&q))?,
            rows: filled(executor, "bench rows", bytemuck::cast_slice(&rows))?,
            dummy: executor.create_buffer("bench dummy", 16)?,
        })
    }
}

/// Values of both signs.
fn values(random: &mut Random, n: u32) -> Vec<f32> {
    (0..n).map(|_| random.range(-1.0, 1.0)).collect()
}

/// A buffer of multipliers around `scale`.
fn floats(
    executor: &mut Executor,
    random: &mut Random,
    label: &str,
    n: u32,
    scale: f32,
) -> Result<BufferId, Error> {
    let values: Vec<f32> = (0..n).map(|_| scale * random.range(0.5, 1.5)).collect();
    filled(executor, label, bytemuck::cast_slice(&values))
}

fn filled(executor: &mut Executor, label: &str, contents: &[u8]) -> Result<BufferId, Error> {
    let buffer = executor.create_buffer(label, contents.len() as u64)?;
    executor.write(buffer, 0, contents)?;
    Ok(buffer)
}

fn dispatch(product: &Product, op: impl Op + 'static, buffers: Vec<BufferId>) -> Dispatch {
    Dispatch {
        label: product.name.to_owned(),
        op: Box::new(op),
        buffers,
    }
}
