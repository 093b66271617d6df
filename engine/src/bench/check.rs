//! The kernels that are timed against their CPU references, on the weights and activations of the timed run.

use super::kernels::{Phase, group_name};
use crate::exec::{CpuMemory, Dispatch, Program};
use crate::ops::{Access, Step, cache_rows};
use crate::plan::Plan;
use crate::shader::Kernel;
use crate::{Error, KvType, Session};
use serde::Serialize;

/// One dispatch on both sides.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// `decode` or `prefill`.
    pub phase: &'static str,
    /// Label of the dispatch.
    pub label: String,
    /// Kernel name.
    pub kernel: &'static str,
    /// Values that the kernel may write.
    pub values: u64,
    /// How many of them have other bits than the reference.
    pub differing: u64,
    /// Largest difference of a float, relative to the largest reference value of its buffer.
    pub largest: f64,
    /// Whether all differences are within what rounding explains.
    pub passed: bool,
}

/// How a written buffer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    F32,
    F16,
    I8,
    /// So many bytes of codes, then an f32 for each row (`KvType::I8`).
    ScaledI8(usize),
    /// Pairs of an f32 and an i32 (`RowScale`).
    RowScale,
}

impl Check {
    /// Before anything was compared.
    fn begin(phase: Phase, label: String, kernel: Kernel) -> Self {
        Self {
            phase: phase.name(),
            label,
            kernel: kernel.name(),
            values: 0,
            differing: 0,
            largest: 0.0,
            passed: true,
        }
    }
}

/// Compares the first and the last dispatch of every kind in `program` that `is_wanted`, each on the inputs that the GPU has
/// there. Buffers above `max_bytes` are left out, and so is the sampler, which has no output of its own to compare.
///
/// # Errors
/// [`Error::DeviceLost`]; a difference is a result.
pub(super) async fn check_program(
    session: &mut Session,
    phase: Phase,
    program: impl Fn(&Session) -> &Program,
    is_wanted: impl Fn(&Dispatch) -> bool,
    step: &Step,
    max_bytes: u64,
) -> Result<Vec<Check>, Error> {
    let tuning = *super::kernels::gpu(&session.executor)?.tuning();
    // Only what has something to do at this step and is wanted has a label here.
    let labels: Vec<Option<String>> = program(session)
        .dispatches()
        .iter()
        .map(|dispatch| {
            let is_empty = dispatch.op.grid(step, &tuning).contains(&0);
            (!is_empty && is_wanted(dispatch)).then(|| dispatch.label.clone())
        })
        .collect();
    let mut checks = Vec::new();
    for (index, label) in labels.iter().enumerate() {
        let Some(label) = label else {
            run_one(session, &program, index, step)?;
            continue;
        };
        let same = |other: &Option<String>| {
            other
                .as_ref()
                .is_some_and(|other| group_name(other) == group_name(label))
        };
        let first = labels.iter().position(same) == Some(index);
        let last = labels.iter().rposition(same) == Some(index);
        if first || last {
            checks.extend(check_dispatch(session, phase, &program, index, step, max_bytes).await?);
        } else {
            run_one(session, &program, index, step)?;
        }
    }
    Ok(checks)
}

fn run_one(
    session: &mut Session,
    program: &impl Fn(&Session) -> &Program,
    index: usize,
    step: &Step,
) -> Result<(), Error> {
    let program = program(session);
    super::kernels::gpu(&session.executor)?.run_one(program, index, step)
}

async fn check_dispatch(
    session: &mut Session,
    phase: Phase,
    program: &impl Fn(&Session) -> &Program,
    index: usize,
    step: &Step,
    max_bytes: u64,
) -> Result<Option<Check>, Error> {
    let dispatch = &program(session).dispatches()[index];
    let (kernel, label) = (dispatch.op.kernel(), dispatch.label.clone());
    let (access, buffers) = (dispatch.op.access(), dispatch.buffers.clone());
    let too_large = buffers
        .iter()
        .any(|id| session.executor.buffer_bytes(*id) > max_bytes);
    if kernel == Kernel::Sample || too_large {
        run_one(session, program, index, step)?;
        return Ok(None);
    }
    let mut memory = CpuMemory::default();
    let mut ids = Vec::new();
    for id in &buffers {
        let bytes = session.executor.buffer_bytes(*id);
        let contents = session.executor.read(*id, 0, bytes).await?;
        let copy = memory.create_buffer(bytes);
        memory.put(copy, bytemuck::pod_collect_to_vec(&contents));
        ids.push(copy);
    }
    run_one(session, program, index, step)?;
    program(session).dispatches()[index]
        .op
        .run_cpu(&mut memory, &ids, step);
    let mut check = Check::begin(phase, label, kernel);
    let mut written = Vec::new();
    for (binding, (id, copy)) in buffers.iter().zip(&ids).enumerate() {
        if access[binding] == Access::ReadWrite {
            let got = session
                .executor
                .read(*id, 0, session.executor.buffer_bytes(*id))
                .await?;
            let expected: &[u8] = bytemuck::cast_slice(memory.u32(*copy));
            compare(
                &mut check,
                kind(kernel, binding, &session.plan),
                tolerance(kernel),
                expected,
                &got,
            );
            written.push(got);
        }
    }
    if let (Kernel::NormQuantize, [codes, rows]) = (kernel, &written[..]) {
        // The buffer of codes has room for the widest row; this one's are as many as the op says.
        let params = program(session).dispatches()[index].op.params();
        let k_padded = u32::from_le_bytes([params[4], params[5], params[6], params[7]]) as usize;
        check.passed &= sums_are_of_codes(codes, k_padded, rows, step.n_tokens as usize);
    }
    Ok(Some(check))
}

