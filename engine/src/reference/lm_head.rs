//! Reference of `shaders/lm_head.wgsl`.

use super::RowTable;
use std::ops::Range;

/// Columns `part` of `logits [n, vocab]`: the products of `y [n, hidden]` with the table's rows, whose first is token
/// `part.start`.
pub fn lm_head(
    table: &RowTable<'_>,
    y: &[f32],
    vocab: usize,
    part: Range<usize>,
    logits: &mut [f32],
) {
    let mut row = vec![0.0; table.hidden];
    for token in part.clone() {
        table.decode(token - part.start, &mut row);
        for (y, logits) in y
            .chunks_exact(table.hidden)
            .zip(logits.chunks_exact_mut(vocab))
        {
            logits[token] = dot(&row, y);
        }
    }
}

/// Eight running sums: a fixed order that keeps the error of long rows small.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variant::Rows;

    #[test]
    fn parts_write_their_own_columns() {
        // Two q8 rows: (1, 2, 0, 0) * 0.5 and (-1, 0, 0, 3) * 2.
        let mut words = vec![0; 32];
        words[0] = 0x0000_0201;
        words[16] = 0x0300_00FF;
        let table = RowTable {
            words: &words,
            scales: &[0.5, 2.0],
            rows: Rows::Q8,
            hidden: 4,
            group: 0,
        };
        let mut logits = vec![9.0; 8];
        lm_head(
            &table,
            &[1.0, 10.0, 100.0, 1000.0, 2.0, 0.0, 0.0, 1.0],
            4,
            1..3,
            &mut logits,
        );
        assert_eq!(logits, [9.0, 10.5, 5998.0, 9.0, 9.0, 1.0, 2.0, 9.0]);
    }

    #[test]
    fn dot_covers_a_ragged_tail() {
        let a: Vec<f32> = (0..20_u8).map(f32::from).collect();
        assert_eq!(dot(&a, &[1.0; 20]), 190.0);
    }
}
