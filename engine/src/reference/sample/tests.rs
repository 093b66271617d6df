use super::*;

const PLAIN: SamplingParams = SamplingParams {
    temperature: 1.0,
    top_p: 1.0,
    min_p: 0.0,
    repetition_penalty: 1.0,
    top_k: 0,
    repetition_window: 0,
    seed_lo: 1,
    seed_hi: 0,
};

/// The token of a position, from logits that nobody has looked at.
fn sampled(logits: &mut [f32], recent: &[u32], params: &SamplingParams, position: u32) -> Sampled {
    let found = crate::reference::logit_scan(logits, recent, params.repetition_penalty);
    sample(logits, &found, params, position)
}

/// The generator's published known answers.
#[test]
fn philox_known_answers() {
    assert_eq!(
        philox4([0; 4], [0; 2]),
        [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
    );
    assert_eq!(
        philox4([!0; 4], [!0; 2]),
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
    );
    assert_eq!(
        philox4(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0]
        ),
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
    );
}

#[test]
fn keys_order_like_floats() {
    let sorted = [f32::MIN, -2.0, -1.5, -1e-40, 0.0, 1e-40, 1.0, 1.5, f32::MAX];
    for pair in sorted.windows(2) {
        assert!(order_key(pair[0]) < order_key(pair[1]), "{pair:?}");
    }
    assert_eq!(order_key(-0.0), order_key(0.0));
}

#[test]
fn greedy_takes_the_lowest_of_ties() {
    assert_eq!(argmax(&[-3.0, 2.0, 1.0, 2.0]), 1);
    assert_eq!(argmax(&[-1.0, -0.0, 0.0]), 1);
    let mut params = PLAIN;
    params.temperature = 0.0;
    assert_eq!(sampled(&mut [0.0, 1.0, 5.0], &[], &params, 3).id, 2);
}

#[test]
fn penalty_counts_each_token_once() {
    let mut logits = [4.0, -4.0, 1.0, 0.0];
    penalize(&mut logits, &[0, 1, 0, 9, 0], 2.0);
    assert_eq!(logits, [2.0, -8.0, 1.0, 0.0]);
}

#[test]
fn non_finite_logits_are_reported() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(
            sampled(&mut [0.0, bad], &[], &PLAIN, 0).status,
            STATUS_NON_FINITE
        );
    }
}

#[test]
fn weights_are_softmax_in_fixed_point() {
    // Equal logits: exp is exactly 1 and the sum a power of two.
    assert_eq!(weights(&[3.0; 4], 0.7, 0), [1 << 28; 4]);
    assert_eq!(
        weights(&[1.0, 5.0, 5.0, 1.0], 1.0, 1),
        [0, 1 << 29, 1 << 29, 0],
        "ties with the last are kept"
    );
    let w = weights(&[0.0, 2.0_f32.ln()], 1.0, 9);
    assert!(
        (f64::from(w[1]) / f64::from(w[0]) - 2.0).abs() < 1e-6,
        "{w:?}"
    );
    assert_eq!(weights(&[0.0, -1e30], 1e-3, 0), [1 << 30, 0]);
}

#[test]
fn top_p_keeps_the_smallest_set() {
    let w = [10, 40, 20, 30];
    for (top_p, threshold) in [
        (0.0, 40),
        (0.3, 40),
        (0.4, 40),
        (0.5, 30),
        (0.75, 20),
        (0.95, 10),
        (1.0, 1),
    ] {
        assert_eq!(weight_threshold(&w, top_p, 0.0), threshold, "top_p {top_p}");
    }
    assert_eq!(
        weight_threshold(&[5, 5, 5, 5], 0.3, 0.0),
        5,
        "ties are kept"
    );
}

#[test]
fn min_p_is_relative_to_the_largest() {
    let w = [10, 40, 20, 30];
    for (min_p, threshold) in [(0.0, 1), (0.25, 10), (0.5, 20), (0.6, 24), (1.0, 40)] {
        assert_eq!(weight_threshold(&w, 1.0, min_p), threshold, "min_p {min_p}");
    }
    assert_eq!(
        weight_threshold(&w, 0.5, 0.875),
        35,
        "the stricter filter counts"
    );
}

#[test]
fn choice_follows_the_running_sum() {
    let w = [1 << 28, 0, 1 << 28, 1 << 29];
    for (random, id) in [
        (0, 0),
        (0x3FFF_FFFF, 0),
        (0x4000_0000, 2),
        (0x7FFF_FFFF, 2),
        (0x8000_0000, 3),
        (!0, 3),
    ] {
        assert_eq!(choose(&w, 1.0, 0.0, random), id, "random {random:#x}");
    }
    assert_eq!(choose(&w, 0.1, 0.0, 0), 3, "only the largest is left");
}

/// Chi-square of 40,000 draws over seeds and positions against the softmax (7 degrees of freedom: 24.3 is p = 0.001).
#[test]
fn draws_follow_the_distribution() {
    let logits = [0.0, 1.0, -1.0, 2.0, 0.5, -2.0, 1.5, -0.5];
    let temperature = 0.8;
    let exps: Vec<f64> = logits
        .iter()
        .map(|&l: &f32| (f64::from(l) / temperature).exp())
        .collect();
    let total: f64 = exps.iter().sum();
    for by_seed in [false, true] {
        let mut counts = [0_u32; 8];
        for i in 0..40_000_u32 {
            let (seed_lo, position) = if by_seed { (i, 17) } else { (5, i) };
            let params = SamplingParams {
                temperature: 0.8,
                seed_lo,
                ..PLAIN
            };
            counts[sampled(&mut logits.clone(), &[], &params, position).id as usize] += 1;
        }
        let chi: f64 = counts
            .iter()
            .zip(&exps)
            .map(|(&n, e)| {
                let expected = 40_000.0 * e / total;
                (f64::from(n) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi < 24.3, "chi-square {chi}, counts {counts:?}");
    }
}

#[test]
fn the_same_seed_and_position_draw_the_same() {
    let logits = [0.0; 64];
    let draw = |seed_lo, position| {
        sampled(
            &mut logits.clone(),
            &[],
            &SamplingParams { seed_lo, ..PLAIN },
            position,
        )
        .id
    };
    assert_eq!(draw(1, 9), draw(1, 9));
    let differing = (0..100).filter(|&p| draw(1, p) != draw(2, p)).count();
    assert!(
        differing > 90,
        "{differing} of 100 draws differ between seeds"
    );
}
