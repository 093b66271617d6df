use crate::common::{Random, words};
use crate::{Devices, step, untouched};
use engine::Rows;
use engine::ops::Embed;

pub(super) const ENCODINGS: [(Rows, u32); 5] = [
    (Rows::F16, 0),
    (Rows::Q8, 0),
    (Rows::Q6, 32),
    (Rows::Q6, 64),
    (Rows::Q4, 32),
];

/// Codes and scales of `n_rows` rows: any bits are valid codes, halves are kept finite.
pub(super) fn table(
    rows: Rows,
    group: u32,
    hidden: u32,
    n_rows: u32,
    random: &mut Random,
) -> (Vec<u32>, Vec<u32>) {
    let padded = hidden.next_multiple_of(64);
    let (words_per_row, scales_per_row) = match rows {
        Rows::F16 => (padded / 2, 0),
        Rows::Q8 => (padded / 4, 1),
        Rows::Q6 => (padded / 32 * 6, padded / group),
        Rows::Q4 => (padded / 8, padded / group),
    };
    let mask = if rows == Rows::F16 {
        0xBFFF_BFFF
    } else {
        u32::MAX
    };
    let codes = (0..n_rows * words_per_row)
        .map(|_| random.bits() as u32 & mask)
        .collect();
    let scales: Vec<f32> = (0..(n_rows * scales_per_row).max(4))
        .map(|_| 0.001 + random.unit().abs() * 0.01)
        .collect();
    (codes, words(&scales))
}

#[test]
fn has_the_bits_of_the_reference() {
    let mut devices = Devices::one();
    let mut random = Random(10);
    for (rows, group) in ENCODINGS {
        for hidden in [4, 64, 72, 100, 576, 2560] {
            let (codes, scales) = table(rows, group, hidden, 40, &mut random);
            let tokens: Vec<u32> = (0..7).map(|_| random.below(40)).collect();
            let op = Embed {
                hidden,
                first_row: 0,
                n_rows: 40,
                rows,
                group,
                max_tokens: 7,
            };
            let buffers = vec![tokens, codes, scales, untouched(7 * hidden as usize)];
            for n in [1, 5] {
                devices.check(&op, &buffers, step(3, n), |expected, got| {
                    assert_eq!(
                        expected[3], got[3],
                        "{rows:?} groups of {group}, hidden {hidden}, {n} tokens"
                    );
                });
            }
        }
    }
}

/// A table in two parts: each dispatch fills the rows of its own tokens and leaves the others alone.
#[test]
fn parts_leave_other_tokens_alone() {
    let mut devices = Devices::one();
    let mut random = Random(11);
    let (rows, group, hidden) = (Rows::Q6, 32, 72);
    let tokens = vec![0, 29, 30, 31, 49, 12, u32::MAX];
    let mut x = untouched(7 * 72);
    let mut expected = x.clone();
    for (first_row, n_rows) in [(0, 30), (30, 20)] {
        let (codes, scales) = table(rows, group, hidden, n_rows, &mut random);
        let op = Embed {
            hidden,
            first_row,
            n_rows,
            rows,
            group,
            max_tokens: 7,
        };
        let run = |x: &[u32]| vec![tokens.clone(), codes.clone(), scales.clone(), x.to_vec()];
        let Some(got) = devices.run(&op, &run(&x), step(0, 7)) else {
            return;
        };
        x.clone_from(&got[3]);
        expected = crate::run(
            &mut engine::Executor::cpu(),
            op,
            &run(&expected),
            step(0, 7),
        )
        .remove(3);
        assert_eq!(expected, x, "after the part from {first_row}");
    }
    let untouched = x
        .chunks_exact(72)
        .filter(|row| row.iter().all(|&word| word == crate::UNTOUCHED))
        .count();
    assert_eq!(untouched, 1, "only the token outside every part has no row");
}
