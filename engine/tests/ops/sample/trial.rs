//! One run of both halves of the sampler with all its buffers.

use crate::Devices;
use engine::exec::{Dispatch, Executor};
use engine::ops::{LogitScan, RESULT_SLOTS, Sample, SamplingParams, Step};
use engine::shader::Choice;
use engine::{KvType, Rows, Variant};

/// Contents of the buffers before a run.
#[derive(Clone)]
pub(super) struct Trial {
    pub(super) params: SamplingParams,
    /// `[n_logits, vocab]`
    pub(super) logits: Vec<f32>,
    /// `[context + 1]`
    pub(super) history: Vec<u32>,
    pub(super) step: Step,
}

impl Trial {
    /// One row of logits, sampled at position `next`.
    pub(super) fn new(params: SamplingParams, logits: Vec<f32>, next: u32) -> Self {
        let step = Step {
            pos: next - 1,
            n_tokens: 1,
            logit_row: 0,
            n_logits: 1,
        };
        Self {
            params,
            logits,
            history: vec![7; 201],
            step,
        }
    }

    pub(super) fn vocab(&self) -> usize {
        self.logits.len() / self.step.n_logits as usize
    }

    pub(super) fn run(&self, executor: &mut Executor) -> Outcome {
        pollster::block_on(async {
            let vocab = self.vocab();
            let mut buffer = |words: &[u32]| {
                let id = executor
                    .create_buffer("buffer", words.len() as u64 * 4)
                    .unwrap();
                executor.write(id, 0, bytemuck::cast_slice(words)).unwrap();
                id
            };
            let step = buffer(bytemuck::cast_slice(&[self.step]));
            let ids = [
                buffer(bytemuck::cast_slice(&[self.params])),
                buffer(bytemuck::cast_slice(&self.logits)),
                buffer(&vec![
                    0;
                    engine::ops::found_bytes(vocab as u32) as usize / 4
                ]),
                buffer(&vec![0; vocab]),
                buffer(&self.history),
                buffer(&[11, 12, 13, 14]),
                buffer(&[99; 2 * RESULT_SLOTS as usize]),
            ];
            let context = self.history.len() as u32 - 1;
            let op = Sample {
                vocab: vocab as u32,
                context,
                step,
            };
            let variant = executor
                .device()
                .map_or(Variant::PORTABLE, engine::Device::variant);
            let choice = Choice {
                variant,
                kv: KvType::F16,
                rows: Rows::F16,
            };
            let scan = LogitScan {
                vocab: vocab as u32,
                context,
            };
            let dispatches = vec![
                Dispatch {
                    label: "logit_scan".to_owned(),
                    op: Box::new(scan),
                    buffers: vec![ids[0], ids[1], ids[4], ids[2]],
                },
                Dispatch {
                    label: "sample".to_owned(),
                    op: Box::new(op),
                    buffers: ids.to_vec(),
                },
            ];
            let program = executor.prepare(dispatches, step, &choice).await.unwrap();
            executor.run(&[&program], &self.step).unwrap();
            let mut read = Vec::new();
            let lengths = [
                8,
                self.logits.len(),
                0,
                vocab,
                self.history.len(),
                4,
                2 * RESULT_SLOTS as usize,
            ];
            for (id, len) in ids.into_iter().zip(lengths) {
                let bytes = executor.read(id, 0, len as u64 * 4).await.unwrap();
                read.push(bytemuck::pod_collect_to_vec::<u8, u32>(&bytes));
            }
            let after: Vec<u32> =
                bytemuck::pod_collect_to_vec(&executor.read(step, 0, 16).await.unwrap());
            let [_, logits, _, weights, history, tokens, results] = read.try_into().unwrap();
            Outcome {
                logits,
                weights,
                history,
                tokens,
                results,
                step: bytemuck::cast_slice(&after)[0],
            }
        })
    }

    /// The outcome on every device, which must be the same on all. None without a device.
    #[track_caller]
    pub(super) fn on(&self, devices: &mut Devices) -> Option<Outcome> {
        let mut first: Option<Outcome> = None;
        for (variant, executor) in &mut devices.0 {
            let got = self.run(executor);
            match &first {
                None => first = Some(got),
                Some(first) => assert_eq!(*first, got, "{variant} differs"),
            }
        }
        first
    }

    /// Fails unless devices and reference leave the same in all buffers but the scratch.
    #[track_caller]
    pub(super) fn check(&self, devices: &mut Devices, what: &str) {
        let expected = self.run(&mut Executor::cpu());
        if let Some(got) = self.on(devices) {
            assert_eq!(
                Outcome {
                    weights: Vec::new(),
                    ..got
                },
                Outcome {
                    weights: Vec::new(),
                    ..expected
                },
                "{what}"
            );
        }
    }
}

/// Contents of the buffers after a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    pub(super) logits: Vec<u32>,
    pub(super) weights: Vec<u32>,
    pub(super) history: Vec<u32>,
    pub(super) tokens: Vec<u32>,
    pub(super) results: Vec<u32>,
    pub(super) step: Step,
}

impl Outcome {
    pub(super) fn id(&self) -> u32 {
        self.tokens[0]
    }
}
