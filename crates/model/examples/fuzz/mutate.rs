//! Random changes that are the same for the same seed.

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Changes an input in one to eight places.
pub(crate) fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(8) {
        if bytes.is_empty() {
            bytes.push(0);
        }
        // Headers are at the front and, in archives, at the end.
        let at = match random.below(4) {
            0 => random.below(bytes.len()),
            1 => bytes.len() - 1 - random.below(bytes.len().min(2048)),
            _ => random.below(bytes.len().min(4096)),
        };
        change(random, &mut bytes, at, seeds);
    }
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, at: usize, seeds: &[Vec<u8>]) {
    let interesting = [
        0u64,
        1,
        2,
        3,
        32,
        255,
        65_535,
        1 << 31,
        1 << 32,
        1 << 62,
        1 << 63,
        u64::MAX,
    ];
    match random.below(8) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 | 3 => {
            let value = match random.below(3) {
                0 => bytes.len() as u64,
                1 => random.next() >> random.below(64),
                _ => interesting[random.below(interesting.len())],
            };
            let width = [1, 2, 4, 8][random.below(4)];
            let end = (at + width).min(bytes.len());
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        4 => bytes.truncate(at),
        5 => {
            let n = random.below(64).min(bytes.len() - at);
            bytes.drain(at..at + n);
        }
        6 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            let n = random.below(128).min(other.len() - from);
            bytes.splice(at..at, other[from..from + n].iter().copied());
        }
        _ => {
            // Digits of JSON, and text in general, become other text.
            let text = b"0123456789-e\"[]{}.,:/\\";
            bytes[at] = text[random.below(text.len())];
        }
    }
}
