//! Ternary codes: the B2 tiles that kernels read, and the T5 bytes that travel.

use super::{K_MULTIPLE, padded_cols, padded_rows};

/// Bytes of a quad: 64 codes of one row.
const QUAD_BYTES: usize = K_MULTIPLE / 4;
/// The low bit of each 2-bit field.
const LOW_BITS: u32 = 0x5555_5555;

/// Packs 16 codes of one row into a word.
fn pack_word(codes: &[u8; 16]) -> u32 {
    let lane = |i: usize| {
        u32::from_le_bytes([
            codes[4 * i],
            codes[4 * i + 1],
            codes[4 * i + 2],
            codes[4 * i + 3],
        ])
    };
    lane(0) | lane(1) << 2 | lane(2) << 4 | lane(3) << 6
}

/// Byte offset of a quad in a B2 buffer.
fn quad_offset(row: usize, quad: usize, n_quads: usize, rows_per_tile: usize) -> usize {
    ((row / rows_per_tile * n_quads + quad) * rows_per_tile + row % rows_per_tile) * QUAD_BYTES
}

/// Packs codes `[n_rows, n_cols] u8` (0, 1, 2 for -1, 0, 1) into B2 tiles of `padded_rows * padded_cols / 4` bytes.
///
/// # Panics
/// If `codes` does not hold `n_rows * n_cols` codes or `rows_per_tile` is 0: both come from the caller, never from a file.
/// Codes above 2 are a caller's bug and give undefined words.
pub fn pack_b2(codes: &[u8], n_rows: usize, n_cols: usize, rows_per_tile: usize) -> Vec<u8> {
    assert_eq!(
        codes.len(),
        n_rows * n_cols,
        "pack_b2 needs n_rows * n_cols codes"
    );
    let n_quads = padded_cols(n_cols) / K_MULTIPLE;
    let mut out = vec![0u8; padded_rows(n_rows, rows_per_tile) * n_quads * QUAD_BYTES];
    for row in 0..padded_rows(n_rows, rows_per_tile) {
        let row_codes = if row < n_rows {
            &codes[row * n_cols..(row + 1) * n_cols]
        } else {
            &[][..]
        };
        for quad in 0..n_quads {
            let at = quad_offset(row, quad, n_quads, rows_per_tile);
            for (word, out) in out[at..at + QUAD_BYTES].chunks_exact_mut(4).enumerate() {
                let start = (quad * K_MULTIPLE + word * 16).min(row_codes.len());
                let part = &row_codes[start..(start + 16).min(row_codes.len())];
                let mut sixteen = [1u8; 16];
                sixteen[..part.len()].copy_from_slice(part);
                out.copy_from_slice(&pack_word(&sixteen).to_le_bytes());
            }
        }
    }
    out
}

/// Unpacks B2 tiles into codes `[n_rows, n_cols] u8`; padding is dropped. Codes are returned as stored: check with [`check_b2`].
///
/// # Panics
/// If `tiles` is not as long as [`pack_b2`] makes it, or `rows_per_tile` is 0.
pub fn unpack_b2(tiles: &[u8], n_rows: usize, n_cols: usize, rows_per_tile: usize) -> Vec<u8> {
    let n_quads = padded_cols(n_cols) / K_MULTIPLE;
    assert_eq!(
        tiles.len(),
        padded_rows(n_rows, rows_per_tile) * n_quads * QUAD_BYTES,
        "unpack_b2 needs whole tiles"
    );
    let mut codes = Vec::with_capacity(n_rows * n_cols);
    for row in 0..n_rows {
        for col in 0..n_cols {
            let at = quad_offset(row, col / K_MULTIPLE, n_quads, rows_per_tile)
                + col % K_MULTIPLE / 16 * 4;
            // Element e of a word: byte e % 4, bits 2 * (e / 4).
            let element = col % 16;
            codes.push(tiles[at + element % 4] >> (2 * (element / 4)) & 3);
        }
    }
    codes
}

/// A wrong code: its row, column and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongCode {
    /// Row in the piece, padding rows included.
    pub row: usize,
    /// Column, padding columns included.
    pub col: usize,
    /// The stored code.
    pub code: u8,
}

