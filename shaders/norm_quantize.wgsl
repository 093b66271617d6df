// Residual add, RMSNorm and int8 quantisation of one row per workgroup.
//
//   x    = x + delta                                   (ADD_DELTA)
//   y    = gain * (x * rsqrt(mean(x^2) + eps))         (NORM; else y = x)
//   amax = max(max |y|, 1e-5),  q = clamp(round_half_even(y * (127 / amax)), -128, 127)
//
// x     [n_tokens, width] f32, updated in place when ADD_DELTA
// delta [n_tokens, width] f32
// gain  [width] f32
// q     [n_tokens, k_padded / 4] u32, four signed bytes a word; columns width..k_padded are 0
// rows  [n_tokens] RowScale
// One workgroup: one token. Needs width % 4 == 0.
// needs: step, sum, reduce, ternary, norm

override WG: u32 = 256;
override NORM: bool = true;
override ADD_DELTA: bool = true;

struct Params {
    width: u32,
    k_padded: u32,
    eps: f32,
    pad: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> delta: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> gain: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> q: array<u32>;
@group(0) @binding(6) var<storage, read_write> rows: array<RowScale>;

fn normalized(i: u32, value: vec4<f32>, scale: f32) -> vec4<f32> {
    if NORM {
        return gain[i] * (value * scale);
    }
    return value;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let token = wid.x;
    let n4 = params.width / 4u;
    let base = token * n4;

    var squares = 0.0;
    for (var i = lid; i < n4; i = i + WG) {
        var v = x[base + i];
        if ADD_DELTA {
            v = v + delta[base + i];
            x[base + i] = v;
        }
        squares = add_squares(squares, v);
    }
    var scale = 1.0;
    if NORM {
        scale = rms_scale(wg_sum_f32(lid, squares), params.width, params.eps);
    }

    var largest = 0u;
    for (var i = lid; i < n4; i = i + WG) {
        largest = larger_bits(largest, normalized(i, x[base + i], scale));
    }
    let amax = amax_of(wg_max_u32(lid, largest));
    let inverse = 127.0 / amax;

    var sum_q = 0;
    let words = params.k_padded / 4u;
    for (var i = lid; i < words; i = i + WG) {
        var packed = 0u;
        if i < n4 {
            let codes = quantize(normalized(i, x[base + i], scale), inverse);
            sum_q = sum_q + codes.sum;
            packed = codes.word;
        }
        q[token * words + i] = packed;
    }
    let total = wg_sum_i32(lid, sum_q);
    if lid == 0u {
        rows[token] = RowScale(amax, total);
    }
}
