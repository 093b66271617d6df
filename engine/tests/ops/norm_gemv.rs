use super::attention_combine::{partials, parts_with_a_nan};
use super::ternary_gemv::{EPILOGUES, codes, tiled_shapes};
use crate::common::{Random, words};
use crate::{Devices, assert_floats, run, shared_out, step, untouched};
use engine::Executor;
use engine::ops::{
    AttentionCombine, Epilogue, Merged, NormGemv, NormQuantize, Op as _, Reach, TernaryGemv, Tuning,
};

fn op((n_rows, width, rows_per_tile): (u32, u32, u32), norm: bool) -> NormGemv {
    NormGemv {
        product: TernaryGemv {
            n_rows,
            k_padded: width.next_multiple_of(64),
            rows_per_tile,
            epilogue: Epilogue::Store,
        },
        width,
        eps: 1e-5,
        norm,
        merged: None,
        reach: Reach::All,
    }
}

fn buffers(op: &NormGemv, random: &mut Random) -> Vec<Vec<u32>> {
    let width = op.width as usize;
    let gammas = (op.product.rows_padded() * op.product.epilogue.n_matrices()) as usize;
    let gamma: Vec<f32> = (0..gammas).map(|_| 0.5 + random.unit().abs()).collect();
    vec![
        codes(random, op.product.weight_bytes() / 4),
        words(&gamma),
        words(&random.normals(width)),
        words(&random.normals(width)),
        words(&random.normals(op.product.n_rows as usize)),
    ]
}

/// The product of a row by norm_quantize and ternary_gemv on the first device.
fn in_two_steps(
    devices: &mut Devices,
    op: &NormGemv,
    b: &[Vec<u32>],
    x: &[u32],
) -> Option<Vec<u32>> {
    let (_, executor) = devices.0.first_mut()?;
    let k_padded = op.product.k_padded;
    let norm = NormQuantize {
        width: op.width,
        k_padded,
        eps: op.eps,
        norm: op.norm,
        max_tokens: 1,
    };
    let q = untouched(k_padded as usize / 4);
    let inputs = [x.to_vec(), b[3].clone(), q, untouched(2)];
    let quantised = run(executor, norm, &inputs, step(0, 1));
    let (q, rows) = (quantised[2].clone(), quantised[3].clone());
    let product = [b[0].clone(), b[1].clone(), q, rows, b[4].clone()];
    let product = run(executor, op.product.clone(), &product, step(0, 1));
    Some(product[4].clone())
}

/// On every device the bits of the two kernels that it replaces.
#[test]
fn equals_norm_quantize_and_ternary_gemv_bit_for_bit() {
    let mut devices = Devices::all();
    let mut random = Random(11);
    for (i, (n_rows, k_padded, tile)) in tiled_shapes().into_iter().step_by(2).enumerate() {
        // Widths that are no multiple of 64 too.
        let width = k_padded - 4 * (i as u32 % 3);
        let mut op = op((n_rows, width, tile), i % 2 == 0);
        op.product.epilogue = EPILOGUES[i % EPILOGUES.len()];
        let buffers = buffers(&op, &mut random);
        let Some(y) = in_two_steps(&mut devices, &op, &buffers, &buffers[2]) else {
            return;
        };
        let got = devices.run(&op, &buffers, step(0, 1)).unwrap();
        assert_eq!(got[4], y, "{op:?}: y");
        assert_eq!(got[2], buffers[2], "{op:?}: x is left alone");
    }
}

/// The row that attention has left in parts of one group: the bits of attention_combine, norm_quantize and ternary_gemv.
#[test]
fn merges_as_attention_combine_does_bit_for_bit() {
    let mut devices = Devices::all();
    let mut random = Random(15);
    for (heads, head_dim, pairs) in [
        (4, 128, false),
        (4, 128, true),
        (3, 64, false),
        (4, 36, true),
        (5, 32, false),
    ] {
        let mut op = op((40, heads * head_dim, 8), true);
        op.product.epilogue = Epilogue::Add;
        let merged = Merged {
            heads,
            head_dim,
            context: 1300,
            pairs,
        };
        for pos in [0, 63, 64, 130, 400, 470, 895, 1023] {
            let combine = AttentionCombine {
                heads,
                head_dim,
                context: 1300,
                pairs,
                reach: Reach::All,
            };
            let row = untouched((heads * head_dim) as usize);
            let left = vec![partials(&combine, pos, &mut random), row];
            let Some(whole) = devices.run(&combine, &left, step(pos, 1)) else {
                return;
            };
            let mut buffers = buffers(&op, &mut random);
            let expected = in_two_steps(&mut devices, &op, &buffers, &whole[1]).unwrap();
            let fused = NormGemv {
                merged: Some(merged),
                reach: Reach::Short,
                ..op.clone()
            };
            buffers[2].clone_from(&left[0]);
            let got = devices.run(&fused, &buffers, step(pos, 1)).unwrap();
            assert_eq!(
                got[4], expected,
                "{heads} heads of {head_dim} at {pos}, pairs: {pairs}"
            );
            devices.check(&fused, &buffers, step(pos, 1), |expected, got| {
                let what = format!("{heads} heads of {head_dim} at {pos}, pairs: {pairs}");
                assert_floats(&what, &expected[4], &got[4], CODE_NEXT_TO_A_TIE);
            });
        }
    }
}

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::all();
    let mut random = Random(12);
    for shape in [(17, 64, 8), (100, 572, 8), (33, 5500, 16)] {
        for norm in [false, true] {
            let op = op(shape, norm);
            let buffers = buffers(&op, &mut random);
            devices.check(&op, &buffers, step(0, 1), |expected, got| {
                let what = format!("{shape:?}, norm {norm}");
                assert_floats(&what, &expected[4], &got[4], CODE_NEXT_TO_A_TIE);
            });
        }
    }
}