/// Whether each of the first rows says the sum of its own codes. Which codes those are, `compare` has judged: a row whose
/// values lie on the edges between codes may have many that fell to the other side.
fn sums_are_of_codes(codes: &[u8], width: usize, rows: &[u8], n_rows: usize) -> bool {
    let rows: Vec<u32> = bytemuck::pod_collect_to_vec(rows);
    (0..n_rows).all(|row| {
        let codes = &codes[row * width..(row + 1) * width];
        let sum: i32 = codes.iter().map(|code| i32::from(code.cast_signed())).sum();
        rows[2 * row + 1].cast_signed() == sum
    })
}

fn kind(kernel: Kernel, binding: usize, plan: &Plan) -> Kind {
    match (kernel, binding) {
        (Kernel::NormQuantize, 2) => Kind::I8,
        (Kernel::NormQuantize, 3) => Kind::RowScale,
        (Kernel::RopeKv, 3 | 4) | (Kernel::RopeAttention, 2 | 3) => match plan.kv_type {
            KvType::F32 => Kind::F32,
            KvType::F16 => Kind::F16,
            KvType::I8 => {
                let (heads, head_dim) = (plan.arch.kv_heads, plan.arch.head_dim);
                let rows = cache_rows(heads, plan.context, head_dim, KvType::I8);
                Kind::ScaledI8(rows.n_rows * rows.row_words() * 4)
            }
        },
        _ => Kind::F32,
    }
}

/// Relative to the largest value: the sums are exact or in one fixed order, so only a few roundings may differ (fused
/// multiply-add, division, `exp`).
fn tolerance(kernel: Kernel) -> f64 {
    match kernel {
        // A code of the row next to a tie may fall to either side, which moves a sum of some hundred codes by one.
        Kernel::NormGemv => 5e-3,
        Kernel::Attention | Kernel::AttentionLoop | Kernel::AttentionCombine => 1e-4,
        // Its scores are of rotated queries and keys, whose last bits differ already.
        Kernel::RopeAttention => 1e-3,
        _ => 1e-5,
    }
}

fn compare(check: &mut Check, kind: Kind, tolerance: f64, expected: &[u8], got: &[u8]) {
    if expected.len() != got.len() {
        check.passed = false;
        return;
    }
    match kind {
        Kind::I8 => {
            let steps = expected
                .iter()
                .zip(got)
                .map(|(a, b)| (i32::from(a.cast_signed()) - i32::from(b.cast_signed())).abs());
            let differing = steps.clone().filter(|step| *step > 0).count() as u64;
            check.values += expected.len() as u64;
            check.differing += differing;
            // A value on the edge between two codes may fall to either side.
            check.passed &=
                steps.max().unwrap_or(0) <= 1 && differing * 1000 <= expected.len() as u64;
        }
        Kind::ScaledI8(codes) => {
            let (expected, got) = (expected.split_at(codes), got.split_at(codes));
            compare(check, Kind::I8, tolerance, expected.0, got.0);
            // Relative to the largest scale of the cache; a key's last bits differ already.
            compare(check, Kind::F32, 1e-5, expected.1, got.1);
        }
        Kind::RowScale => {
            let words = |bytes: &[u8]| -> Vec<u32> { bytemuck::pod_collect_to_vec(bytes) };
            let (expected, got) = (words(expected), words(got));
            let amax = |words: &[u32]| -> Vec<f64> {
                words
                    .iter()
                    .step_by(2)
                    .map(|w| f64::from(f32::from_bits(*w)))
                    .collect()
            };
            floats(check, 1e-5, &amax(&expected), &amax(&got));
        }
        Kind::F16 => {
            let halves = |bytes: &[u8]| -> Vec<f64> {
                bytes
                    .chunks_exact(2)
                    .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f64())
                    .collect()
            };
            // One unit in the last place of the largest half is 2^-10 of it.
            floats(check, 1e-3, &halves(expected), &halves(got));
        }
        Kind::F32 => {
            let values = |bytes: &[u8]| -> Vec<f64> {
                bytes
                    .chunks_exact(4)
                    .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                    .collect()
            };
            floats(check, tolerance, &values(expected), &values(got));
        }
    }
}

