use crate::common::{Random, words};
use crate::{Devices, step, untouched};
use engine::ops::{LogitScan, SamplingParams};
use engine::reference::NOT_FINITE;

const PARAMS: SamplingParams = SamplingParams {
    temperature: 0.0,
    top_p: 1.0,
    min_p: 0.0,
    repetition_penalty: 1.5,
    top_k: 0,
    repetition_window: 100,
    seed_lo: 0,
    seed_hi: 0,
};

/// `sampling`, `logits`, `history`, `found` of a run at position `next`.
fn buffers(op: &LogitScan, logits: &[f32], random: &mut Random) -> Vec<Vec<u32>> {
    // Few different tokens, so that many are repeated, and one that is none.
    let history = (0..=op.context).map(|i| match i % 7 {
        0 => u32::MAX,
        _ => random.below(op.vocab.min(40)) * (op.vocab / op.vocab.min(40)),
    });
    vec![
        bytemuck::pod_collect_to_vec(bytemuck::bytes_of(&PARAMS)),
        words(logits),
        history.collect(),
        untouched(engine::ops::found_bytes(op.vocab) as usize / 4),
    ]
}

/// Comparisons and one multiplication or division each: the bits of the reference.
#[test]
fn equals_the_reference() {
    let mut devices = Devices::all();
    let mut random = Random(40);
    for vocab in [1, 3, 257, 511, 512, 513, 32_002, 128_256] {
        for next in [1, 40, 180] {
            let op = LogitScan {
                vocab,
                context: 200,
            };
            let logits = random.normals(vocab as usize);
            let buffers = buffers(&op, &logits, &mut random);
            devices.check(&op, &buffers, step(next - 1, 1), |expected, got| {
                let what = format!("vocabulary of {vocab} at {next}");
                // WGSL allows a division 2.5 units in the last place.
                for (e, g) in expected[1].iter().zip(&got[1]) {
                    assert!(e.abs_diff(*g) <= 3, "{what}: logit {e:#x}, {g:#x}");
                }
                for (e, g) in expected[3].chunks_exact(2).zip(got[3].chunks_exact(2)) {
                    assert!(e[0].abs_diff(g[0]) <= 3, "{what}: key");
                    assert_eq!(e[1], g[1], "{what}: id");
                }
            });
        }
    }
}

#[test]
fn only_the_segment_of_a_bad_logit_is_marked() {
    let mut devices = Devices::all();
    let op = LogitScan {
        vocab: 6000,
        context: 200,
    };
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut logits = vec![0.5; 6000];
        logits[600] = bad;
        let buffers = buffers(&op, &logits, &mut Random(41));
        if let Some(got) = devices.run(&op, &buffers, step(0, 1)) {
            let [before, marked, after] = [0, 2, 4].map(|at| got[3][at] == NOT_FINITE);
            assert!(!before && marked && !after, "{bad}");
        }
    }
}
