#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::layout::{stored_piece_bytes, unpack_b2};
use crate::{Coding, Encoding, Scale};

const LAYOUT: TernaryLayout = TernaryLayout {
    rows_per_tile: 2,
    coding: Coding::B2,
};

fn transform(shape: [u32; 2], blocks: CodeBlocks, order: RowOrder) -> CodesTransform {
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
    CodesTransform {
        source_name: "blk.0.attn_q.weight".into(),
        shape,
        blocks,
        has_scale: matches!(blocks, CodeBlocks::I2s(_)),
        order,
        layout: LAYOUT,
        chunks: super::super::chunks(&pieces, LAYOUT, 1),
        pieces,
    }
}

/// Runs a transform over the bytes of its tensor.
fn run(transform: &CodesTransform, scale: f32, codes: &[u8]) -> Result<(f32, Vec<u8>), Error> {
    let whole = ByteRange {
        file: "f".into(),
        offset: 0,
        bytes: codes.len() as u64,
    };
    let mut work = transform.start(0);
    let mut index = 0;
    if transform.has_scale {
        work.push(0, scale.to_le_bytes().to_vec())?;
        index = 1;
    }
    for chunk in &transform.chunks {
        let range = transform.range(&whole, chunk);
        let bytes = &codes[range.offset as usize..][..range.bytes as usize];
        work.push(index, bytes.to_vec())?;
        index += 1;
    }
    let output = work.finish()?;
    let [n_rows, n_cols] = transform.shape.map(|n| n as usize);
    let codes = unpack_b2(&output.pieces[0].bytes, n_rows, n_cols, 2);
    Ok((output.scale.unwrap(), codes))
}

fn modulo_3(n: usize) -> Vec<u8> {
    (0..n).map(|e| (e % 3) as u8).collect()
}

/// formats: codes e mod 3 begin with these bytes.
#[test]
fn the_published_vectors_of_i2_s_are_unpacked() {
    for (block, vector) in [
        (I2sBlock::Of128, [0x24, 0x49, 0x92, 0x24]),
        (I2sBlock::Of64, [0x18, 0x61, 0x86, 0x18]),
    ] {
        let n_bytes = if block == I2sBlock::Of128 { 32 } else { 16 };
        // The pattern of bytes repeats every three.
        let bytes: Vec<u8> = (0..n_bytes).map(|i| vector[i % 3]).collect();
        let n = 4 * n_bytes as u32;
        let transform = transform([1, n], CodeBlocks::I2s(block), RowOrder::Plain);
        let (scale, codes) = run(&transform, 0.25, &bytes).unwrap();
        assert_eq!((scale, codes), (0.25, modulo_3(n as usize)), "{block:?}");
    }
}

/// Packs flattened codes in blocks of 128.
fn pack_i2s(codes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; codes.len() / 4];
    for (e, code) in codes.iter().enumerate() {
        bytes[e / 128 * 32 + e % 32] |= code << (6 - 2 * (e % 128 / 32));
    }
    bytes
}

#[test]
fn rows_that_begin_inside_a_block_are_found() {
    // 64 rows of 54: 3456 codes in 27 blocks, in chunks of ten rows.
    let codes: Vec<u8> = (0..64 * 54).map(|e: usize| (e * e % 7 % 3) as u8).collect();
    let transform = transform([64, 54], CodeBlocks::I2s(I2sBlock::Of128), RowOrder::Plain);
    assert_eq!(run(&transform, 1.0, &pack_i2s(&codes)).unwrap().1, codes);
}