/// Compares the floats that `kernel` has written with those of its reference.
pub(super) fn check_floats(label: String, kernel: Kernel, expected: &[u8], got: &[u8]) -> Check {
    let mut check = Check::begin(Phase::Decode, label, kernel);
    compare(&mut check, Kind::F32, tolerance(kernel), expected, got);
    check
}

fn floats(check: &mut Check, tolerance: f64, expected: &[f64], got: &[f64]) {
    let scale = expected
        .iter()
        .fold(f64::MIN_POSITIVE, |max, value| max.max(value.abs()));
    for (expected, got) in expected.iter().zip(got) {
        check.values += 1;
        if expected.to_bits() == got.to_bits() {
            continue;
        }
        check.differing += 1;
        let difference = (expected - got).abs() / scale;
        // A NaN counts as infinitely wrong.
        let difference = if difference.is_nan() {
            f64::INFINITY
        } else {
            difference
        };
        check.passed &= difference <= tolerance;
        check.largest = check.largest.max(difference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(kind: Kind, expected: &[u8], got: &[u8]) -> Check {
        let mut check = Check {
            phase: "",
            label: String::new(),
            kernel: "",
            values: 0,
            differing: 0,
            largest: 0.0,
            passed: true,
        };
        compare(&mut check, kind, 1e-5, expected, got);
        check
    }

    #[test]
    fn differences_are_seen() {
        let f = |values: &[f32]| -> Vec<u8> {
            bytemuck::pod_collect_to_vec(bytemuck::cast_slice::<f32, u8>(values))
        };
        assert!(compared(Kind::F32, &f(&[1.0, 2.0]), &f(&[1.0, 2.000_01])).passed);
        let wrong = compared(Kind::F32, &f(&[1.0, 2.0]), &f(&[1.0, 2.001]));
        assert!(!wrong.passed && wrong.differing == 1 && wrong.largest > 1e-4);
        assert!(!compared(Kind::F32, &f(&[1.0]), &f(&[f32::NAN])).passed);
        assert!(!compared(Kind::F32, &f(&[1.0]), &f(&[f32::INFINITY])).passed);
        assert!(!compared(Kind::F32, &f(&[1.0]), &[]).passed);
        assert!(!compared(Kind::I8, &[1, 2, 3], &[1, 2, 5]).passed);
        assert!(!compared(Kind::I8, &[1, 2, 3], &[1, 2, 4]).passed);
        let mut codes = vec![5; 2000];
        codes[7] = 6;
        assert!(compared(Kind::I8, &vec![5; 2000], &codes).passed);
        assert!(
            !compared(
                Kind::RowScale,
                &[0, 0, 128, 63, 10, 0, 0, 0],
                &[0, 0, 129, 63, 10, 0, 0, 0]
            )
            .passed
        );
        assert!(!compared(Kind::F16, &[0, 60], &[0, 61]).passed);
        let scaled = |code: u8, scale: f32| [vec![code; 2000], f(&[scale])].concat();
        let passes = |got: &[u8]| compared(Kind::ScaledI8(2000), &scaled(5, 0.1), got).passed;
        assert!(passes(&scaled(5, 0.1)));
        assert!(!passes(&scaled(5, 0.11)) && !passes(&scaled(7, 0.1)));
    }

    #[test]
    fn a_row_must_say_the_sum_of_its_own_codes() {
        // Two rows of four codes; the third is behind those of the run.
        let codes = [1, 2, 3, 255, 4, 4, 4, 4, 9, 9, 9, 9];
        let rows = |first: u8, second: u8| {
            let mut rows = vec![0; 24];
            rows[4] = first;
            rows[12] = second;
            rows
        };
        assert!(sums_are_of_codes(&codes, codes.len() / 3, &rows(5, 16), 2));
        assert!(!sums_are_of_codes(&codes, codes.len() / 3, &rows(6, 16), 2));
        assert!(!sums_are_of_codes(&codes, codes.len() / 3, &rows(5, 15), 2));
    }
}