/// Finds the first code that is 3, or padding that is not 1, in tiles as [`pack_b2`] makes them.
///
/// # Errors
/// The place and value of that code.
pub fn check_b2(
    tiles: &[u8],
    n_rows: usize,
    n_cols: usize,
    rows_per_tile: usize,
) -> Result<(), WrongCode> {
    let n_quads = padded_cols(n_cols) / K_MULTIPLE;
    if n_quads == 0 || rows_per_tile == 0 {
        return Ok(());
    }
    let column_bytes = rows_per_tile * QUAD_BYTES;
    for (tile, columns) in tiles.chunks_exact(n_quads * column_bytes).enumerate() {
        let first_row = tile * rows_per_tile;
        for (quad, column) in columns.chunks_exact(column_bytes).enumerate() {
            let has_padding =
                first_row + rows_per_tile > n_rows || (quad + 1) * K_MULTIPLE > n_cols;
            // Nearly always there is nothing to find, and a load waits for this: no more than what tells so.
            if !has_padding && !has_code_3(column) {
                continue;
            }
            for (row, bytes) in column.chunks_exact(QUAD_BYTES).enumerate() {
                check_quad(bytes, first_row + row, quad, n_rows, n_cols)?;
            }
        }
    }
    Ok(())
}

/// Whether any code is 3. The bytes are whole quads.
fn has_code_3(quads: &[u8]) -> bool {
    const LOW: u64 = (LOW_BITS as u64) << 32 | LOW_BITS as u64;
    let (words, _) = quads.as_chunks::<8>();
    let both = words.iter().fold(0, |both, bytes| {
        let word = u64::from_le_bytes(*bytes);
        both | word & word >> 1
    });
    both & LOW != 0
}

/// Finds the first wrong code of a quad.
fn check_quad(
    bytes: &[u8],
    row: usize,
    quad: usize,
    n_rows: usize,
    n_cols: usize,
) -> Result<(), WrongCode> {
    for element in 0..K_MULTIPLE {
        // Element e of a word: byte e % 4, bits 2 * (e / 4).
        let (word, in_word) = (element / 16, element % 16);
        let code = bytes[4 * word + in_word % 4] >> (2 * (in_word / 4)) & 3;
        let col = quad * K_MULTIPLE + element;
        let is_padding = row >= n_rows || col >= n_cols;
        if code == 3 || (is_padding && code != 1) {
            return Err(WrongCode { row, col, code });
        }
    }
    Ok(())
}

/// Bytes of `n_codes` codes in T5.
pub const fn t5_bytes(n_codes: usize) -> usize {
    n_codes.div_ceil(5)
}

/// Packs codes (0, 1, 2) five a byte, first code most significant; the last byte is padded with code 1.
pub fn encode_t5(codes: &[u8]) -> Vec<u8> {
    let byte = |five: &[u8]| {
        let value = (0..5).fold(0u32, |value, i| {
            value * 3 + u32::from(five.get(i).copied().unwrap_or(1))
        });
        // At most 242, so that the quotient fits a byte.
        (value * 256).div_ceil(243) as u8
    };
    codes.chunks(5).map(byte).collect()
}

/// What each T5 byte holds: five codes, and whether [`encode_t5`] ever writes it.
const T5_TABLE: [([u8; 5], bool); 256] = t5_table();

const fn t5_table() -> [([u8; 5], bool); 256] {
    let mut table = [([0u8; 5], false); 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut value = 0u32;
        let mut i = 0;
        while i < 5 {
            let product = rest * 3;
            table[byte].0[i] = (product >> 8) as u8;
            value = value * 3 + (product >> 8);
            rest = product & 255;
            i += 1;
        }
        table[byte].1 = (value * 256).div_ceil(243) as usize == byte;
        byte += 1;
    }
    table
}

/// Unpacks `n_codes` codes from T5 bytes.
///
/// # Errors
/// The index of the first byte that [`encode_t5`] never writes, or whose padding is not code 1.
///
/// # Panics
/// If `bytes` is not [`t5_bytes`]`(n_codes)` long.
pub fn decode_t5(bytes: &[u8], n_codes: usize) -> Result<Vec<u8>, usize> {
    assert_eq!(
        bytes.len(),
        t5_bytes(n_codes),
        "decode_t5 needs t5_bytes(n_codes) bytes"
    );
    let mut codes = Vec::with_capacity(bytes.len() * 5);
    let mut all_valid = true;
    for &byte in bytes {
        let (five, is_valid) = &T5_TABLE[usize::from(byte)];
        all_valid &= is_valid;
        codes.extend_from_slice(five);
    }
    if !all_valid {
        let is_invalid = |byte: &u8| !T5_TABLE[usize::from(*byte)].1;
        return Err(bytes.iter().position(is_invalid).unwrap_or(0));
    }
    if codes[n_codes..].iter().any(|&code| code != 1) {
        return Err(bytes.len() - 1);
    }
    codes.truncate(n_codes);
    Ok(codes)
}

#[cfg(test)]
#[path = "ternary_tests.rs"]
mod tests;
