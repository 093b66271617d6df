#![allow(clippy::unwrap_used, reason = "tests")]

use half::f16;

use super::decode::read_floats;
use super::*;
use crate::checkpoint::{FloatType, RowCoding, ScaleConvention};
use crate::layout::{dequantize_q8_row, encode_t5, pack_b2, unpack_b2};
use crate::{Coding, Encoding, Piece, TernaryLayout};

fn packed(shape: [u32; 2], coding: Coding) -> PackedTransform {
    let layout = TernaryLayout {
        rows_per_tile: 2,
        coding,
    };
    let bytes = crate::layout::stored_piece_bytes(&layout, &TERNARY, shape[1], shape[0]).unwrap();
    PackedTransform {
        source_name: "model.q.weight".into(),
        shape,
        scale_dtype: FloatType::Bf16,
        convention: ScaleConvention::Divide,
        layout,
        pieces: vec![Piece {
            shard: 0,
            offset: 0,
            bytes,
            first_row: 0,
            n_rows: shape[0],
        }],
    }
}

const TERNARY: Encoding = Encoding::Ternary {
    scale: crate::Scale::Tensor { value: 0.0 },
};
/// 2.0 in bf16.
const TWO: [u8; 2] = [0x00, 0x40];

/// formats: column [-1, 0, 1, 1, 0, -1, 1, 0] is packed as the bytes 0x98, 0x49.
#[test]
fn the_published_vector_is_unpacked() {
    let output = packed([8, 1], Coding::B2)
        .run(0, &[0x98, 0x49], &TWO)
        .unwrap();
    let codes = unpack_b2(&output.pieces[0].bytes, 8, 1, 2);
    assert_eq!(codes, [0, 1, 2, 2, 1, 0, 2, 1]);
    assert_eq!(output.scale, Some(0.5), "the stored scale is the inverse");
}

#[test]
fn surplus_rows_of_the_last_quarter_are_dropped() {
    // Six rows in ceil(6 / 4) = 2 packed rows: the last two fields of row 1 are never read, even if they hold 3.
    let output = packed([6, 1], Coding::B2)
        .run(0, &[0b00_10_01_00, 0b11_10_01_00], &TWO)
        .unwrap();
    assert_eq!(
        unpack_b2(&output.pieces[0].bytes, 6, 1, 2),
        [0, 0, 1, 1, 2, 2]
    );
}

#[test]
fn pieces_made_in_chunks_equal_a_whole() {
    // 33 rows of 7: several chunks of ten rows, the last one short, widths that fill neither words nor T5 bytes.
    let n = 33 * 7;
    let codes: Vec<u8> = (0..n).map(|i: usize| (i * i % 3) as u8).collect();
    let packed_rows = 9;
    let mut bytes = vec![0u8; packed_rows * 7];
    for (i, code) in codes.iter().enumerate() {
        let (row, col) = (i / 7, i % 7);
        bytes[row % packed_rows * 7 + col] |= code << (2 * (row / packed_rows));
    }
    let run = |coding| {
        packed([33, 7], coding)
            .run(0, &bytes, &TWO)
            .unwrap()
            .pieces
            .remove(0)
            .bytes
    };
    assert_eq!(run(Coding::B2), pack_b2(&codes, 33, 7, 2));
    assert_eq!(run(Coding::T5), encode_t5(&codes));
}

#[test]
fn code_3_and_bad_scales_are_named() {
    let transform = packed([8, 1], Coding::T5);
    let error = transform
        .run(0, &[0x98, 0xc9], &TWO)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("model.q.weight, row 7, column 0: ternary code must be 0, 1 or 2, got 3"),
        "{error}"
    );
    // 0, -2, NaN, infinity, and the smallest bf16, whose inverse is infinite.
    for scale in [[0, 0], [0, 0xc0], [0xc0, 0x7f], [0x80, 0x7f], [1, 0]] {
        let error = transform
            .run(0, &[0x98, 0x49], &scale)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("model.q.weight_scale") && error.contains("finite and positive"),
            "{error}"
        );
    }
}

#[test]
fn all_float_types_are_read() {
    assert_eq!(read_floats(&1.5f32.to_le_bytes(), FloatType::F32), [1.5]);
    assert_eq!(
        read_floats(&f16::from_f32(1.5).to_le_bytes(), FloatType::F16),
        [1.5]
    );
    assert_eq!(read_floats(&[0xc0, 0x3f], FloatType::Bf16), [1.5]);
}

fn floats(encoding: Encoding) -> Step {
    Step {
        tensor: 0,
        first_piece: 3,
        reads: vec![ByteRange {
            file: "f".into(),
            offset: 100,
            bytes: 24,
        }],
        transform: Transform::Rows(RowsTransform {
            source_name: "model.norm.weight".into(),
            n_cols: 3,
            coding: RowCoding::Floats(FloatType::F32),
            strides: None,
            encoding,
            first_row: 40,
            n_rows: 2,
        }),
    }
}

fn run(step: &Step, inputs: Vec<Vec<u8>>) -> Result<StepOutput, Error> {
    let mut run = step.start();
    for input in inputs {
        run.push(input)?;
    }
    run.finish()
}

fn bytes(values: [f32; 6]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn rows_are_all_codes_then_all_scales() {
    let values = bytes([127.0, 1.0, 0.0, 0.0, 0.0, 254.0]);
    let output = run(&floats(Encoding::Q8), vec![values]).unwrap();
    let [piece] = &output.pieces[..] else {
        panic!("one piece was asked for")
    };
    assert_eq!((piece.piece, piece.bytes.len()), (3, 2 * 64 + 2 * 4));
    assert_eq!(
        dequantize_q8_row(&piece.bytes[..64], 1.0, 3),
        [127.0, 1.0, 0.0]
    );
    assert_eq!(
        piece.bytes[128..],
        [1.0f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat()
    );
}

#[test]
fn wrong_values_and_inputs_are_named() {
    let values = bytes([0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0]);
    let error = run(&floats(Encoding::F32), vec![values])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("model.norm.weight, row 41, column 1: f32 needs finite values"),
        "{error}"
    );
    let values = bytes([1e5, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let error = run(&floats(Encoding::F16), vec![values])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("row 40, column 0: f16 needs finite values up to 65504, got 100000"),
        "{error}"
    );
    for inputs in [vec![], vec![vec![0; 23]], vec![vec![0; 24], vec![]]] {
        let error = run(&floats(Encoding::F32), inputs).unwrap_err().to_string();
        assert!(
            error.contains("file f: length must be 24 at 100 bytes"),
            "{error}"
        );
    }
}
