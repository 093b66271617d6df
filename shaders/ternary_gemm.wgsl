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
@group(0) @binding(4) var<storage, read> q: array<TokenQuad>;
@group(0) @binding(5) var<storage, read> rows: array<RowScale>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

// 64 columns of a token, which one quad of a matrix is multiplied with: one index for four loads.
struct TokenQuad {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
}

fn store(token: u32, row: u32, sum: i32, sum_up: i32) {
    if token >= step.n_tokens || row >= params.n_rows { return; }
    let at = token * params.n_rows + row;
    if EPILOGUE == EPILOGUE_ADD {
        y[at] = dequantize_onto(y[at], sum, rows[token], gamma[row]);
        return;
    }
    var value = dequantize(sum, rows[token], gamma[row]);
    if EPILOGUE >= EPILOGUE_GATED {
        value = gated(EPILOGUE, value, dequantize(sum_up, rows[token], gamma[params.up_gamma + row]));
    }
    y[at] = value;
}

// Dot products of ROWS rows, WG apart, with TOKENS tokens; rows and tokens past the end repeat the last one.
fn multiply(row: u32, offset: u32, first: u32) -> array<array<i32, TOKENS>, ROWS> {
    var bases: array<u32, ROWS>;
    for (var r = 0u; r < ROWS; r = r + 1u) { // unrolled
        let at = min(row + r * WG, params.n_rows - 1u);
        bases[r] = offset + (at / R) * params.n_quads * R + at % R;
    }
    var starts: array<u32, TOKENS>;
    for (var t = 0u; t < TOKENS; t = t + 1u) { // unrolled
        starts[t] = min(first + t, step.n_tokens - 1u) * params.n_quads;
    }
    var sums: array<array<i32, TOKENS>, ROWS>;
    for (var quad = 0u; quad < params.n_quads; quad = quad + 1u) {
        var codes: array<vec4<u32>, ROWS>;
        for (var r = 0u; r < ROWS; r = r + 1u) { // unrolled
            codes[r] = w[bases[r] + quad * R];
        }
        for (var t = 0u; t < TOKENS; t = t + 1u) { // unrolled
            let x = q[starts[t] + quad];
            for (var r = 0u; r < ROWS; r = r + 1u) { // unrolled
                sums[r][t] = sums[r][t] + dot_codes(codes[r].x, x.a) + dot_codes(codes[r].y, x.b)
                    + dot_codes(codes[r].z, x.c) + dot_codes(codes[r].w, x.d);
            }
        }
    }
    return sums;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = wid.x * (WG * ROWS) + lid;
    let first = wid.y * TOKENS;
    if row >= params.n_rows { return; }
    let sums = multiply(row, 0u, first);
    var up: array<array<i32, TOKENS>, ROWS>;
    if EPILOGUE >= EPILOGUE_GATED {
        up = multiply(row, params.up_offset, first);
    }
    for (var r = 0u; r < ROWS; r = r + 1u) { // unrolled
        for (var t = 0u; t < TOKENS; t = t + 1u) { // unrolled
            store(first + t, row + r * WG, sums[r][t], up[r][t]);
        }
    }
}