/// A code that flips next to a tie changes a sum of some hundred codes by one: the equality above is exact, this only
/// compares it with arithmetic that is not the device's.
const CODE_NEXT_TO_A_TIE: f64 = 2e-3;

/// Every split of a row over invocations, and every number of them, gives the same bits, also with more quads than are loaded
/// ahead.
#[test]
fn every_tuning_gives_the_same_bits() {
    let mut devices = Devices::all();
    let mut random = Random(13);
    for (width, epilogue) in [(1084, Epilogue::Silu), (5500, Epilogue::Add)] {
        let mut op = op((40, width, 8), true);
        op.product.epilogue = epilogue;
        let buffers = buffers(&op, &mut random);
        let expected = devices.run(&op, &buffers, step(0, 1));
        let lanes = devices.0.first().map_or(0, |(_, executor)| match executor {
            Executor::Gpu(gpu) => gpu.tuning().subgroup_lanes,
            Executor::Cpu(_) => 0,
        });
        for (workgroup, slices, rows, subgroup_lanes) in [
            (512, 32, 2, lanes),
            (384, 16, 1, lanes),
            (1024, 16, 1, 0),
            (256, 4, 4, lanes),
            (96, 24, 3, lanes),
            (128, 16, 2, 0),
        ] {
            devices.set_tuning(Tuning {
                subgroup_lanes,
                ..shared_out((workgroup, slices, rows))
            });
            let got = devices.run(&op, &buffers, step(0, 1));
            let what = format!("{workgroup} invocations, {slices} slices, {rows} rows");
            assert_eq!(expected, got, "{what}, {subgroup_lanes} lanes");
        }
    }
}

#[test]
fn a_nan_reaches_the_product() {
    let mut devices = Devices::all();
    let op = op((8, 64, 8), true);
    let mut buffers = buffers(&op, &mut Random(14));
    buffers[2][37] = f32::NAN.to_bits();
    if let Some(got) = devices.run(&op, &buffers, step(0, 1)) {
        assert!(got[4].iter().all(|&y| f32::from_bits(y).is_nan()));
    }
}

/// What no longer is a number stays so, whichever part it is in.
#[test]
fn a_nan_in_a_part_reaches_the_product() {
    let mut devices = Devices::all();
    let mut random = Random(16);
    for pairs in [false, true] {
        let (heads, head_dim, context, pos) = (2, 32, 1024, 700);
        let merged = Merged {
            heads,
            head_dim,
            context,
            pairs,
        };
        let op = NormGemv {
            merged: Some(merged),
            reach: Reach::Short,
            ..op((8, heads * head_dim, 8), true)
        };
        let combine = AttentionCombine {
            heads,
            head_dim,
            context,
            pairs,
            reach: Reach::All,
        };
        let sound = partials(&combine, pos, &mut random);
        for at in parts_with_a_nan(&combine, pos) {
            let mut buffers = buffers(&op, &mut random);
            buffers[2].clone_from(&sound);
            buffers[2][at] = f32::NAN.to_bits();
            if let Some(got) = devices.run(&op, &buffers, step(pos, 1)) {
                let all = got[4].iter().all(|&y| f32::from_bits(y).is_nan());
                assert!(all, "word {at}, pairs: {pairs}");
            }
        }
    }
}

#[test]
fn more_than_a_group_is_not_merged() {
    let merged = |context| Merged {
        heads: 2,
        head_dim: 32,
        context,
        pairs: false,
    };
    let fused = |context, reach| NormGemv {
        merged: Some(merged(context)),
        reach,
        ..op((8, 64, 8), true)
    };
    let sizes = [1 << 20; 5];
    assert!(fused(1024, Reach::All).check(&sizes).is_ok());
    assert!(fused(1025, Reach::Short).check(&sizes).is_ok());
    for reach in [Reach::All, Reach::Long] {
        let refused = fused(1025, reach).check(&sizes).unwrap_err();
        let expected = "positions that are merged";
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}
