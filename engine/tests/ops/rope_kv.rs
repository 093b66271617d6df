use crate::common::{Random, words};
use crate::{Devices, UNTOUCHED, assert_floats, step, untouched};
use engine::KvType;
use engine::ops::{RopeKv, rope_table};
use engine::reference::KvRows;

/// Query heads, key-value heads, head dimension.
pub(super) const HEADS: [(u32, u32, u32); 7] = [
    (1, 1, 4),
    (2, 1, 16),
    (6, 2, 64),
    (3, 3, 96),
    (4, 4, 100),
    (4, 1, 128),
    (4, 2, 256),
];

const CONTEXT: u32 = 40;
const MAX_TOKENS: u32 = 6;

fn op((heads, kv_heads, head_dim): (u32, u32, u32), kv: KvType) -> RopeKv {
    // Gaps between the parts, as padding to whole tiles leaves them.
    let k_offset = heads * head_dim + 8;
    let v_offset = k_offset + kv_heads * head_dim + 4;
    let stride = v_offset + kv_heads * head_dim + 12;
    RopeKv {
        heads,
        kv_heads,
        head_dim,
        stride,
        k_offset,
        v_offset,
        context: CONTEXT,
        kv,
        max_tokens: MAX_TOKENS,
    }
}

fn rows(op: &RopeKv) -> KvRows {
    KvRows {
        kv: op.kv,
        head_dim: op.head_dim as usize,
        n_rows: (op.kv_heads * op.context) as usize,
    }
}

fn buffers(op: &RopeKv, random: &mut Random) -> Vec<Vec<u32>> {
    let qkv = random.normals((MAX_TOKENS * op.stride) as usize);
    let table = rope_table(10_000.0, op.head_dim, CONTEXT);
    let q = untouched((MAX_TOKENS * op.heads * op.head_dim) as usize);
    vec![
        words(&qkv),
        words(&table),
        q,
        untouched(rows(op).words()),
        untouched(rows(op).words()),
    ]
}

/// Fails unless the same words were written and their halves are at most one representable value apart: the device may
/// round a half otherwise than the reference, and its input may differ in the last bit.
#[track_caller]
fn assert_halves(what: &str, expected: &[u32], got: &[u32]) {
    let ordered = |bits: u32| {
        let magnitude = (bits & 0x7FFF).cast_signed();
        if bits & 0x8000 == 0 {
            magnitude
        } else {
            -magnitude
        }
    };
    for (i, (&e, &g)) in expected.iter().zip(got).enumerate() {
        assert_eq!(
            e == UNTOUCHED,
            g == UNTOUCHED,
            "{what}: word {i} is {e:#x} in the reference, {g:#x} on the device"
        );
        for (e, g) in [(e & 0xFFFF, g & 0xFFFF), (e >> 16, g >> 16)] {
            assert!(
                e == g || (ordered(e) - ordered(g)).abs() <= 1,
                "{what}: word {i}: half {g:#x}, expected {e:#x}"
            );
        }
    }
}

/// Fails unless the same rows of bytes were written, with nearly the same scale and codes at most one apart, which only few are.
#[track_caller]
fn assert_codes(what: &str, op: &RopeKv, expected: &[u32], got: &[u32]) {
    let codes = rows(op).n_rows * rows(op).row_words();
    assert_floats(what, &expected[codes..], &got[codes..], 1e-6);
    let (mut written, mut differing) = (0, 0);
    for (i, (e, g)) in expected[..codes].iter().zip(got).enumerate() {
        written += usize::from(*e != UNTOUCHED);
        for (e, g) in e.to_le_bytes().into_iter().zip(g.to_le_bytes()) {
            let apart = (i32::from(e.cast_signed()) - i32::from(g.cast_signed())).abs();
            assert!(apart <= 1, "{what}: word {i}: code {g:#x}, expected {e:#x}");
            differing += usize::try_from(apart).unwrap();
        }
    }
    assert!(
        differing * 100 <= written * 4,
        "{what}: {differing} codes differ"
    );
}

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::one();
    let mut random = Random(15);
    for heads in HEADS {
        for kv in KvType::ALL {
            for (pos, n) in [(0, 1), (0, 6), (17, 5), (39, 1)] {
                let op = op(heads, kv);
                let what = format!("{heads:?}, {kv:?}, {n} tokens from {pos}");
                devices.check(
                    &op,
                    &buffers(&op, &mut random),
                    step(pos, n),
                    |expected, got| {
                        assert_floats(&what, &expected[2], &got[2], 1e-6);
                        match kv {
                            KvType::F32 => {
                                assert_floats(&what, &expected[3], &got[3], 1e-6);
                                assert_eq!(expected[4], got[4], "{what}: values are copied");
                            }
                            KvType::F16 => {
                                assert_halves(&what, &expected[3], &got[3]);
                                assert_halves(&what, &expected[4], &got[4]);
                            }
                            KvType::I8 => {
                                assert_codes(&what, &op, &expected[3], &got[3]);
                                assert_codes(&what, &op, &expected[4], &got[4]);
                            }
                        }
                    },
                );
            }
        }
    }
}

