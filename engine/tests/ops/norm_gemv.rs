use super::ternary_gemv::{EPILOGUES, codes, tiled_shapes};
use crate::common::{Random, words};
use crate::{Devices, assert_floats, run, step, untouched};
use engine::ops::{NormGemv, NormQuantize, TernaryGemv, Tuning};

fn op(
    (n_rows, width, rows_per_tile): (u32, u32, u32),
    (norm, add_delta): (bool, bool),
) -> NormGemv {
    NormGemv {
        product: TernaryGemv {
            n_rows,
            k_padded: width.next_multiple_of(64),
            rows_per_tile,
            epilogue: engine::ops::Epilogue::Store,
        },
        width,
        eps: 1e-5,
        norm,
        add_delta,
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
        words(&random.normals(width)),
        untouched(width),
        untouched(op.product.n_rows as usize),
    ]
}

/// The same by norm_quantize and ternary_gemv on the first device: the updated row and the product.
fn in_two_steps(devices: &mut Devices, op: &NormGemv, b: &[Vec<u32>]) -> Option<[Vec<u32>; 2]> {
    let (_, executor) = devices.0.first_mut()?;
    let k_padded = op.product.k_padded;
    let norm = NormQuantize {
        width: op.width,
        k_padded,
        eps: op.eps,
        norm: op.norm,
        add_delta: op.add_delta,
        max_tokens: 1,
    };
    let q = untouched(k_padded as usize / 4);
    let (x, delta, gain) = (b[2].clone(), b[3].clone(), b[4].clone());
    let quantised = run(
        executor,
        norm,
        &[x, delta, gain, q, untouched(2)],
        step(0, 1),
    );
    let (q, rows) = (quantised[3].clone(), quantised[4].clone());
    let product = [b[0].clone(), b[1].clone(), q, rows, b[6].clone()];
    let product = run(executor, op.product.clone(), &product, step(0, 1));
    Some([quantised[0].clone(), product[4].clone()])
}

const FLAGS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

/// On every device the bits of the two kernels that it replaces.
#[test]
fn equals_norm_quantize_and_ternary_gemv_bit_for_bit() {
    let mut devices = Devices::all();
    let mut random = Random(11);
    for (i, (n_rows, k_padded, tile)) in tiled_shapes().into_iter().step_by(2).enumerate() {
        // Widths that are no multiple of 64 too.
        let width = k_padded - 4 * (i as u32 % 3);
        let mut op = op((n_rows, width, tile), FLAGS[i % 4]);
        op.product.epilogue = EPILOGUES[i % 3];
        let buffers = buffers(&op, &mut random);
        let Some([x, y]) = in_two_steps(&mut devices, &op, &buffers) else {
            return;
        };
        let got = devices.run(&op, &buffers, step(0, 1)).unwrap();
        assert_eq!(got[6], y, "{op:?}: y");
        let expected_x = if op.add_delta { &x } else { &buffers[5] };
        assert_eq!(got[5], *expected_x, "{op:?}: x_out");
        assert_eq!(got[2], buffers[2], "{op:?}: x is left alone");
    }
}

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::all();
    let mut random = Random(12);
    for shape in [(17, 64, 8), (100, 572, 8), (33, 5500, 16)] {
        for flags in FLAGS {
            let op = op(shape, flags);
            let buffers = buffers(&op, &mut random);
            devices.check(&op, &buffers, step(0, 1), |expected, got| {
                let what = format!("{shape:?}, {flags:?}");
                assert_floats(&what, &expected[6], &got[6], CODE_NEXT_TO_A_TIE);
            });
        }
    }
}

/// A code that flips next to a tie changes a sum of some hundred codes by one: the equality above is exact, this only
/// compares it with arithmetic that is not the device's.
const CODE_NEXT_TO_A_TIE: f64 = 2e-3;

/// Every split of a row over invocations gives the same bits, also with more quads than are loaded ahead.
#[test]
fn every_tuning_gives_the_same_bits() {
    let mut devices = Devices::all();
    let mut random = Random(13);
    let op = op((40, 1084, 8), (true, true));
    let buffers = buffers(&op, &mut random);
    let expected = devices.run(&op, &buffers, step(0, 1));
    for gemv_slices in [32, 8, 4, 2] {
        devices.set_tuning(Tuning {
            gemv_slices,
            ..Tuning::default()
        });
        let got = devices.run(&op, &buffers, step(0, 1));
        assert_eq!(expected, got, "{gemv_slices} slices");
    }
}

#[test]
fn a_nan_reaches_the_product() {
    let mut devices = Devices::all();
    let op = op((8, 64, 8), (true, true));
    let mut buffers = buffers(&op, &mut Random(14));
    buffers[2][37] = f32::NAN.to_bits();
    if let Some(got) = devices.run(&op, &buffers, step(0, 1)) {
        assert!(got[6].iter().all(|&y| f32::from_bits(y).is_nan()));
    }
}
