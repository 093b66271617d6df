use super::embed::{ENCODINGS, table};
use crate::common::{Random, words};
use crate::{Devices, assert_floats, untouched};
use engine::Rows;
use engine::ops::{LmHead, Step};

fn step(n_logits: u32) -> Step {
    Step {
        pos: 5,
        n_tokens: n_logits,
        logit_row: 0,
        n_logits,
    }
}

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::one();
    let mut random = Random(12);
    for (rows, group) in ENCODINGS {
        for (hidden, n_rows) in [
            (4, 3),
            (64, 8),
            (72, 33),
            (100, 50),
            (576, 70),
            (2560, 9),
            (4096, 17),
        ] {
            let (codes, scales) = table(rows, group, hidden, n_rows, &mut random);
            let op = LmHead {
                hidden,
                vocab: n_rows + 7,
                first_row: 5,
                n_rows,
                rows,
                group,
                max_logits: 9,
            };
            let y = random.normals(9 * hidden as usize);
            let buffers = vec![
                words(&y),
                codes,
                scales,
                untouched(9 * (n_rows as usize + 7)),
            ];
            for n_logits in [1, 2, 3, 4, 6, 9] {
                devices.check(&op, &buffers, step(n_logits), |expected, got| {
                    let what = format!(
                        "{rows:?} groups of {group}, {n_rows} x {hidden}, {n_logits} positions"
                    );
                    assert_floats(&what, &expected[3], &got[3], 2e-6);
                });
            }
        }
    }
}

/// A position's logits must not depend on how many others are computed with it.
#[test]
fn positions_have_the_bits_of_a_single_one() {
    let mut devices = Devices::one();
    let mut random = Random(13);
    for (rows, group) in ENCODINGS {
        let (hidden, n_rows, n) = (576, 50, 7);
        let (codes, scales) = table(rows, group, hidden, n_rows, &mut random);
        let op = LmHead {
            hidden,
            vocab: n_rows,
            first_row: 0,
            n_rows,
            rows,
            group,
            max_logits: n,
        };
        let y = random.normals((n * hidden) as usize);
        let buffers = |y: &[f32], n: u32| {
            vec![
                words(y),
                codes.clone(),
                scales.clone(),
                untouched((n * n_rows) as usize),
            ]
        };
        let Some(all) = devices.run(&op, &buffers(&y, n), step(n)) else {
            return;
        };
        for (r, y) in y.chunks_exact(hidden as usize).enumerate() {
            let single = LmHead {
                max_logits: 1,
                ..op.clone()
            };
            let one = devices.run(&single, &buffers(y, 1), step(1)).unwrap();
            let n_rows = n_rows as usize;
            assert_eq!(
                one[3],
                all[3][r * n_rows..(r + 1) * n_rows],
                "{rows:?} groups of {group}, position {r}"
            );
        }
    }
}

/// More workgroups than one grid dimension holds.
#[test]
fn rows_beyond_one_grid_dimension() {
    let mut devices = Devices::one();
    let mut random = Random(14);
    let (hidden, n_rows) = (4, 8 * 65_535 + 100);
    let (codes, scales) = table(Rows::Q8, 0, hidden, n_rows, &mut random);
    let op = LmHead {
        hidden,
        vocab: n_rows,
        first_row: 0,
        n_rows,
        rows: Rows::Q8,
        group: 0,
        max_logits: 1,
    };
    let buffers = vec![
        words(&random.normals(4)),
        codes,
        scales,
        untouched(n_rows as usize),
    ];
    devices.check(&op, &buffers, step(1), |expected, got| {
        assert_floats("524380 rows", &expected[3], &got[3], 2e-6)
    });
}
