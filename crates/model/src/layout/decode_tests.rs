#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::Scale;
use crate::layout::{encode_t5, quantize_q6_row, quantize_q8_row};

const TENSOR_SCALE: Encoding = Encoding::Ternary {
    scale: Scale::Tensor { value: 1.0 },
};

fn tensor(encoding: Encoding, n_rows: u32, n_cols: u32) -> Tensor {
    Tensor {
        name: "layers.0.q".into(),
        shape: [n_rows, n_cols],
        encoding,
        pieces: Vec::new(),
    }
}

/// A piece of `n_rows` rows from row 32 on, 16 bytes into a shard that holds `bytes` there.
fn shard_with(bytes: &[u8], n_rows: u32) -> (Piece, Vec<u8>) {
    let mut shard = vec![0xee; 16];
    shard.extend_from_slice(bytes);
    shard.extend_from_slice(&[0xee; 5]);
    (
        Piece {
            shard: 0,
            offset: 16,
            bytes: bytes.len() as u64,
            first_row: 32,
            n_rows,
        },
        shard,
    )
}

fn layout(coding: Coding) -> TernaryLayout {
    TernaryLayout {
        rows_per_tile: 4,
        coding,
    }
}

fn codes() -> Vec<u8> {
    (0..6 * 70).map(|i: u32| (i * 7 / 3 % 3) as u8).collect()
}

#[test]
fn t5_and_b2_decode_to_the_same_words() {
    let tensor = tensor(TENSOR_SCALE, 100, 70);
    let b2 = pack_b2(&codes(), 6, 70, 4);
    let (piece, shard) = shard_with(&b2, 6);
    let from_b2 = decode_piece(&layout(Coding::B2), &tensor, &piece, &shard).unwrap();
    let (piece, shard) = shard_with(&encode_t5(&codes()), 6);
    let from_t5 = decode_piece(&layout(Coding::T5), &tensor, &piece, &shard).unwrap();
    assert_eq!(
        from_b2,
        DecodedPiece::Ternary {
            words: b2.into(),
            group_scales: Vec::new()
        }
    );
    assert_eq!(from_b2, from_t5);
}

