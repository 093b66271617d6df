mod trial;

use crate::Devices;
use crate::common::Random;
use engine::exec::Executor;
use engine::ops::{RESULT_SLOTS, SamplingParams, Step};
use engine::reference::{STATUS_NON_FINITE, STATUS_OK, choose, philox, weights};
use trial::Trial;

const PLAIN: SamplingParams = SamplingParams {
    temperature: 1.0,
    top_p: 1.0,
    min_p: 0.0,
    repetition_penalty: 1.0,
    top_k: 0,
    repetition_window: 0,
    seed_lo: 0x1234_5678,
    seed_hi: 0x9ABC_DEF0,
};
const GREEDY: SamplingParams = SamplingParams {
    temperature: 0.0,
    ..PLAIN
};

const VOCABS: [usize; 8] = [1, 3, 255, 256, 257, 1025, 32_002, 128_256];

#[test]
fn greedy_agrees_with_the_reference() {
    let mut devices = Devices::all();
    let mut random = Random(30);
    for vocab in VOCABS {
        for next in [1, 64, 150] {
            Trial::new(GREEDY, random.normals(vocab), next)
                .check(&mut devices, &format!("vocabulary of {vocab}"));
        }
    }
}

#[test]
fn ties_go_to_the_lowest_id() {
    let mut devices = Devices::all();
    for (ids, best) in [
        ([700, 3, 900], 3),
        ([259, 515, 771], 259),
        ([999, 998, 997], 997),
    ] {
        let mut logits = vec![-5.0; 1000];
        ids.iter().for_each(|&id: &usize| logits[id] = 2.5);
        let Some(got) = Trial::new(GREEDY, logits, 9).on(&mut devices) else {
            return;
        };
        assert_eq!(got.id(), best);
    }
    let mut logits = vec![-1.0; 600];
    (logits[300], logits[500]) = (-0.0, 0.0);
    assert_eq!(
        Trial::new(GREEDY, logits, 9).on(&mut devices).unwrap().id(),
        300,
        "both zeros are equal"
    );
    let lowest = Trial::new(GREEDY, vec![f32::MIN; 300], 9)
        .on(&mut devices)
        .unwrap();
    assert_eq!(
        (lowest.id(), lowest.results[19]),
        (0, STATUS_OK),
        "all at the most negative float"
    );
}

#[test]
fn the_last_wanted_row_is_used() {
    let mut devices = Devices::all();
    let mut random = Random(31);
    for params in [GREEDY, SamplingParams { top_k: 1, ..PLAIN }] {
        let step = Step {
            pos: 20,
            n_tokens: 5,
            logit_row: 2,
            n_logits: 3,
        };
        let mut trial = Trial {
            step,
            ..Trial::new(params, random.normals(3 * 500), 1)
        };
        trial.logits[1000 + 321] = 50.0;
        trial.logits[123] = 90.0;
        trial.check(&mut devices, "three rows");
        assert_eq!(trial.run(&mut Executor::cpu()).id(), 321);
    }
}

#[test]
fn the_step_advances_and_the_ring_wraps() {
    let mut devices = Devices::all();
    let mut logits = vec![0.0; 40];
    logits[17] = 1.0;
    let step = Step {
        pos: 120,
        n_tokens: 10,
        logit_row: 9,
        n_logits: 1,
    };
    let trial = Trial {
        step,
        ..Trial::new(GREEDY, logits, 1)
    };
    let Some(got) = trial.on(&mut devices) else {
        return;
    };
    assert_eq!(
        got.step,
        Step {
            pos: 130,
            n_tokens: 1,
            logit_row: 0,
            n_logits: 1
        }
    );
    assert_eq!(got.history[130], 17);
    assert_eq!(
        got.history.iter().filter(|&&token| token == 7).count(),
        200,
        "one entry of the history changed"
    );
    assert_eq!(got.tokens, [17, 12, 13, 14]);
    assert_eq!(got.results[4..6], [17, STATUS_OK]);
    assert_eq!(
        got.results.iter().filter(|&&word| word == 99).count(),
        126,
        "one entry of the ring changed"
    );
    for (pos, written) in [(199, true), (200, false)] {
        let trial = Trial {
            step: Step {
                pos,
                n_tokens: 1,
                logit_row: 0,
                n_logits: 1,
            },
            ..trial.clone()
        };
        let history = trial.on(&mut devices).unwrap().history;
        assert_eq!(
            history.contains(&17),
            written,
            "after position {pos} of 200"
        );
    }
}

#[test]
fn non_finite_logits_are_reported() {
    let mut devices = Devices::all();
    for params in [GREEDY, PLAIN] {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 256, 999] {
                let mut logits = vec![0.5; 1000];
                logits[at] = bad;
                let Some(got) = Trial::new(params, logits, 9).on(&mut devices) else {
                    return;
                };
                assert_eq!(got.results[19], STATUS_NON_FINITE, "{bad} at {at}");
                assert_eq!(got.step.pos, 9);
            }
        }
    }
}

/// Equal logits have exact weights, so device and reference must draw the same token for every seed and position.
#[test]
fn draws_of_exact_weights_agree_with_the_reference() {
    let mut devices = Devices::all();
    let mut random = Random(32);
    for vocab in [1, 2, 64, 512, 4096, 131_072] {
        for _ in 0..6 {
            let params = SamplingParams {
                seed_lo: random.bits() as u32,
                seed_hi: random.bits() as u32,
                temperature: 0.9,
                ..PLAIN
            };
            let trial = Trial::new(params, vec![1.5; vocab], 1 + random.below(200));
            trial.check(&mut devices, &format!("vocabulary of {vocab}"));
            let Some(got) = trial.on(&mut devices) else {
                return;
            };
            assert_eq!(
                got.weights,
                trial.run(&mut Executor::cpu()).weights,
                "weights of {vocab}"
            );
        }
    }
}

