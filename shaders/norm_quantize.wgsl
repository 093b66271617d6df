// RMSNorm and int8 quantisation of one row per workgroup.
//
//   y    = gain * (x * rsqrt(mean(x^2) + eps))         (NORM; else y = x)
//   amax = max(max |y|, 1e-5),  q = clamp(round_half_even(y * (127 / amax)), -128, 127)
//
// x     [n_tokens, width] f32
// gain  [width] f32
// q     [n_tokens, k_padded / 16] vec4<u32>, 16 signed bytes each; columns width..k_padded are 0
// rows  [n_tokens] RowScale
// One workgroup: one token. Needs width % 4 == 0.
// needs: step, reduce, dot, ternary, norm, row_totals, row

override WG: u32 = 256;
override NORM: bool = true;

struct Params {
    width: u32,
    k_padded: u32,
    eps: f32,
    pad: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gain: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> q: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> rows: array<RowScale>;

var<private> token: u32;

fn row_load(i: u32) -> vec4<f32> {
    return x[token * (params.width / 4u) + i];
}

fn row_columns(at: u32, n4: u32) -> RowColumns {
    return row_plain(at, n4);
}

fn row_gain(i: u32) -> vec4<f32> {
    return gain[i];
}

fn row_put(group: u32, words: vec4<u32>) {
    q[token * (params.k_padded / 16u) + group] = words;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    token = wid.x;
    let own = quantize_row(lid, params.width, params.k_padded / 16u, params.eps);
    let total = wg_sum_i32(lid, own.sum_q);
    if lid == 0u {
        rows[token] = RowScale(own.amax, total);
    }
}
