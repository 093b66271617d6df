//! Every kernel against its reference: shapes, variants, and the equalities that must hold bit for bit.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::gpu;
use engine::exec::{Dispatch, Executor};
use engine::ops::{BufferId, Op, Shares, Sharing, Step, Tuning};
use engine::shader::Choice;
use engine::{KvType, Rows, Variant};

mod ops {
    mod attention;
    mod attention_combine;
    mod attention_loop;
    mod embed;
    mod lm_head;
    mod logit_scan;
    mod norm_gemv;
    mod norm_quantize;
    mod rms_norm;
    mod rope_attention;
    mod rope_kv;
    mod sample;
    mod ternary_gemm;
    mod ternary_gemv;
}

/// Fills outputs before a run: a NaN that no kernel writes, so words that must be left alone can be told from written ones.
const UNTOUCHED: u32 = 0x7FC0_BEEF;

/// A buffer of `n` untouched words.
fn untouched(n: usize) -> Vec<u32> {
    vec![UNTOUCHED; n]
}

/// The usual tuning, with all products shared out in one way: invocations of a workgroup, slices, rows.
fn shared_out((workgroup, slices, rows): (u32, u32, u32)) -> Tuning {
    Tuning {
        shares: Shares::all(Sharing {
            workgroup,
            slices,
            rows,
        }),
        ..Tuning::default()
    }
}

/// Open devices, each with its variant. Empty when there is no GPU and `ALLOW_NO_GPU=1`.
struct Devices(Vec<(Variant, Executor)>);

impl Devices {
    /// One device for each variant.
    fn all() -> Self {
        Self(
            common::variants()
                .into_iter()
                .filter_map(|v| Some((v, gpu(Some(v))?)))
                .collect(),
        )
    }

    /// One device, for kernels whose text does not depend on the variant.
    fn one() -> Self {
        Self(
            gpu(Some(Variant::PORTABLE))
                .map(|executor| (Variant::PORTABLE, executor))
                .into_iter()
                .collect(),
        )
    }

    fn set_tuning(&mut self, tuning: Tuning) {
        for (_, executor) in &mut self.0 {
            common::tune(executor, tuning);
        }
    }

    /// Runs an op on every device; the buffers after the run, which must be the same bits on all. None without a device.
    #[track_caller]
    fn run(
        &mut self,
        op: &(impl Op + Clone + 'static),
        buffers: &[Vec<u32>],
        step: Step,
    ) -> Option<Vec<Vec<u32>>> {
        let mut first: Option<(Variant, Vec<Vec<u32>>)> = None;
        for (variant, executor) in &mut self.0 {
            let got = run(executor, op.clone(), buffers, step);
            match &first {
                None => first = Some((*variant, got)),
                Some((other, expected)) => {
                    assert!(*expected == got, "{variant} differs from {other}: {op:?}")
                }
            }
        }
        first.map(|(_, got)| got)
    }

    /// Runs an op on every device and by its reference; `compare` gets the reference's buffers and the devices'.
    #[track_caller]
    fn check(
        &mut self,
        op: &(impl Op + Clone + 'static),
        buffers: &[Vec<u32>],
        step: Step,
        compare: impl Fn(&[Vec<u32>], &[Vec<u32>]),
    ) {
        let expected = run(&mut Executor::cpu(), op.clone(), buffers, step);
        if let Some(got) = self.run(op, buffers, step) {
            compare(&expected, &got);
        }
    }
}

/// Runs one op on buffers with the given contents; their contents afterwards.
fn run(
    executor: &mut Executor,
    op: impl Op + 'static,
    buffers: &[Vec<u32>],
    step: Step,
) -> Vec<Vec<u32>> {
    pollster::block_on(async {
        let step_buffer = executor.create_buffer("step", 16).unwrap();
        executor
            .write(step_buffer, 0, bytemuck::bytes_of(&step))
            .unwrap();
        let mut ids: Vec<BufferId> = Vec::new();
        for words in buffers {
            let id = executor
                .create_buffer("buffer", words.len() as u64 * 4)
                .unwrap();
            executor.write(id, 0, bytemuck::cast_slice(words)).unwrap();
            ids.push(id);
        }
        let variant = executor
            .device()
            .map_or(Variant::PORTABLE, engine::Device::variant);
        let choice = Choice {
            variant,
            kv: KvType::F16,
            rows: Rows::F16,
        };
        let dispatch = Dispatch {
            label: "test".to_owned(),
            op: Box::new(op),
            buffers: ids.clone(),
        };
        let program = executor
            .prepare(vec![dispatch], step_buffer, &choice)
            .await
            .unwrap();
        executor.run(&[&program], &step).unwrap();
        let mut out = Vec::new();
        for (id, words) in ids.iter().zip(buffers) {
            let bytes = executor.read(*id, 0, words.len() as u64 * 4).await.unwrap();
            out.push(bytemuck::pod_collect_to_vec(&bytes));
        }
        out
    })
}

/// Fails unless the same words were written and the written floats are within `limit` of each other, by
/// [`common::rms_relative`].
#[track_caller]
fn assert_floats(what: &str, expected: &[u32], got: &[u32], limit: f64) {
    let mut floats: [Vec<f32>; 2] = Default::default();
    for (i, (&e, &g)) in expected.iter().zip(got).enumerate() {
        assert_eq!(
            e == UNTOUCHED,
            g == UNTOUCHED,
            "{what}: word {i} is {e:#x} in the reference, {g:#x} on the device"
        );
        if e != UNTOUCHED {
            floats[0].push(f32::from_bits(e));
            floats[1].push(f32::from_bits(g));
        }
    }
    assert!(!floats[0].is_empty(), "{what}: nothing was written");
    common::assert_close(what, &floats[0], &floats[1], limit);
}

/// A run of `n_tokens` from `pos`, logits of its last row.
fn step(pos: u32, n_tokens: u32) -> Step {
    Step {
        pos,
        n_tokens,
        logit_row: n_tokens - 1,
        n_logits: 1,
    }
}
