//! Reference of `shaders/embed.wgsl`.

use crate::variant::Rows;
use half::f16;

/// A table of stored rows (`docs/FORMAT.md`), columns padded to a multiple of 64.
#[derive(Debug, Clone, Copy)]
pub struct RowTable<'a> {
    /// Codes of all rows.
    pub words: &'a [u32],
    /// `[n_rows]` for q8, `[n_rows, padded / group]` for q6 and q4, not read for f16.
    pub scales: &'a [f32],
    /// Storage type.
    pub rows: Rows,
    /// Columns without padding.
    pub hidden: usize,
    /// Columns that share a q6 or q4 scale.
    pub group: usize,
}

impl RowTable<'_> {
    /// Decodes one row into `out [hidden]`.
    pub fn decode(&self, row: usize, out: &mut [f32]) {
        let padded = self.hidden.next_multiple_of(64);
        match self.rows {
            Rows::F16 => {
                let words = &self.words[row * padded / 2..(row + 1) * padded / 2];
                for (out, word) in out.chunks_mut(2).zip(words) {
                    let halves = [
                        f16::from_bits((word & 0xFFFF) as u16),
                        f16::from_bits((word >> 16) as u16),
                    ];
                    out.iter_mut()
                        .zip(halves)
                        .for_each(|(out, half)| *out = half.to_f32());
                }
            }
            Rows::Q8 => {
                let scale = self.scales[row];
                let words = &self.words[row * padded / 4..(row + 1) * padded / 4];
                for (out, word) in out.chunks_mut(4).zip(words) {
                    let bytes = word.to_le_bytes().map(u8::cast_signed);
                    out.iter_mut()
                        .zip(bytes)
                        .for_each(|(out, byte)| *out = f32::from(byte) * scale);
                }
            }
            Rows::Q4 => {
                let words = &self.words[row * padded / 8..(row + 1) * padded / 8];
                let scales =
                    &self.scales[row * (padded / self.group)..(row + 1) * (padded / self.group)];
                for (octet, (out, word)) in out.chunks_mut(8).zip(words).enumerate() {
                    let scale = scales[octet * 8 / self.group];
                    for (e, out) in out.iter_mut().enumerate() {
                        *out = (f32::from((word >> (4 * e) & 15) as u8) - 8.0) * scale;
                    }
                }
            }
            Rows::Q6 => {
                let words = &self.words[row * padded / 32 * 6..(row + 1) * padded / 32 * 6];
                let scales =
                    &self.scales[row * (padded / self.group)..(row + 1) * (padded / self.group)];
                for (b, (out, block)) in out.chunks_mut(32).zip(words.chunks_exact(6)).enumerate() {
                    let scale = scales[b * 32 / self.group];
                    for (e, out) in out.iter_mut().enumerate() {
                        let low = (block[e / 8] >> (4 * (e % 8))) & 15;
                        let high = (block[4 + e / 16] >> (2 * (e % 16))) & 3;
                        *out = (f32::from((low | high << 4) as u8) - 32.0) * scale;
                    }
                }
            }
        }
    }
}

/// Row `row` of the table into `out [hidden]`.
pub fn embed(table: &RowTable<'_>, row: usize, out: &mut [f32]) {
    table.decode(row, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(rows: Rows, words: &[u32], scales: &[f32], group: usize, hidden: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; hidden];
        embed(
            &RowTable {
                words,
                scales,
                rows,
                hidden,
                group,
            },
            0,
            &mut out,
        );
        out
    }

    #[test]
    fn halves_lie_low_first() {
        // 1.0 = 0x3C00, -2.0 = 0xC000, 0.5 = 0x3800
        let mut words = vec![0; 32];
        words[..2].copy_from_slice(&[0xC000_3C00, 0x0000_3800]);
        assert_eq!(decode(Rows::F16, &words, &[], 0, 4), [1.0, -2.0, 0.5, 0.0]);
    }

    #[test]
    fn bytes_are_signed() {
        let mut words = vec![0; 16];
        words[0] = 0x7F80_FF01;
        assert_eq!(
            decode(Rows::Q8, &words, &[0.5], 0, 4),
            [0.5, -0.5, -64.0, 63.5]
        );
    }

    #[test]
    fn four_bits_are_nibbles_from_the_lowest() {
        // Element e has code e % 16 in the first 32 columns and 15 - e % 16 in the others.
        let mut words = vec![0_u32; 8];
        for e in 0..64_u32 {
            let code = if e < 32 { e % 16 } else { 15 - e % 16 };
            words[(e / 8) as usize] |= code << (4 * (e % 8));
        }
        let out = decode(Rows::Q4, &words, &[1.0, 0.25], 32, 60);
        for (e, value) in out.iter().enumerate() {
            let expected = if e < 32 {
                (e % 16) as f32 - 8.0
            } else {
                (7.0 - (e % 16) as f32) * 0.25
            };
            assert_eq!(*value, expected, "element {e}");
        }
    }

    #[test]
    fn six_bits_are_a_nibble_and_a_pair() {
        // Element e has code e of the first block and code 63 - e of the second, so every bit position is used.
        let mut words = vec![0_u32; 12];
        for e in 0..64_u32 {
            let code = if e < 32 { e } else { 63 - (e - 32) };
            let (block, e) = ((e / 32 * 6) as usize, e % 32);
            words[block + (e / 8) as usize] |= (code & 15) << (4 * (e % 8));
            words[block + 4 + (e / 16) as usize] |= (code >> 4) << (2 * (e % 16));
        }
        let out = decode(Rows::Q6, &words, &[1.0, 0.25], 32, 64);
        for (e, value) in out.iter().enumerate() {
            let expected = if e < 32 {
                e as f32 - 32.0
            } else {
                (63.0 - (e as f32 - 32.0) - 32.0) * 0.25
            };
            assert_eq!(*value, expected, "element {e}");
        }
        let shared = decode(Rows::Q6, &words, &[0.25], 64, 64);
        assert_eq!(shared[31], -0.25);
        assert_eq!(shared[32], 31.0 * 0.25);
    }
}
