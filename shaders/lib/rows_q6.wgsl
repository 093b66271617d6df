// Rows of 6-bit codes with a scale per group. Same signatures as rows_f16.wgsl and rows_q8.wgsl. The including kernel declares
// `params: RowsParams`.
// table  [n_rows, padded / 32][6] u32: for 32 columns four words of low nibbles (column e at bits 4 * (e % 8) of word e / 8)
//        and two words of high pairs (at bits 2 * (e % 16) of word 4 + e / 16)
// scales [n_rows, padded / group] f32
struct RowsParams {
    hidden: u32,           // columns
    first_row: u32,        // token of the part's first row
    n_rows: u32,           // rows of the part
    n_octets: u32,         // columns padded to a multiple of 64, over 8
    scales_per_row: u32,
    octets_per_scale: u32,
    row_stride: u32,       // lm_head: logits of a position
    pad: u32,
}
@group(0) @binding(3) var<storage, read> table: array<u32>;
@group(0) @binding(4) var<storage, read> scales: array<f32>;

// Eight consecutive columns.
struct Octet {
    lo: vec4<f32>,
    hi: vec4<f32>,
}

struct OctetPair {
    first: Octet,
    second: Octet,
}

// Four codes from 16 bits of nibbles and 8 bits of pairs, without their bias.
fn six_bits(nibbles: u32, pairs: u32) -> vec4<f32> {
    let low = (vec4<u32>(nibbles) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
    let high = (vec4<u32>(pairs) >> vec4<u32>(0u, 2u, 4u, 6u)) & vec4<u32>(3u);
    return vec4<f32>(low | (high << vec4<u32>(4u))) - vec4<f32>(32.0);
}

// Columns 8 * octet .. 8 * octet + 8 of a row.
fn row_octet(row: u32, octet: u32) -> Octet {
    let block = (row * params.n_octets + octet) / 4u * 6u;
    let nibbles = table[block + octet % 4u];
    let pairs = table[block + 4u + (octet % 4u) / 2u] >> (16u * (octet % 2u));
    let scale = scales[row * params.scales_per_row + octet / params.octets_per_scale];
    return Octet(six_bits(nibbles, pairs) * scale, six_bits(nibbles >> 16u, pairs >> 8u) * scale);
}

// Octets 2 * pair and 2 * pair + 1 of a row, not yet multiplied with row_factor.
fn row_pair(row: u32, pair: u32) -> OctetPair {
    return OctetPair(row_octet(row, 2u * pair), row_octet(row, 2u * pair + 1u));
}

fn row_factor(row: u32) -> f32 {
    return 1.0;
}