/// A run in one piece leaves the bits of the same tokens one by one.
#[test]
fn tokens_have_the_bits_of_single_runs() {
    let mut devices = Devices::one();
    let mut random = Random(16);
    for kv in KvType::ALL {
        let op = op((4, 2, 100), kv);
        let all = buffers(&op, &mut random);
        let Some(batch) = devices.run(&op, &all, step(11, 6)) else {
            return;
        };
        let (stride, width) = (op.stride as usize, (op.heads * op.head_dim) as usize);
        let (mut k, mut v) = (all[3].clone(), all[4].clone());
        for t in 0..6_usize {
            let single = RopeKv {
                max_tokens: 1,
                ..op.clone()
            };
            let qkv = all[0][t * stride..(t + 1) * stride].to_vec();
            let one = vec![qkv, all[1].clone(), untouched(width), k, v];
            let mut got = devices.run(&single, &one, step(11 + t as u32, 1)).unwrap();
            v = got.pop().unwrap();
            k = got.pop().unwrap();
            assert_eq!(
                got[2],
                batch[2][t * width..(t + 1) * width],
                "{kv:?}, query of token {t}"
            );
        }
        assert_eq!((&k, &v), (&batch[3], &batch[4]), "{kv:?}, caches");
    }
}

/// Rows of codes with ties, of zeros, of hardly anything, of huge values and of NaN, as the reference stores them. The values'
/// arithmetic leaves no choice: all of it is rounded correctly, but for 127 / amax, which is a power of two here.
#[test]
fn codes_of_special_rows_are_those_of_the_reference() {
    let mut devices = Devices::one();
    let op = op((1, 1, 16), KvType::I8);
    let ties = |step: f32| {
        (0..16)
            .map(move |i| (i as f32 * 8.0 - 63.5) * step)
            .chain([127.0 * step])
            .skip(1)
    };
    let special: [Vec<f32>; 6] = [
        ties(1.0).collect(),
        ties(-(2.0_f32.powi(-60))).collect(),
        vec![0.0; 16],
        vec![-1e-33; 16],
        ties(2.0_f32.powi(120)).collect(),
        ties(1.0)
            .map(|x| if x == 0.5 { f32::NAN } else { x })
            .collect(),
    ];
    let mut all = buffers(&op, &mut Random(31));
    for (t, values) in special.iter().enumerate() {
        let at = t * op.stride as usize + op.v_offset as usize;
        all[0][at..at + 16].copy_from_slice(&words(values));
    }
    devices.check(&op, &all, step(0, 6), |expected, got| {
        let load = |cache: &[u32]| -> Vec<f32> { rows(&op).load(cache, 0, 6) };
        let (e, g) = (load(&expected[4]), load(&got[4]));
        assert_eq!(e[..5 * 16], g[..5 * 16]);
        assert!(e[..5 * 16].iter().all(|x| x.is_finite()));
        assert!(g[5 * 16..].iter().all(|x| x.is_nan()), "{g:?}");
    });
}

/// Tokens past the end of the cache write nothing.
#[test]
fn the_end_of_the_cache_is_kept() {
    let mut devices = Devices::one();
    let op = op((2, 2, 16), KvType::F16);
    devices.check(
        &op,
        &buffers(&op, &mut Random(17)),
        step(38, 5),
        |expected, got| {
            assert_halves("keys", &expected[3], &got[3]);
            assert_halves("values", &expected[4], &got[4]);
            assert_floats("queries", &expected[2], &got[2], 1e-6);
        },
    );
}
