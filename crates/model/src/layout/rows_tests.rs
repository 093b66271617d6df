#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

#[test]
fn q8_rounds_half_to_even_and_pads_with_zero() {
    let mut codes = Vec::new();
    let scale = quantize_q8_row(&[127.0, 0.5, 1.5, -2.5, -127.0], &mut codes).unwrap();
    assert_eq!(scale, 1.0);
    assert_eq!(codes.len(), 64);
    let codes: Vec<i8> = codes.iter().map(|&code| code as i8).collect();
    assert_eq!(codes[..6], [127, 0, 2, -2, -127, 0]);
}

#[test]
fn q6_block_is_nibbles_then_bit_pairs() {
    let mut row = vec![0.0f32; 64];
    row[0] = 31.0;
    row[1] = -31.0;
    row[9] = 5.0;
    let (mut codes, mut scales) = (Vec::new(), Vec::new());
    quantize_q6_row(&row, 32, &mut codes, &mut scales).unwrap();
    assert_eq!((codes.len(), scales.len()), (48, 2));
    assert_eq!((scales[0].to_f32(), scales[1].to_f32()), (1.0, 0.0));
    let words: Vec<u32> = codes
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    // Stored codes: 63 = 3 | 15, 1 = 0 | 1, 37 = 2 | 5, everything else 32 = 2 | 0.
    assert_eq!(
        words[..6],
        [0x0000_001f, 0x0000_0050, 0, 0, 0xaaaa_aaa3, 0xaaaa_aaaa]
    );
    assert_eq!(words[6..12], [0, 0, 0, 0, 0xaaaa_aaaa, 0xaaaa_aaaa]);
    assert_eq!(dequantize_q6_row(&codes, &[1.0, 0.0], 32, 64), row);
}

#[test]
fn q6_scale_is_rounded_to_f16_before_the_division() {
    let mut row = vec![0.0f32; 64];
    // 1 / 31 = 0.032258064 rounds to the half 0.032257080, so that 1 / scale = 31.0009 still gives 31.
    row[0] = 1.0;
    row[1] = 0.5;
    let (mut codes, mut scales) = (Vec::new(), Vec::new());
    quantize_q6_row(&row, 64, &mut codes, &mut scales).unwrap();
    let scale = scales[0].to_f32();
    assert_eq!(scale, 0.032_257_08);
    let back = dequantize_q6_row(&codes, &[scale], 64, 2);
    // 0.5 / scale = 15.5005 rounds to 16.
    assert_eq!(back, [31.0 * scale, 16.0 * scale]);
}

#[test]
fn tiny_and_zero_groups_have_scale_zero_and_codes_zero() {
    let (mut codes, mut scales) = (Vec::new(), Vec::new());
    quantize_q6_row(&[1e-9; 64], 64, &mut codes, &mut scales).unwrap();
    assert_eq!(scales[0].to_f32(), 0.0);
    assert_eq!(dequantize_q6_row(&codes, &[0.0], 64, 64), [0.0; 64]);
    let mut codes = Vec::new();
    assert_eq!(quantize_q8_row(&[0.0; 3], &mut codes).unwrap(), 0.0);
    assert_eq!(codes, [0; 64]);
}

#[test]
fn values_that_do_not_fit_are_refused_with_their_column() {
    let nan = quantize_q8_row(&[0.0, f32::NAN], &mut Vec::new()).unwrap_err();
    assert!(nan.col == 1 && nan.value.is_nan());
    let infinite =
        quantize_q6_row(&[f32::NEG_INFINITY], 32, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!((infinite.col, infinite.value), (0, f32::NEG_INFINITY));
    let large = quantize_f16_row(&[1.0, 2.0, 65505.0], &mut Vec::new()).unwrap_err();
    assert_eq!((large.col, large.limit), (2, 65504.0));
    assert!(quantize_q6_row(&[65504.0 * 31.0], 32, &mut Vec::new(), &mut Vec::new()).is_ok());
}

fn row() -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(-1000.0f32..1000.0, 1..200)
}

proptest! {
    #[test]
    fn q8_is_within_half_a_step(row in row()) {
        let mut codes = Vec::new();
        let scale = quantize_q8_row(&row, &mut codes).unwrap();
        let back = dequantize_q8_row(&codes, scale, row.len());
        for (value, back) in row.iter().zip(back) {
            prop_assert!((value - back).abs() <= scale * 0.5001, "{value} came back as {back} with scale {scale}");
        }
    }

    #[test]
    fn q6_is_within_half_a_step(row in row(), wide in any::<bool>()) {
        let group = if wide { 64 } else { 32 };
        let (mut codes, mut scales) = (Vec::new(), Vec::new());
        quantize_q6_row(&row, group, &mut codes, &mut scales).unwrap();
        let scales: Vec<f32> = scales.iter().map(|scale| scale.to_f32()).collect();
        prop_assert_eq!(scales.len(), padded_cols(row.len()) / group);
        let back = dequantize_q6_row(&codes, &scales, group, row.len());
        for (col, (value, back)) in row.iter().zip(back).enumerate() {
            // The f16 scale may be 2^-11 short, which costs the largest code up to 31 * 2^-11 steps.
            prop_assert!((value - back).abs() <= scales[col / group] * 0.52 + 1e-6, "{value} came back as {back}");
        }
    }

    #[test]
    fn f16_round_trips_what_f16_holds(row in row()) {
        let exact: Vec<f32> = row.iter().map(|&value| f16::from_f32(value).to_f32()).collect();
        let mut codes = Vec::new();
        quantize_f16_row(&exact, &mut codes).unwrap();
        prop_assert_eq!(codes.len(), padded_cols(row.len()) * 2);
        prop_assert_eq!(dequantize_f16_row(&codes, row.len()), exact);
    }
}
