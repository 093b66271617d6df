// RMSNorm and int8 quantisation of one row per workgroup.
//
//   y    = gain * (x * rsqrt(mean(x^2) + eps))         (NORM; else y = x)
//   amax = max(max |y|, 1e-5),  q = clamp(round_half_even(y * (127 / amax)), -128, 127)
//
// x     [n_tokens, width] f32
// gain  [width] f32
// q     [n_tokens, k_padded / 4] u32, four signed bytes each; columns width..k_padded are 0
// rows  [n_tokens] RowScale
// One workgroup: one token. Needs width % 4 == 0.
// needs: step, dot, ternary, norm, row_totals, row

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
@group(0) @binding(4) var<storage, read_write> q: array<u32>;
@group(0) @binding(5) var<storage, read_write> rows: array<RowScale>;

var<private> token: u32;

fn row_quads(lid: u32, last: u32) -> array<vec4<f32>, ROW_STEPS> {
    var quads: array<vec4<f32>, ROW_STEPS>;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        quads[j] = x[token * (params.width / 4u) + row_place(lid, j, last)];
    }
    return quads;
}

fn row_gain(i: u32) -> vec4<f32> {
    return gain[i];
}

fn row_put(quad: u32, codes: u32) {
    q[token * (params.k_padded / 4u) + quad] = codes;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    token = wid.x;
    let own = quantize_row(lid, params.width, params.k_padded / 4u, params.eps);
    leave_sum(lid, own.sum_q);
    workgroupBarrier();
    if lid == 0u {
        rows[token] = RowScale(own.amax, left_sum());
    }
}
