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

// Dot products of one row with TOKENS tokens from `first`; tokens past the end repeat the last one.
fn tile(row_base: u32, first: u32, acc: ptr<function, array<i32, TOKENS>>) {
    let last = step.n_tokens - 1u;
    let stride = params.n_quads * 4u;
    for (var quad = 0u; quad < params.n_quads; quad = quad + 1u) {
        let codes = w[row_base + quad * R];
        for (var t = 0u; t < TOKENS; t = t + 1u) {
            (*acc)[t] = (*acc)[t] + dot_quad(codes, min(first + t, last) * stride + quad * 4u);
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = wid.x * WG + lid;
    let first = wid.y * TOKENS;
    if row >= params.n_rows { return; }
    let row_base = (row / R) * params.n_quads * R + row % R;
    var acc: array<i32, TOKENS>;
    tile(row_base, first, &acc);
    if EPILOGUE == EPILOGUE_STORE {
        for (var t = 0u; t < TOKENS && first + t < step.n_tokens; t = t + 1u) {
            y[(first + t) * params.n_rows + row] = dequantize(acc[t], rows[first + t], gamma[row]);
        }
        return;
    }
    var acc_up: array<i32, TOKENS>;
    tile(params.up_offset + row_base, first, &acc_up);
    for (var t = 0u; t < TOKENS && first + t < step.n_tokens; t = t + 1u) {
        let gate = dequantize(acc[t], rows[first + t], gamma[row]);
        let up = dequantize(acc_up[t], rows[first + t], gamma[params.up_gamma + row]);
        y[(first + t) * params.n_rows + row] = gated(EPILOGUE, gate, up);
    }
}
