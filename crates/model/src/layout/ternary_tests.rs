#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// formats: codes `e mod 3` make 0x24924924, with these byte lanes, and with these activations the dot product is -18.
#[test]
fn b2_word_is_the_published_vector() {
    let codes: Vec<u8> = (0..16).map(|e| e % 3).collect();
    let packed = words(&pack_b2(&codes, 1, 16, 1));
    assert_eq!(packed, [0x2492_4924, 0x5555_5555, 0x5555_5555, 0x5555_5555]);
    let lanes: Vec<u32> = (0..4).map(|i| packed[0] >> (2 * i) & 0x0303_0303).collect();
    assert_eq!(lanes, [0x0002_0100, 0x0100_0201, 0x0201_0002, 0x0002_0100]);
    let x: Vec<i32> = (0..16).map(|e| (7 * e) % 11 - 5).collect();
    let dot: i32 = (0..16)
        .map(|e| (lanes[e / 4] >> (8 * (e % 4)) & 3) as i32 * x[e])
        .sum();
    assert_eq!((dot, dot - x.iter().sum::<i32>()), (-18, -19));
}

#[test]
fn b2_quads_of_a_tile_are_interleaved_by_row() {
    // Rows 0 to 2 filled with 0, 1, 2; two quads a row; tiles of two rows, so that row 3 is padding.
    let codes: Vec<u8> = (0..3).flat_map(|row| [row; 128]).collect();
    let packed = words(&pack_b2(&codes, 3, 128, 2));
    let filled = |code: u32| [code * 0x5555_5555; 4];
    let expected = [
        filled(0),
        filled(1),
        filled(0),
        filled(1),
        filled(2),
        filled(1),
        filled(2),
        filled(1),
    ]
    .concat();
    assert_eq!(packed, expected);
}

#[test]
fn t5_byte_is_the_published_vector() {
    assert_eq!(encode_t5(&[2, 0, 1, 1, 2]), [186]);
    assert_eq!(decode_t5(&[186], 5).unwrap(), [2, 0, 1, 1, 2]);
    // One code, padded with four codes of value 0: v = 2 * 81 + 40 = 202.
    assert_eq!(encode_t5(&[2]), [213]);
}

#[test]
fn t5_knows_exactly_243_bytes() {
    let valid: Vec<u8> = (0..=255)
        .filter(|&byte| decode_t5(&[byte], 5).is_ok())
        .collect();
    assert_eq!(valid.len(), 243);
    for byte in valid {
        assert_eq!(encode_t5(&decode_t5(&[byte], 5).unwrap()), [byte]);
    }
}

#[test]
fn t5_padding_must_be_code_1() {
    let byte = encode_t5(&[2, 0, 1, 1, 2]);
    assert_eq!(decode_t5(&byte, 4), Err(0));
    assert_eq!(
        decode_t5(&encode_t5(&[2, 0, 1, 1]), 4).unwrap(),
        [2, 0, 1, 1]
    );
}

#[test]
fn check_finds_code_3_and_wrong_padding() {
    let mut tiles = pack_b2(&[1; 3 * 70], 3, 70, 2);
    assert_eq!(check_b2(&tiles, 3, 70, 2), Ok(()));
    let at = quad_offset(2, 1, 2, 2);
    // Column 64 + 5 of row 2: word 0, element 5 = byte 1, bits 2 and 3.
    tiles[at + 1] |= 3 << 2;
    assert_eq!(
        check_b2(&tiles, 3, 70, 2),
        Err(WrongCode {
            row: 2,
            col: 69,
            code: 3
        })
    );
    let mut tiles = pack_b2(&[1; 3 * 70], 3, 70, 2);
    // Column 64 + 6, which is padding, becomes 0.
    tiles[at + 2] &= !(3 << 2);
    assert_eq!(
        check_b2(&tiles, 3, 70, 2),
        Err(WrongCode {
            row: 2,
            col: 70,
            code: 0
        })
    );
    let mut tiles = pack_b2(&[1; 3 * 64], 3, 64, 2);
    let at = quad_offset(3, 0, 1, 2);
    tiles[at] = 0x56;
    assert_eq!(
        check_b2(&tiles, 3, 64, 2),
        Err(WrongCode {
            row: 3,
            col: 0,
            code: 2
        })
    );
}

fn matrix() -> impl Strategy<Value = (Vec<u8>, usize, usize, usize)> {
    (1usize..9, 1usize..200, 0u32..5).prop_flat_map(|(n_rows, n_cols, log2)| {
        let codes = proptest::collection::vec(0u8..3, n_rows * n_cols);
        (codes, Just(n_rows), Just(n_cols), Just(1 << log2))
    })
}

proptest! {
    #[test]
    fn b2_round_trips((codes, n_rows, n_cols, rows_per_tile) in matrix()) {
        let tiles = pack_b2(&codes, n_rows, n_cols, rows_per_tile);
        prop_assert_eq!(tiles.len(), padded_rows(n_rows, rows_per_tile) * padded_cols(n_cols) / 4);
        prop_assert_eq!(check_b2(&tiles, n_rows, n_cols, rows_per_tile), Ok(()));
        prop_assert_eq!(unpack_b2(&tiles, n_rows, n_cols, rows_per_tile), codes);
    }

    #[test]
    fn t5_round_trips(codes in proptest::collection::vec(0u8..3, 0..200)) {
        let bytes = encode_t5(&codes);
        prop_assert_eq!(bytes.len(), t5_bytes(codes.len()));
        prop_assert_eq!(decode_t5(&bytes, codes.len()), Ok(codes));
    }

    #[test]
    fn one_wrong_code_is_found((codes, n_rows, n_cols, rows_per_tile) in matrix(), at in any::<prop::sample::Index>()) {
        let at = at.index(codes.len());
        let (row, col) = (at / n_cols, at % n_cols);
        let mut tiles = pack_b2(&codes, n_rows, n_cols, rows_per_tile);
        let n_quads = padded_cols(n_cols) / 64;
        let element = col % 16;
        tiles[quad_offset(row, col / 64, n_quads, rows_per_tile) + col % 64 / 16 * 4 + element % 4] |= 3 << (2 * (element / 4));
        prop_assert_eq!(check_b2(&tiles, n_rows, n_cols, rows_per_tile), Err(WrongCode { row, col, code: 3 }));
    }
}
