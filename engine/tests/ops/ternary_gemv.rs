use crate::common::{Random, words};
use crate::{Devices, assert_floats, shared_out, step, untouched};
use engine::ops::{Epilogue, TernaryGemv};

/// Random codes 0..=2 in B2 words.
pub(super) fn codes(random: &mut Random, n_words: u64) -> Vec<u32> {
    (0..n_words)
        .map(|_| (0..16).fold(0, |word, i| word | random.below(3) << (2 * i)))
        .collect()
}

/// Buffers of a product with `n` int8 rows.
pub(super) fn buffers(op: &TernaryGemv, n: usize, random: &mut Random) -> Vec<Vec<u32>> {
    let k = op.k_padded as usize;
    let gammas = (op.rows_padded() * op.epilogue.n_matrices()) as usize;
    let gamma: Vec<f32> = (0..gammas).map(|_| 0.5 + random.unit().abs()).collect();
    let mut q = Vec::new();
    let mut rows = Vec::new();
    for _ in 0..n {
        let row: Vec<i8> = (0..k)
            .map(|_| (random.below(255).cast_signed() - 127) as i8)
            .collect();
        rows.push((0.01 + random.unit().abs()).to_bits());
        rows.push(
            row.iter()
                .map(|&q| i32::from(q))
                .sum::<i32>()
                .cast_unsigned(),
        );
        q.extend(bytemuck::pod_collect_to_vec::<i8, u32>(&row));
    }
    let outputs = n * op.n_rows as usize;
    let y = match op.epilogue {
        Epilogue::Add => words(&random.normals(outputs)),
        Epilogue::Store | Epilogue::Relu2 | Epilogue::Silu => untouched(outputs),
    };
    vec![
        codes(random, op.weight_bytes() / 4),
        words(&gamma),
        q,
        rows,
        y,
    ]
}

/// Row counts and widths of real and of awkward matrices.
pub(super) const SHAPES: [(u32, u32); 7] = [
    (1, 64),
    (3, 128),
    (17, 64),
    (100, 576),
    (400, 1088),
    (1080, 320),
    (33, 5504),
];

/// The shapes with their row interleavings: all for the small ones.
pub(super) fn tiled_shapes() -> Vec<(u32, u32, u32)> {
    let mut out = Vec::new();
    for (i, (n_rows, k_padded)) in SHAPES.into_iter().enumerate() {
        let tiles: &[u32] = if i < 4 { &[1, 4, 16, 32] } else { &[16] };
        out.extend(tiles.iter().map(|&tile| (n_rows, k_padded, tile)));
    }
    out.push((1080, 320, 32));
    out
}

pub(super) const EPILOGUES: [Epilogue; 4] = [
    Epilogue::Store,
    Epilogue::Add,
    Epilogue::Relu2,
    Epilogue::Silu,
];

/// `1 / (1 + exp(-x))` is where device and reference differ most.
pub(super) fn limit(epilogue: Epilogue) -> f64 {
    if epilogue == Epilogue::Silu {
        1e-5
    } else {
        1e-6
    }
}

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::all();
    let mut random = Random(3);
    for (n_rows, k_padded, rows_per_tile) in tiled_shapes() {
        for epilogue in EPILOGUES {
            let op = TernaryGemv {
                n_rows,
                k_padded,
                rows_per_tile,
                epilogue,
            };
            let buffers = buffers(&op, 1, &mut random);
            devices.check(&op, &buffers, step(7, 1), |expected, got| {
                let what = format!("{n_rows} x {k_padded}, tile {rows_per_tile}, {epilogue:?}");
                assert_floats(&what, &expected[4], &got[4], limit(epilogue));
            });
        }
    }
}

