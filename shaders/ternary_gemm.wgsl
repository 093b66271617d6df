// Ternary matrix times several int8 rows (prefill). The same integers and the same float functions as ternary_gemv, so the
// results are bit-identical to it row by row.
//
// w, gamma: as in ternary_gemv
// q     [n_tokens, k_padded / 16] vec4<u32>
// rows  [n_tokens] RowScale
// y     [n_tokens, n_rows] f32
// One invocation: one row and TOKENS tokens; neighbours read neighbouring quads and share the activations.
// needs: step, dot, ternary

override WG: u32 = 64;
override R: u32 = 16;
override EPILOGUE: u32 = 0;
const TOKENS: u32 = 8u; // accumulators live in registers, so their number is fixed in the text

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

fn dot_quad(codes: vec4<u32>, at: u32) -> i32 {
    return dot_codes(codes.x, q[at]) + dot_codes(codes.y, q[at + 1u]) + dot_codes(codes.z, q[at + 2u]) + dot_codes(codes.w, q[at + 3u]);
}

// Sums of TOKENS tokens. Named fields instead of an array: an index that is not constant would put them into memory.
struct Sums {
    low: vec4<i32>,
    high: vec4<i32>,
}

// Dot products of one row with TOKENS tokens from `first`; tokens past the end repeat the last one.
fn tile(row_base: u32, first: u32) -> Sums {
    let last = step.n_tokens - 1u;
    let stride = params.n_quads * 4u;
    let at_low = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last)) * stride;
    let at_high = min(vec4<u32>(first) + vec4<u32>(4u, 5u, 6u, 7u), vec4<u32>(last)) * stride;
    var sums = Sums(vec4<i32>(0), vec4<i32>(0));
    for (var quad = 0u; quad < params.n_quads; quad = quad + 1u) {
        let codes = w[row_base + quad * R];
        let low = at_low + vec4<u32>(quad * 4u);
        let high = at_high + vec4<u32>(quad * 4u);
        sums.low = sums.low + vec4<i32>(
            dot_quad(codes, low.x), dot_quad(codes, low.y), dot_quad(codes, low.z), dot_quad(codes, low.w));
        sums.high = sums.high + vec4<i32>(
            dot_quad(codes, high.x), dot_quad(codes, high.y), dot_quad(codes, high.z), dot_quad(codes, high.w));
    }
    return sums;
}

fn finish(token: u32, row: u32, sum: i32, sum_up: i32) {
    if token >= step.n_tokens { return; }
    var value = dequantize(sum, rows[token], gamma[row]);
    if EPILOGUE != EPILOGUE_STORE {
        value = gated(EPILOGUE, value, dequantize(sum_up, rows[token], gamma[params.up_gamma + row]));
    }
    y[token * params.n_rows + row] = value;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = wid.x * WG + lid;
    let first = wid.y * TOKENS;
    if row >= params.n_rows { return; }
    let row_base = (row / R) * params.n_quads * R + row % R;
    let sums = tile(row_base, first);
    var up = Sums(vec4<i32>(0), vec4<i32>(0));
    if EPILOGUE != EPILOGUE_STORE {
        up = tile(params.up_offset + row_base, first);
    }
    finish(first, row, sums.low.x, up.low.x);
    finish(first + 1u, row, sums.low.y, up.low.y);
    finish(first + 2u, row, sums.low.z, up.low.z);
    finish(first + 3u, row, sums.low.w, up.low.w);
    finish(first + 4u, row, sums.high.x, up.high.x);
    finish(first + 5u, row, sums.high.y, up.high.y);
    finish(first + 6u, row, sums.high.z, up.high.z);
    finish(first + 7u, row, sums.high.w, up.high.w);
}
