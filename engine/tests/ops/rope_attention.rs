use super::rope_kv::HEADS;
use crate::common::{Random, words};
use crate::{Devices, assert_floats, run, step, untouched};
use engine::KvType;
use engine::ops::{Attention, AttentionCombine, Reach, RopeAttention, RopeKv, Tuning, rope_table};
use engine::reference::KvRows;

/// More than one group of chunks.
const CONTEXT: u32 = 1200;

fn op((heads, kv_heads, head_dim): (u32, u32, u32), kv: KvType) -> RopeAttention {
    // Gaps between the parts, as padding to whole tiles leaves them.
    let k_offset = heads * head_dim + 8;
    RopeAttention {
        heads,
        kv_heads,
        head_dim,
        k_offset,
        v_offset: k_offset + kv_heads * head_dim + 4,
        context: CONTEXT,
        kv,
        reach: Reach::All,
        pairs: false,
    }
}

/// `qkv`, `table`, caches that are filled up to the position (the rest is NaN), `partials`.
fn buffers(op: &RopeAttention, position: u32, random: &mut Random) -> Vec<Vec<u32>> {
    let qkv = random.normals((op.v_offset + op.kv_heads * op.head_dim) as usize);
    let head_dim = op.head_dim as usize;
    let rows = KvRows {
        kv: op.kv,
        head_dim,
        n_rows: (op.kv_heads * op.context) as usize,
    };
    let mut caches = [vec![u32::MAX; rows.words()], vec![u32::MAX; rows.words()]];
    for cache in &mut caches {
        for head in 0..op.kv_heads as usize {
            let values = random.normals(position as usize * head_dim);
            rows.store(cache, head * op.context as usize, &values);
        }
    }
    let [k, v] = caches;
    let partials = op.heads as usize * op.context.div_ceil(64) as usize * (head_dim + 4);
    let table = rope_table(10_000.0, op.head_dim, op.context);
    vec![words(&qkv), words(&table), k, v, untouched(partials)]
}

const POSITIONS: [u32; 8] = [0, 1, 63, 64, 199, 1023, 1024, 1199];

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::one();
    let mut random = Random(24);
    for heads in HEADS {
        for position in POSITIONS {
            let op = RopeAttention {
                pairs: random.below(2) == 0,
                ..op(heads, KvType::F32)
            };
            let buffers = buffers(&op, position, &mut random);
            devices.check(&op, &buffers, step(position, 1), |expected, got| {
                let what = format!("{heads:?} at {position}, pairs: {}", op.pairs);
                assert_floats(&what, &expected[4], &got[4], 1e-5);
                // What was not written is NaN on both sides; the token's own position may differ in the last bit.
                let own =
                    (op.head_dim * position) as usize..(op.head_dim * (position + 1)) as usize;
                for cache in [2, 3] {
                    let (e, g) = (&expected[cache], &got[cache]);
                    assert_floats(&what, &e[own.clone()], &g[own.clone()], 1e-6);
                    assert_eq!(e[..own.start], g[..own.start], "{what}: earlier positions");
                    let next = own.end..(op.head_dim * CONTEXT) as usize;
                    assert_eq!(e[next.clone()], g[next], "{what}: later positions");
                }
            });
        }
    }
}

/// With attention_combine it leaves the bits of rope_kv and attention: in the caches and in the result.
#[test]
fn equals_rope_kv_and_attention_bit_for_bit() {
    let mut devices = Devices::one();
    if devices.0.is_empty() {
        return;
    }
    let mut random = Random(25);
    for (i, heads) in HEADS.into_iter().enumerate() {
        devices.set_tuning(Tuning {
            attention_heads: 1 + i as u32 % 4,
            ..Tuning::default()
        });
        for kv in KvType::ALL {
            for position in POSITIONS {
                assert_same_bits(&mut devices, &op(heads, kv), position, &mut random);
            }
        }
    }
}

/// More parts than attention_combine merges at once.
#[test]
fn equals_them_behind_4096_positions() {
    let mut devices = Devices::one();
    if devices.0.is_empty() {
        return;
    }
    let mut random = Random(26);
    for kv in KvType::ALL {
        for position in [4095, 4096, 5250] {
            let op = RopeAttention {
                context: 5300,
                ..op((6, 2, 64), kv)
            };
            assert_same_bits(&mut devices, &op, position, &mut random);
        }
    }
}

fn assert_same_bits(devices: &mut Devices, op: &RopeAttention, position: u32, random: &mut Random) {
    let buffers = buffers(op, position, random);
    let [k, v, out] = in_three_steps(devices, op, &buffers, position);
    for pairs in [false, true] {
        let op = RopeAttention {
            pairs,
            ..op.clone()
        };
        let got = devices.run(&op, &buffers, step(position, 1)).unwrap();
        let shape = (op.heads, op.kv_heads, op.head_dim);
        let what = format!("{shape:?}, {:?} at {position}, pairs: {pairs}", op.kv);
        assert_eq!([&got[2], &got[3]], [&k, &v], "{what}: caches");
        let combine = AttentionCombine {
            heads: op.heads,
            head_dim: op.head_dim,
            context: op.context,
            pairs,
            reach: Reach::All,
        };
        let merged = [got[4].clone(), untouched(out.len())];
        let merged = devices.run(&combine, &merged, step(position, 1)).unwrap();
        assert_eq!(merged[1], out, "{what}: result");
    }
}

/// Caches and result by the kernels of prefill.
fn in_three_steps(
    devices: &mut Devices,
    op: &RopeAttention,
    b: &[Vec<u32>],
    position: u32,
) -> [Vec<u32>; 3] {
    let (_, executor) = devices.0.first_mut().unwrap();
    let rope = RopeKv {
        heads: op.heads,
        kv_heads: op.kv_heads,
        head_dim: op.head_dim,
        stride: op.v_offset + op.kv_heads * op.head_dim,
        k_offset: op.k_offset,
        v_offset: op.v_offset,
        context: op.context,
        kv: op.kv,
        max_tokens: 1,
    };
    let width = (op.heads * op.head_dim) as usize;
    let q = untouched(width);
    let rope_buffers = [b[0].clone(), b[1].clone(), q, b[2].clone(), b[3].clone()];
    let rotated = run(executor, rope, &rope_buffers, step(position, 1));
    let attention = Attention {
        heads: op.heads,
        kv_heads: op.kv_heads,
        head_dim: op.head_dim,
        context: op.context,
        kv: op.kv,
        max_tokens: 1,
    };
    let [q, k, v] = [2, 3, 4].map(|i| rotated[i].clone());
    let inputs = [q, k.clone(), v.clone(), untouched(width)];
    let out = run(executor, attention, &inputs, step(position, 1));
    [k, v, out[3].clone()]
}