/// With gamma 1 and amax 127 the result is the integer itself.
#[test]
fn integers_are_exact() {
    let mut devices = Devices::all();
    let mut random = Random(4);
    for (n_rows, k_padded) in SHAPES {
        let op = TernaryGemv {
            n_rows,
            k_padded,
            rows_per_tile: 16,
            epilogue: Epilogue::Store,
        };
        let mut buffers = buffers(&op, 1, &mut random);
        buffers[1].fill(1.0_f32.to_bits());
        buffers[3][0] = 127.0_f32.to_bits();
        devices.check(&op, &buffers, step(0, 1), |expected, got| {
            assert_eq!(expected[4], got[4], "{n_rows} x {k_padded}")
        });
    }
}

/// Extreme codes and activations of the longest row: the sums are the largest that occur.
#[test]
fn extremes_do_not_overflow() {
    let mut devices = Devices::all();
    let op = TernaryGemv {
        n_rows: 16,
        k_padded: 23_040,
        rows_per_tile: 16,
        epilogue: Epilogue::Store,
    };
    let k = op.k_padded as usize;
    for (code, q) in [(0xAAAA_AAAA_u32, -128_i8), (0xAAAA_AAAA, 127), (0, -128)] {
        let sum = i32::from(q) * op.k_padded.cast_signed();
        let q = bytemuck::pod_collect_to_vec::<i8, u32>(&vec![q; k]);
        let rows = vec![127.0_f32.to_bits(), sum.cast_unsigned()];
        let buffers = vec![vec![code; k], words(&[1.0; 16]), q, rows, untouched(16)];
        if let Some(got) = devices.run(&op, &buffers, step(0, 1)) {
            let expected = if code == 0 { -sum } else { sum };
            assert_eq!(got[4], words(&[expected as f32; 16]), "code word {code:#x}");
        }
    }
}

/// The same bits, however `op` is shared out.
fn assert_shares_change_no_bit(op: &TernaryGemv, shares: &[(u32, u32, u32)], seed: u64) {
    let mut devices = Devices::all();
    let buffers = buffers(op, 1, &mut Random(seed));
    let Some(expected) = devices.run(op, &buffers, step(0, 1)) else {
        return;
    };
    for &share in shares {
        devices.set_tuning(shared_out(share));
        let got = devices.run(op, &buffers, step(0, 1)).unwrap();
        assert_eq!(expected[4], got[4], "{:?}, {share:?}", op.epilogue);
    }
}

#[test]
fn tuning_changes_no_bit() {
    for epilogue in EPILOGUES {
        let op = TernaryGemv {
            n_rows: 100,
            k_padded: 576,
            rows_per_tile: 16,
            epilogue,
        };
        let shares = [
            (96, 1, 2),
            (96, 4, 3),
            (96, 16, 2),
            (256, 1, 2),
            (256, 4, 3),
            (256, 16, 2),
        ];
        assert_shares_change_no_bit(&op, &shares, 5);
    }
}

/// What is meant for large cards, and more quads than an invocation loads ahead.
#[test]
fn tuning_changes_no_bit_of_long_rows() {
    for epilogue in [Epilogue::Add, Epilogue::Silu] {
        let op = TernaryGemv {
            n_rows: 33,
            k_padded: 5504,
            rows_per_tile: 8,
            epilogue,
        };
        let shares = [(448, 56, 1), (160, 20, 1), (256, 4, 3)];
        assert_shares_change_no_bit(&op, &shares, 7);
    }
}

/// More workgroups than one grid dimension holds.
#[test]
fn rows_beyond_one_grid_dimension() {
    let mut devices = Devices::one();
    devices.set_tuning(shared_out((1, 1, 1)));
    let mut random = Random(6);
    let op = TernaryGemv {
        n_rows: 65_600,
        k_padded: 64,
        rows_per_tile: 16,
        epilogue: Epilogue::Store,
    };
    let buffers = buffers(&op, 1, &mut random);
    devices.check(&op, &buffers, step(0, 1), |expected, got| {
        assert_floats("65600 rows", &expected[4], &got[4], 1e-6)
    });
}
