// Rows of halves. Same signatures as rows_q8.wgsl and rows_q6.wgsl. The including kernel declares `params: RowsParams`.
// table  [n_rows, padded / 8] vec4<u32>, two halves a word, the lower half first
// scales not read
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
@group(0) @binding(3) var<storage, read> table: array<vec4<u32>>;
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

// Columns 8 * octet .. 8 * octet + 8 of a row.
fn row_octet(row: u32, octet: u32) -> Octet {
    let words = table[row * params.n_octets + octet];
    return Octet(
        vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y)),
        vec4<f32>(unpack2x16float(words.z), unpack2x16float(words.w)),
    );
}

// Octets 2 * pair and 2 * pair + 1 of a row, not yet multiplied with row_factor.
fn row_pair(row: u32, pair: u32) -> OctetPair {
    return OctetPair(row_octet(row, 2u * pair), row_octet(row, 2u * pair + 1u));
}

fn row_factor(row: u32) -> f32 {
    return 1.0;
}