#[test]
fn rotary_pairs_are_put_back() {
    // Two heads of 8 rows, each row of 16 codes tells its number in base 3.
    let row = |number: u32| -> Vec<u8> {
        (0..16)
            .map(|digit| (number / 3u32.pow(digit % 4) % 3) as u8)
            .collect()
    };
    let order = RowOrder::RotaryPairs { head_dim: 8 };
    // formats: new row h D + 2 p + t is row h D + t D / 2 + p.
    let mut stored = vec![Vec::new(); 16];
    for head in 0..2 {
        for t in 0..2 {
            for p in 0..4 {
                stored[head * 8 + 2 * p + t] = row((head * 8 + t * 4 + p) as u32);
            }
        }
    }
    let transform = transform([16, 16], CodeBlocks::I2s(I2sBlock::Of128), order);
    let (_, codes) = run(&transform, 1.0, &pack_i2s(&stored.concat())).unwrap();
    let expected: Vec<u8> = (0..16).flat_map(row).collect();
    assert_eq!(codes, expected);
}

#[test]
fn wrong_codes_and_scales_are_named() {
    let transform = transform([2, 64], CodeBlocks::I2s(I2sBlock::Of128), RowOrder::Plain);
    let mut bytes = pack_i2s(&modulo_3(128));
    bytes[5] |= 3 << 2;
    let error = run(&transform, 1.0, &bytes).unwrap_err().to_string();
    assert!(
        error.contains("blk.0.attn_q.weight, row 1, column 5: ternary code must be 0, 1 or 2"),
        "{error}"
    );
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = run(&transform, scale, &bytes).unwrap_err().to_string();
        assert!(error.contains("finite and positive"), "{error}");
    }
}

/// A TQ2_0 block whose codes are e mod 3.
fn tq2_block(scale: f32) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    for e in 0..256 {
        bytes[32 * (e / 128) + e % 32] |= ((e % 3) as u8) << (2 * (e % 128 / 32));
    }
    bytes.extend(f16::from_f32(scale).to_le_bytes());
    bytes
}

#[test]
fn blocks_of_zeros_have_no_scale_and_others_share_one() {
    let shape = [1, 512];
    let transform = transform(shape, CodeBlocks::Tq2, RowOrder::Plain);
    let blocks = |scales: [f32; 2]| scales.map(tq2_block).concat();
    let (scale, codes) = run(&transform, 0.0, &blocks([0.0, 0.5])).unwrap();
    assert_eq!(scale, 0.5);
    assert_eq!(codes, [vec![1; 256], modulo_3(256)].concat());
    let (scale, codes) = run(&transform, 0.0, &blocks([0.0, 0.0])).unwrap();
    assert_eq!((scale, codes), (ANY_SCALE, vec![1; 512]));
    let error = run(&transform, 0.0, &blocks([0.5, 0.25]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("scales 0.5 and 0.25"), "{error}");
    let error = run(&transform, 0.0, &blocks([0.5, -0.5]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("finite and positive, got -0.5"), "{error}");
}

#[test]
fn every_digit_of_tq1_0_has_its_place() {
    // Five digits c0 .. c4 make the byte ceil(v * 256 / 243); the last four bytes hold four digits and a zero.
    let code = |e: usize| (e * 5 % 11 % 3) as u32;
    let byte = |digits: [u32; 5]| {
        let value = digits.iter().fold(0, |value, digit| value * 3 + digit);
        (value * 256).div_ceil(243) as u8
    };
    let mut bytes: Vec<u8> = (0..32)
        .map(|m| byte([0, 1, 2, 3, 4].map(|n| code(m + 32 * n))))
        .collect();
    bytes.extend((0..16).map(|m| byte([0, 1, 2, 3, 4].map(|n| code(160 + m + 16 * n)))));
    bytes.extend((0..4).map(|m| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| code(240 + m + 4 * n));
        byte([a, b, c, d, 0])
    }));
    bytes.extend(f16::from_f32(2.0).to_le_bytes());
    let transform = transform([1, 256], CodeBlocks::Tq1, RowOrder::Plain);
    let (scale, codes) = run(&transform, 0.0, &bytes).unwrap();
    assert_eq!(scale, 2.0);
    assert_eq!(codes, (0..256).map(|e| code(e) as u8).collect::<Vec<_>>());
}
