//! Reference of `shaders/rope_kv.wgsl`.

use crate::variant::KvType;
use half::f16;

/// Rotates the pairs `(j, j + D / 2)` of a head `x [D]` by `angles [D / 2][2]` (cosine, sine).
#[must_use]
pub fn rope(x: &[f32], angles: &[f32]) -> Vec<f32> {
    let half = x.len() / 2;
    let mut out = x.to_vec();
    for j in 0..half {
        let (cos, sin) = (angles[2 * j], angles[2 * j + 1]);
        out[j] = x[j] * cos - x[j + half] * sin;
        out[j + half] = x[j + half] * cos + x[j] * sin;
    }
    out
}

/// Stores values (an even number) from element `at` (even) of a cache, halves rounded to nearest even.
pub fn store_kv(cache: &mut [u32], kv: KvType, at: usize, values: &[f32]) {
    match kv {
        KvType::F32 => cache[at..at + values.len()].copy_from_slice(bytemuck::cast_slice(values)),
        KvType::F16 => {
            for (word, pair) in cache[at / 2..].iter_mut().zip(values.chunks_exact(2)) {
                let [low, high] = [pair[0], pair[1]].map(|v| u32::from(f16::from_f32(v).to_bits()));
                *word = low | high << 16;
            }
        }
    }
}

/// Reads `len` elements (an even number) of a cache from element `at` (even).
#[must_use]
pub fn load_kv(cache: &[u32], kv: KvType, at: usize, len: usize) -> Vec<f32> {
    match kv {
        KvType::F32 => bytemuck::cast_slice(&cache[at..at + len]).to_vec(),
        KvType::F16 => cache[at / 2..(at + len) / 2]
            .iter()
            .flat_map(|word| [(word & 0xFFFF) as u16, (word >> 16) as u16])
            .map(|bits| f16::from_bits(bits).to_f32())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::rope_table;

    #[test]
    fn pairs_are_half_a_head_apart() {
        // A quarter turn of the first pair, none of the second: (a, b, c, d) -> (-c, b, a, d).
        let out = rope(&[1.0, 2.0, 3.0, 4.0], &[0.0, 1.0, 1.0, 0.0]);
        assert_eq!(out, [-3.0, 2.0, 1.0, 4.0]);
    }

    #[test]
    fn table_matches_its_formula_far_out() {
        let (theta, head_dim, position) = (10_000.0_f64, 100_u32, 4095_u32);
        let table = rope_table(theta, head_dim, position + 1);
        assert_eq!(table.len(), 4096 * 100);
        for j in [0_u32, 1, 17, 49] {
            let angle = f64::from(position) / theta.powf(f64::from(2 * j) / f64::from(head_dim));
            let at = (position * head_dim + 2 * j) as usize;
            assert!(
                (f64::from(table[at]) - angle.cos()).abs() < 1e-7,
                "cos of pair {j}"
            );
            assert!(
                (f64::from(table[at + 1]) - angle.sin()).abs() < 1e-7,
                "sin of pair {j}"
            );
        }
        assert_eq!(table[..2], [1.0, 0.0], "position 0 does not turn");
    }

    #[test]
    fn halves_round_to_nearest_even() {
        let mut cache = vec![0; 2];
        // 1 + 2^-11 is a tie between 1 and 1 + 2^-10; 1 + 3 * 2^-11 one between odd and even above.
        store_kv(
            &mut cache,
            KvType::F16,
            0,
            &[1.0 + 2.0_f32.powi(-11), 1.0 + 3.0 * 2.0_f32.powi(-11)],
        );
        store_kv(&mut cache, KvType::F16, 2, &[65504.0, -0.1]);
        let back = load_kv(&cache, KvType::F16, 0, 4);
        assert_eq!(back[..3], [1.0, 1.0 + 2.0_f32.powi(-9), 65504.0]);
        assert!((back[3] + 0.1).abs() < 3e-5);
    }

    #[test]
    fn floats_are_kept() {
        let mut cache = vec![0; 6];
        store_kv(&mut cache, KvType::F32, 2, &[0.1, -0.2]);
        assert_eq!(load_kv(&cache, KvType::F32, 2, 2), [0.1, -0.2]);
        assert_eq!(cache[..2], [0, 0]);
    }
}
