use super::ternary_gemv::{EPILOGUES, buffers, limit, tiled_shapes};
use crate::common::Random;
use crate::{Devices, assert_floats, step};
use engine::ops::{TernaryGemm, TernaryGemv, Tuning};

/// Room for tokens in the buffers; runs are shorter, and the rest must be left alone.
const MAX_TOKENS: usize = 20;

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::all();
    let mut random = Random(7);
    for (n_rows, k_padded, rows_per_tile) in tiled_shapes() {
        for n_tokens in [1, 8, 17] {
            for epilogue in EPILOGUES {
                let product = TernaryGemv {
                    n_rows,
                    k_padded,
                    rows_per_tile,
                    epilogue,
                };
                let buffers = buffers(&product, MAX_TOKENS, &mut random);
                let op = TernaryGemm {
                    product,
                    max_tokens: MAX_TOKENS as u32,
                };
                devices.check(&op, &buffers, step(0, n_tokens), |expected, got| {
                    let what = format!("{n_rows} x {k_padded}, tile {rows_per_tile}, {n_tokens} tokens, {epilogue:?}");
                    assert_floats(&what, &expected[4], &got[4], limit(epilogue));
                });
            }
        }
    }
}

/// Prefill and decode must leave the same state: each row of a batch has the bits of the single product.
#[test]
fn rows_have_the_bits_of_the_single_product() {
    let mut devices = Devices::all();
    let mut random = Random(8);
    for (n_rows, k_padded, rows_per_tile) in tiled_shapes() {
        for epilogue in EPILOGUES {
            let single = TernaryGemv {
                n_rows,
                k_padded,
                rows_per_tile,
                epilogue,
            };
            let batch = TernaryGemm {
                product: single.clone(),
                max_tokens: 9,
            };
            let all = buffers(&single, 9, &mut random);
            let Some(got) = devices.run(&batch, &all, step(0, 9)) else {
                return;
            };
            for t in [0, 5, 8] {
                let part = |buffer: &[u32]| -> Vec<u32> {
                    let len = buffer.len() / 9;
                    buffer[t * len..(t + 1) * len].to_vec()
                };
                let one = vec![
                    all[0].clone(),
                    all[1].clone(),
                    part(&all[2]),
                    part(&all[3]),
                    part(&all[4]),
                ];
                let expected = devices.run(&single, &one, step(0, 1)).unwrap();
                let what =
                    format!("{n_rows} x {k_padded}, tile {rows_per_tile}, {epilogue:?}, token {t}");
                assert_eq!(expected[4], part(&got[4]), "{what}");
            }
        }
    }
}

#[test]
fn tuning_changes_no_bit() {
    let mut devices = Devices::all();
    let mut random = Random(9);
    for epilogue in EPILOGUES {
        let product = TernaryGemv {
            n_rows: 300,
            k_padded: 576,
            rows_per_tile: 16,
            epilogue,
        };
        let buffers = buffers(&product, 10, &mut random);
        let op = TernaryGemm {
            product,
            max_tokens: 10,
        };
        devices.set_tuning(Tuning::default());
        let Some(expected) = devices.run(&op, &buffers, step(0, 10)) else {
            return;
        };
        for gemm_workgroup in [32, 128, 256] {
            devices.set_tuning(Tuning {
                gemm_workgroup,
                ..Tuning::default()
            });
            assert_eq!(
                expected[4],
                devices.run(&op, &buffers, step(0, 10)).unwrap()[4],
                "workgroup {gemm_workgroup}"
            );
        }
    }
}
