// Ternary matrix times several int8 rows (prefill). The same integers and the same float functions as ternary_gemv, so the
// results are bit-identical to it row by row.
//
// w, gamma: as in ternary_gemv
// q     [n_tokens, k_padded / 16] vec4<u32>
// rows  [n_tokens] RowScale
// y     [n_tokens, n_rows] f32
// One invocation: 4 rows, WG apart, times 4 tokens: a register tile, so that each load serves four sums. Neighbours read
// neighbouring quads and share the activations.
// needs: step, dot, ternary

override WG: u32 = 64;
override R: u32 = 16;
override EPILOGUE: u32 = 0;
const ROWS: u32 = 4u;   // the tile lives in registers, so its size is fixed in the text
const TOKENS: u32 = 4u;

struct Params {
    n_rows: u32,
    n_quads: u32,
    up_offset: u32,
    up_gamma: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> q: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> rows: array<RowScale>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

// One word of codes of a row against the same columns of four tokens.
fn dot_word(codes: u32, x0: vec4<u32>, x1: vec4<u32>, x2: vec4<u32>, x3: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(dot_codes(codes, x0), dot_codes(codes, x1), dot_codes(codes, x2), dot_codes(codes, x3));
}

// Sums of one tile, a vector of tokens for each row. Named fields instead of an array: an index that is not constant would
// put them into memory.
struct Tile {
    row0: vec4<i32>,
    row1: vec4<i32>,
    row2: vec4<i32>,
    row3: vec4<i32>,
}

// Offset of a row's first quad; rows past the end repeat the last one.
fn row_base(row: u32) -> u32 {
    let r = min(row, params.n_rows - 1u);
    return (r / R) * params.n_quads * R + r % R;
}

// Adds the products of one word of each row with the same columns of each token.
fn add_word(t: Tile, codes: vec4<u32>, at: vec4<u32>) -> Tile {
    let x0 = q[at.x];
    let x1 = q[at.y];
    let x2 = q[at.z];
    let x3 = q[at.w];
    return Tile(
        t.row0 + dot_word(codes.x, x0, x1, x2, x3),
        t.row1 + dot_word(codes.y, x0, x1, x2, x3),
        t.row2 + dot_word(codes.z, x0, x1, x2, x3),
        t.row3 + dot_word(codes.w, x0, x1, x2, x3),
    );
}

// Dot products of four rows with four tokens; tokens past the end repeat the last one.
fn multiply(bases: vec4<u32>, first: u32) -> Tile {
    let tokens = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(step.n_tokens - 1u));
    let starts = tokens * (params.n_quads * 4u);
    var t = Tile(vec4<i32>(0), vec4<i32>(0), vec4<i32>(0), vec4<i32>(0));
    for (var quad = 0u; quad < params.n_quads; quad = quad + 1u) {
        let c0 = w[bases.x + quad * R];
        let c1 = w[bases.y + quad * R];
        let c2 = w[bases.z + quad * R];
        let c3 = w[bases.w + quad * R];
        let at = starts + vec4<u32>(quad * 4u);
        for (var word = 0u; word < 4u; word = word + 1u) {
            t = add_word(t, vec4<u32>(c0[word], c1[word], c2[word], c3[word]), at + vec4<u32>(word));
        }
    }
    return t;
}

fn store(token: u32, row: u32, sum: i32, sum_up: i32) {
    if token >= step.n_tokens { return; }
    var value = dequantize(sum, rows[token], gamma[row]);
    if EPILOGUE != EPILOGUE_STORE {
        value = gated(EPILOGUE, value, dequantize(sum_up, rows[token], gamma[params.up_gamma + row]));
    }
    y[token * params.n_rows + row] = value;
}

fn store_row(first: u32, row: u32, sums: vec4<i32>, sums_up: vec4<i32>) {
    if row >= params.n_rows { return; }
    store(first, row, sums.x, sums_up.x);
    store(first + 1u, row, sums.y, sums_up.y);
    store(first + 2u, row, sums.z, sums_up.z);
    store(first + 3u, row, sums.w, sums_up.w);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = wid.x * (WG * ROWS) + lid;
    let first = wid.y * TOKENS;
    if row >= params.n_rows { return; }
    let bases = vec4<u32>(row_base(row), row_base(row + WG), row_base(row + 2u * WG), row_base(row + 3u * WG));
    let sums = multiply(bases, first);
    var up = Tile(vec4<i32>(0), vec4<i32>(0), vec4<i32>(0), vec4<i32>(0));
    if EPILOGUE != EPILOGUE_STORE {
        up = multiply(bases + vec4<u32>(params.up_offset), first);
    }
    store_row(first, row, sums.row0, up.row0);
    store_row(first, row + WG, sums.row1, up.row1);
    store_row(first, row + 2u * WG, sums.row2, up.row2);
    store_row(first, row + 3u * WG, sums.row3, up.row3);
}