#[test]
fn group_scales_follow_the_codes() {
    let tensor = tensor(
        Encoding::Ternary {
            scale: Scale::Group { size: 32 },
        },
        100,
        70,
    );
    for coding in [Coding::B2, Coding::T5] {
        let mut bytes = match coding {
            Coding::B2 => pack_b2(&codes(), 6, 70, 4),
            Coding::T5 => encode_t5(&codes()),
        };
        let expected: Vec<f32> = (1..=18).map(|i| i as f32 / 8.0).collect();
        bytes.extend(
            expected
                .iter()
                .flat_map(|&scale| f16::from_f32(scale).to_le_bytes()),
        );
        let (piece, mut shard) = shard_with(&bytes, 6);
        let DecodedPiece::Ternary { group_scales, .. } =
            decode_piece(&layout(coding), &tensor, &piece, &shard).unwrap()
        else {
            panic!("a ternary tensor decodes to ternary words")
        };
        assert_eq!(group_scales, expected);
        // Scale 16 belongs to row 32 + 5; zero is no multiplier.
        let at = 16 + bytes.len() - 2 * 3;
        shard[at..at + 2].copy_from_slice(&[0, 0]);
        let error = decode_piece(&layout(coding), &tensor, &piece, &shard).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Scale {
                    row: 37,
                    got: 0.0,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn quantised_rows_split_into_codes_and_scales() {
    let row: Vec<f32> = (0..70).map(|i| i as f32 - 20.0).collect();
    let mut q8 = Vec::new();
    let scale = quantize_q8_row(&row, &mut q8).unwrap();
    let stored = [&q8[..], &scale.to_le_bytes()].concat();
    let (piece, shard) = shard_with(&stored, 1);
    let got = decode_piece(
        &layout(Coding::B2),
        &tensor(Encoding::Q8, 100, 70),
        &piece,
        &shard,
    )
    .unwrap();
    assert_eq!(
        got,
        DecodedPiece::Rows {
            codes: q8.into(),
            scales: vec![scale]
        }
    );

    let (mut q6, mut scales) = (Vec::new(), Vec::new());
    quantize_q6_row(&row, 32, &mut q6, &mut scales).unwrap();
    let stored: Vec<u8> = q6
        .iter()
        .copied()
        .chain(scales.iter().flat_map(|scale| scale.to_le_bytes()))
        .collect();
    let (piece, shard) = shard_with(&stored, 1);
    let got = decode_piece(
        &layout(Coding::B2),
        &tensor(Encoding::Q6 { group: 32 }, 100, 70),
        &piece,
        &shard,
    )
    .unwrap();
    let scales = scales.iter().map(|scale| scale.to_f32()).collect();
    assert_eq!(
        got,
        DecodedPiece::Rows {
            codes: q6.into(),
            scales
        }
    );
}

#[test]
fn damage_is_named() {
    let b2 = pack_b2(&codes(), 6, 70, 4);
    let tensor_b2 = tensor(TENSOR_SCALE, 100, 70);
    let check = |bytes: &[u8], tensor: &Tensor, coding: Coding, expected: &str| {
        let (piece, shard) = shard_with(bytes, 6);
        let error = decode_piece(&layout(coding), tensor, &piece, &shard)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        &b2[1..],
        &tensor_b2,
        Coding::B2,
        "layers.0.q, rows from 32: a piece of 6 rows needs 256 bytes, got 255",
    );
    let mut wrong = b2.clone();
    wrong[0] = 0xff;
    check(
        &wrong,
        &tensor_b2,
        Coding::B2,
        "row 32, column 0: ternary code must be 0, 1 or 2, got 3",
    );
    let mut t5 = encode_t5(&codes());
    t5[15] = 1;
    check(
        &t5,
        &tensor_b2,
        Coding::T5,
        "row 33, column 5: ternary code must be a valid T5 byte, got 1",
    );
    let mut f32s = vec![0u8; 6 * 70 * 4];
    f32s[71 * 4..72 * 4].copy_from_slice(&f32::NAN.to_le_bytes());
    check(
        &f32s,
        &tensor(Encoding::F32, 100, 70),
        Coding::B2,
        "row 33, column 1: f32 needs finite values",
    );
    let mut halves = vec![0u8; 6 * 128 * 2];
    halves[(128 + 1) * 2..(128 + 2) * 2].copy_from_slice(&f16::INFINITY.to_le_bytes());
    check(
        &halves,
        &tensor(Encoding::F16, 100, 70),
        Coding::B2,
        "row 33, column 1: f16 needs finite values",
    );
    let mut q8 = vec![0u8; 6 * 132];
    q8[6 * 128 + 4..6 * 128 + 8].copy_from_slice(&(-1.0f32).to_le_bytes());
    check(
        &q8,
        &tensor(Encoding::Q8, 100, 70),
        Coding::B2,
        "row 33: scale must be finite and not negative, got -1",
    );
}

#[test]
fn pieces_outside_their_shard_are_refused() {
    let b2 = pack_b2(&codes(), 6, 70, 4);
    let (mut piece, shard) = shard_with(&b2, 6);
    piece.offset = shard.len() as u64 - 10;
    let tensor = tensor(TENSOR_SCALE, 100, 70);
    let error = decode_piece(&layout(Coding::B2), &tensor, &piece, &shard).unwrap_err();
    assert!(matches!(error, Error::PieceOutsideShard { .. }));
    piece.offset = u64::MAX;
    let error = decode_piece(&layout(Coding::B2), &tensor, &piece, &shard).unwrap_err();
    assert!(matches!(error, Error::PieceOutsideShard { .. }));
}

fn encoding() -> impl Strategy<Value = Encoding> {
    prop_oneof![
        Just(TENSOR_SCALE),
        any::<u32>().prop_map(|size| Encoding::Ternary {
            scale: Scale::Group { size }
        }),
        Just(Encoding::F32),
        Just(Encoding::F16),
        Just(Encoding::Q8),
        any::<u32>().prop_map(|group| Encoding::Q6 { group }),
        Just(Encoding::Q6 { group: 0 }),
    ]
}

proptest! {
    /// Whatever a hostile manifest says, decoding ends with a value or an error.
    #[test]
    fn any_numbers_end_without_panic(
        encoding in encoding(),
        rows_per_tile in prop_oneof![0u32..5, any::<u32>()],
        t5 in any::<bool>(),
        n_cols in prop_oneof![0u32..200, any::<u32>()],
        n_rows in prop_oneof![0u32..20, any::<u32>()],
        offset in prop_oneof![0u64..20, any::<u64>()],
        right_bytes in any::<bool>(),
        any_bytes in any::<u64>(),
        shard in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let layout = TernaryLayout { rows_per_tile, coding: if t5 { Coding::T5 } else { Coding::B2 } };
        let right = stored_piece_bytes(&layout, &encoding, n_cols, n_rows);
        let bytes = if right_bytes { right.unwrap_or(0) } else { any_bytes };
        let piece = Piece { shard: 0, offset, bytes, first_row: 0, n_rows };
        let _ = decode_piece(&layout, &tensor(encoding, n_rows, n_cols), &piece, &shard);
    }
}

/// Five codes are a byte, but a tile of so many rows would be gigabytes.
#[test]
fn a_tile_of_endless_rows_is_refused() {
    let tensor = tensor(TENSOR_SCALE, 1, 5);
    for (rows_per_tile, fits) in [
        (0, false),
        (1, true),
        (64, true),
        (65, false),
        (u32::MAX, false),
    ] {
        let layout = TernaryLayout {
            rows_per_tile,
            coding: Coding::T5,
        };
        let piece = Piece {
            shard: 0,
            offset: 0,
            bytes: 1,
            first_row: 0,
            n_rows: 1,
        };
        let decoded = decode_piece(&layout, &tensor, &piece, &[121]);
        assert_eq!(decoded.is_ok(), fits, "{rows_per_tile}: {decoded:?}");
    }
}
