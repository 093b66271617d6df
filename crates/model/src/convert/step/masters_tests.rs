#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::layout::{stored_piece_bytes, unpack_b2};
use crate::{Coding, Encoding, Scale};

const LAYOUT: TernaryLayout = TernaryLayout {
    rows_per_tile: 2,
    coding: Coding::B2,
};

fn transform(shape: [u32; 2], rule: MasterRule, max_rows: u64) -> MastersTransform {
    let encoding = Encoding::Ternary {
        scale: Scale::Tensor { value: 0.0 },
    };
    let pieces = vec![Piece {
        shard: 0,
        offset: 0,
        bytes: stored_piece_bytes(&LAYOUT, &encoding, shape[1], shape[0]).unwrap(),
        first_row: 0,
        n_rows: shape[0],
    }];
    MastersTransform {
        source_name: "model.q.weight".into(),
        shape,
        coding: RowCoding::Floats(FloatType::F32),
        strides: None,
        order: RowOrder::Plain,
        rule,
        layout: LAYOUT,
        chunks: super::super::chunks(&pieces, LAYOUT, max_rows),
        pieces,
    }
}

fn run(transform: &MastersTransform, values: &[f32]) -> Result<(f32, Vec<u8>), Error> {
    let bytes = |values: &[f32]| -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    let n_cols = transform.shape[1] as usize;
    let mut work = transform.start(0);
    if transform.strides.is_some() {
        work.push(0, bytes(values))?;
    } else {
        for (index, chunk) in transform.chunks.iter().chain(&transform.chunks).enumerate() {
            let first = chunk.first_row as usize * n_cols;
            let part = &values[first..first + chunk.n_rows as usize * n_cols];
            work.push(index, bytes(part))?;
        }
    }
    let output = work.finish()?;
    let [n_rows, n_cols] = transform.shape.map(|n| n as usize);
    let codes = unpack_b2(&output.pieces[0].bytes, n_rows, n_cols, 2);
    Ok((output.scale.unwrap(), codes))
}

#[test]
fn halves_are_rounded_to_zero_and_the_rest_is_cut() {
    // The mean magnitude is 2, so that 1 is exactly a half.
    let values = [1.0, -1.0, 1.0001, -1.0001, 5.0, -5.0, 0.9999, 0.9999];
    let (scale, codes) = run(&transform([2, 4], MasterRule::AbsMean, 1), &values).unwrap();
    assert_eq!(scale, 2.0f32.min(16.0 / 8.0));
    assert_eq!(codes, [1, 1, 2, 0, 2, 0, 1, 1]);
}

#[test]
fn matrices_that_are_ternary_already_keep_their_magnitude() {
    let values = [0.7, 0.0, -0.7, 0.0];
    let expected = vec![2, 1, 0, 1];
    for rule in [MasterRule::Detect, MasterRule::Ternary] {
        let result = run(&transform([1, 4], rule, 1), &values).unwrap();
        assert_eq!(result, (0.7, expected.clone()), "{rule:?}");
    }
    let (scale, codes) = run(&transform([1, 4], MasterRule::AbsMean, 1), &values).unwrap();
    assert_eq!((scale, codes), (0.35, expected));
}

#[test]
fn several_magnitudes_are_refused_unless_they_are_called_masters() {
    let values: Vec<f32> = (0..512).map(|i| [0.5, 0.0, -0.25][i % 3]).collect();
    for (rule, hint) in [
        (MasterRule::Detect, "several multipliers"),
        (MasterRule::Ternary, "--weights masters"),
    ] {
        let error = run(&transform([8, 64], rule, 1), &values)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("model.q.weight") && error.contains("got 2 magnitudes"),
            "{error}"
        );
        assert!(error.contains(hint), "{error}");
    }
    assert!(run(&transform([8, 64], MasterRule::AbsMean, 1), &values).is_ok());
}

#[test]
fn chunks_give_the_same_as_a_whole() {
    let values: Vec<f32> = (0..33 * 7).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
    let whole = run(&transform([33, 7], MasterRule::Detect, 1000), &values).unwrap();
    let parts = run(&transform([33, 7], MasterRule::Detect, 1), &values).unwrap();
    assert_eq!(whole.1, parts.1);
    assert!((whole.0 - parts.0).abs() <= f32::EPSILON);
}

#[test]
fn strides_are_followed() {
    // The transpose of a row-major [5, 3] matrix, and a matrix whose rows are two apart.
    let values: Vec<f32> = (0..15).map(|i| ((i * 7 % 15) as f32) - 7.0).collect();
    let transposed: Vec<f32> = (0..3)
        .flat_map(|row| (0..5).map(move |col| row + 3 * col))
        .map(|at| values[at])
        .collect();
    let mut strided = transform([3, 5], MasterRule::AbsMean, 1);
    strided.strides = Some(Strides { row: 1, col: 3 });
    let expected = run(&transform([3, 5], MasterRule::AbsMean, 1), &transposed).unwrap();
    assert_eq!(run(&strided, &values).unwrap(), expected);
}

#[test]
fn values_that_are_not_finite_are_named() {
    let mut values = vec![1.0; 44 * 3];
    values[41 * 3 + 2] = f32::NAN;
    let error = run(&transform([44, 3], MasterRule::Detect, 1), &values)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("model.q.weight, row 41, column 2: ternary needs finite values"),
        "{error}"
    );
}
