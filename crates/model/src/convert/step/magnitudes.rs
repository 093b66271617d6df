//! What the values of a whole matrix are like: needed before any of them can be rounded.

/// Independent sums, so that a processor can add several values at once. The order is fixed, so the sum is too.
const LANES: usize = 8;
/// Magnitudes that are told apart, to say how far a matrix is from ternary.
const MAX_DISTINCT: usize = 16;
/// Smallest multiplier of rounded matrices, as in the programs that trained them.
const MIN_SCALE: f64 = 1e-5;

/// Sums and extremes of magnitudes.
#[derive(Debug, Clone)]
pub(super) struct Magnitudes {
    sums: [f64; LANES],
    n_values: u64,
    n_nonzero: u64,
    smallest: f32,
    largest: f32,
    /// The first different magnitudes; one more than the limit when there are others.
    distinct: Vec<f32>,
}

impl Magnitudes {
    pub(super) fn new() -> Magnitudes {
        Magnitudes {
            sums: [0.0; LANES],
            n_values: 0,
            n_nonzero: 0,
            smallest: f32::INFINITY,
            largest: 0.0,
            distinct: Vec::new(),
        }
    }

    /// Adds values. If one is not finite, it gives the index of the first such and adds nothing more.
    pub(super) fn add(&mut self, values: &[f32]) -> Result<(), usize> {
        let (wide, rest) = values.as_chunks::<LANES>();
        let (mut smallest, mut largest) = ([self.smallest; LANES], [self.largest; LANES]);
        let mut n_nonzero = [0u32; LANES];
        for lanes in wide {
            for lane in 0..LANES {
                let magnitude = lanes[lane].abs();
                self.sums[lane] += f64::from(magnitude);
                let is_nonzero = magnitude > 0.0;
                n_nonzero[lane] += u32::from(is_nonzero);
                let candidate = if is_nonzero { magnitude } else { f32::INFINITY };
                smallest[lane] = if candidate < smallest[lane] {
                    candidate
                } else {
                    smallest[lane]
                };
                largest[lane] = if magnitude > largest[lane] {
                    magnitude
                } else {
                    largest[lane]
                };
            }
        }
        for (lane, value) in rest.iter().enumerate() {
            let magnitude = value.abs();
            self.sums[lane] += f64::from(magnitude);
            if magnitude > 0.0 {
                n_nonzero[lane] += 1;
                smallest[lane] = smallest[lane].min(magnitude);
                largest[lane] = largest[lane].max(magnitude);
            }
        }
        if !self.sums.iter().all(|sum| sum.is_finite()) {
            return Err(values
                .iter()
                .position(|value| !value.is_finite())
                .unwrap_or(0));
        }
        self.smallest = smallest.into_iter().fold(f32::INFINITY, f32::min);
        self.largest = largest.into_iter().fold(0.0, f32::max);
        self.n_values += values.len() as u64;
        self.n_nonzero += n_nonzero.iter().map(|&n| u64::from(n)).sum::<u64>();
        self.collect_distinct(values);
        Ok(())
    }

    fn collect_distinct(&mut self, values: &[f32]) {
        for value in values {
            if self.distinct.len() > MAX_DISTINCT {
                return;
            }
            let magnitude = value.abs();
            if magnitude > 0.0 && !self.distinct.contains(&magnitude) {
                self.distinct.push(magnitude);
            }
        }
    }

    fn sum(&self) -> f64 {
        self.sums.iter().sum()
    }

    /// The multiplier of a matrix that holds one magnitude besides zero, all of them equal up to `tolerance`.
    pub(super) fn single(&self, tolerance: f32) -> Option<f32> {
        if self.n_nonzero == 0 || self.largest > self.smallest * (1.0 + tolerance) {
            return None;
        }
        if self.smallest == self.largest {
            return Some(self.largest);
        }
        Some((self.sum() / self.n_nonzero as f64) as f32)
    }

    /// The mean magnitude, at least 1e-5.
    pub(super) fn mean(&self) -> f32 {
        let mean = self.sum() / self.n_values.max(1) as f64;
        // The order of rounding and flooring is that of the programs that trained the models: floor in f32.
        (mean as f32).max(MIN_SCALE as f32)
    }

    /// The largest magnitude.
    pub(super) fn largest(&self) -> f32 {
        self.largest
    }

    /// Number of different magnitudes if there are few, but more than one.
    pub(super) fn few(&self) -> Option<usize> {
        let n = self.distinct.len();
        // A tiny matrix has few values of any kind.
        (n > 1 && n <= MAX_DISTINCT && self.n_values >= 64 * n as u64).then_some(n)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn of(values: &[f32]) -> Magnitudes {
        let mut magnitudes = Magnitudes::new();
        // In two parts, the first of odd length.
        let (first, second) = values.split_at((values.len() / 2) | 1);
        magnitudes.add(first).unwrap();
        magnitudes.add(second).unwrap();
        magnitudes
    }

    #[test]
    fn the_mean_of_many_equal_values_is_their_magnitude() {
        // A sum in f32 would stop growing at 2^24 values; 0.1 is not exact, so that every addition rounds.
        let mut magnitudes = Magnitudes::new();
        let values = vec![-0.1f32; 1 << 20];
        for _ in 0..20 {
            magnitudes.add(&values).unwrap();
        }
        assert_eq!(magnitudes.mean(), 0.1);
        assert_eq!(magnitudes.single(0.0), Some(0.1));
    }

    #[test]
    fn zeros_count_for_the_mean_but_not_for_the_single_magnitude() {
        let magnitudes = of(&[0.7, 0.0, -0.7, 0.0, 0.0, 0.7, -0.7, 0.0, 0.0, 0.7]);
        assert_eq!(magnitudes.single(0.0), Some(0.7));
        assert_eq!(magnitudes.mean(), 0.35);
        assert_eq!((magnitudes.largest(), magnitudes.few()), (0.7, None));
    }

    #[test]
    fn magnitudes_that_differ_by_rounding_are_one() {
        let magnitudes = of(&[1.0, -1.002, 0.0, 1.001]);
        assert_eq!(magnitudes.single(0.001), None);
        let single = magnitudes.single(0.005).unwrap();
        assert!((single - 1.001).abs() < 1e-6, "{single}");
    }

    #[test]
    fn a_matrix_of_zeros_keeps_a_usable_mean() {
        let magnitudes = of(&[0.0; 20]);
        assert_eq!((magnitudes.single(0.1), magnitudes.mean()), (None, 1e-5));
    }

    #[test]
    fn values_that_are_not_finite_are_found() {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![1.0; 21];
            values[19] = wrong;
            assert_eq!(Magnitudes::new().add(&values), Err(19));
        }
    }

    #[test]
    fn several_magnitudes_are_counted() {
        let values: Vec<f32> = (0..512).map(|i| [0.5, 0.0, -0.25][i % 3]).collect();
        assert_eq!(of(&values).few(), Some(2));
        let values: Vec<f32> = (0..4096).map(|i| i as f32).collect();
        assert_eq!(of(&values).few(), None);
    }
}