fn settings() -> Vec<SamplingParams> {
    let mut out = vec![PLAIN];
    for temperature in [0.05, 0.7, 3.0] {
        for (top_k, top_p, min_p) in [
            (0, 1.0, 0.0),
            (1, 1.0, 0.0),
            (40, 1.0, 0.0),
            (0, 0.9, 0.0),
            (0, 1e-6, 0.0),
            (0, 0.0, 0.0),
            (0, 1.0, 0.05),
        ] {
            out.push(SamplingParams {
                temperature,
                top_k,
                top_p,
                min_p,
                ..PLAIN
            });
        }
        out.push(SamplingParams {
            temperature,
            top_k: 100,
            top_p: 0.95,
            min_p: 0.02,
            ..PLAIN
        });
        out.push(SamplingParams {
            temperature,
            top_k: u32::MAX,
            top_p: 0.5,
            min_p: 1.0,
            ..PLAIN
        });
    }
    out
}

/// The weights are close to the reference's; from the device's weights on, the choice is the reference's exactly.
#[test]
fn choices_follow_from_the_weights() {
    let mut devices = Devices::all();
    let mut random = Random(33);
    for vocab in [5, 257, 1025, 32_002] {
        for params in settings() {
            let logits: Vec<f32> = random
                .normals(vocab)
                .iter()
                .map(|logit| logit * 4.0)
                .collect();
            let params = SamplingParams {
                seed_lo: random.bits() as u32,
                ..params
            };
            let next = 1 + random.below(200);
            let Some(got) = Trial::new(params, logits.clone(), next).on(&mut devices) else {
                return;
            };
            let what = format!("vocabulary of {vocab}, {params:?}");
            let expected = weights(&logits, params.temperature, params.top_k);
            for (id, (e, g)) in expected.iter().zip(&got.weights).enumerate() {
                // exp and the sum differ in their last bits, the rounding by one; large quotients lose some more.
                let allowed = 2.0 + f64::from(*e) * 1e-5;
                assert!(
                    (f64::from(*e) - f64::from(*g)).abs() <= allowed,
                    "{what}: weight {id} is {g}, expected {e}"
                );
            }
            let random = philox([params.seed_lo, params.seed_hi], next);
            assert_eq!(
                got.id(),
                choose(&got.weights, params.top_p, params.min_p, random),
                "{what}"
            );
            assert_eq!(
                got.results[(next % RESULT_SLOTS) as usize * 2..][..2],
                [got.id(), STATUS_OK],
                "{what}"
            );
        }
    }
}

/// Filters that leave one token make sampling greedy.
#[test]
fn narrow_filters_leave_the_best() {
    let mut devices = Devices::all();
    let mut random = Random(34);
    let narrow = [
        SamplingParams { top_k: 1, ..PLAIN },
        SamplingParams {
            top_p: 1e-9,
            ..PLAIN
        },
        SamplingParams {
            min_p: 1.0,
            ..PLAIN
        },
        SamplingParams {
            temperature: 2e-4,
            ..PLAIN
        },
    ];
    for params in narrow {
        let logits = random.normals(3000);
        let best = engine::reference::argmax(&logits);
        let Some(got) = Trial::new(params, logits, 77).on(&mut devices) else {
            return;
        };
        assert_eq!(got.id(), best, "{params:?}");
    }
}

#[test]
fn the_penalty_counts_each_recent_token_once() {
    let mut devices = Devices::all();
    for window in [0, 1, 4, 100, 1000] {
        let params = SamplingParams {
            repetition_penalty: 2.0,
            repetition_window: window,
            ..GREEDY
        };
        let mut logits = vec![-1.0; 300];
        // 8 is repeated, 9 is negative, 10 is old, the token of the entry to be written must not count.
        (logits[8], logits[9], logits[10], logits[20]) = (4.0, -3.0, 1.0, 2.5);
        let mut trial = Trial::new(params, logits, 50);
        trial.history[..50].fill(9);
        trial.history[46..50].copy_from_slice(&[8, 9, 8, 8]);
        trial.history[10] = 10;
        trial.history[11] = 5000;
        trial.history[50] = 20;
        trial.check(&mut devices, &format!("window {window}"));
        let after = trial.run(&mut Executor::cpu());
        assert_eq!(
            after.id(),
            if window == 0 { 8 } else { 20 },
            "window {window}"
        );
        let logit = |id: usize| f32::from_bits(after.logits[id]);
        assert_eq!(
            logit(10),
            if window >= 40 { 0.5 } else { 1.0 },
            "window {window}"
        );
    }
}

/// The penalty looks at 256 tokens at most, and at no more than there are.
#[test]
fn the_window_is_bounded() {
    let mut devices = Devices::all();
    let params = SamplingParams {
        repetition_penalty: 2.0,
        repetition_window: u32::MAX,
        ..GREEDY
    };
    let mut trial = Trial::new(params, vec![1.0; 600], 3);
    trial.history = (0..500).collect();
    trial.check(&mut devices, "three tokens");
    trial.step.pos = 399;
    trial.check(&mut devices, "400 tokens");
    let after = trial.run(&mut Executor::cpu());
    let halved: Vec<usize> = (0..600)
        .filter(|&id| after.logits[id] == 0.5_f32.to_bits())
        .collect();
    assert_eq!(halved, (144..400).collect::<Vec<_>>());
}
