// Rows of signed bytes with a scale per row. Same signatures as rows_f16.wgsl, rows_q6.wgsl and rows_q4.wgsl. The including kernel declares
// `params: RowsParams`.
// table  [n_rows, padded / 16] vec4<u32>, four bytes a word
// scales [n_rows] f32
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

fn signed_bytes(word: u32) -> vec4<f32> {
    let bytes = bitcast<vec4<i32>>(vec4<u32>(word << 24u, word << 16u, word << 8u, word));
    return vec4<f32>(bytes >> vec4<u32>(24u));
}

// Columns 8 * octet .. 8 * octet + 8 of a row.
fn row_octet(row: u32, octet: u32) -> Octet {
    let four = table[(row * params.n_octets + octet) / 2u];
    let words = select(four.xy, four.zw, octet % 2u == 1u);
    let scale = scales[row];
    return Octet(signed_bytes(words.x) * scale, signed_bytes(words.y) * scale);
}

// Octets 2 * pair and 2 * pair + 1 of a row, not yet multiplied with row_factor.
fn row_pair(row: u32, pair: u32) -> OctetPair {
    let words = table[row * (params.n_octets / 2u) + pair];
    return OctetPair(
        Octet(signed_bytes(words.x), signed_bytes(words.y)),
        Octet(signed_bytes(words.z), signed_bytes(words.w)),
    );
}

fn row_factor(row: u32) -> f32 {
    return scales[row];
}
