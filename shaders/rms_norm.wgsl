// Final norm in front of the LM head, of the rows whose logits are wanted.
//
//   v = x[logit_row + r];   y[r] = gain * (v * rsqrt(mean(v^2) + eps))
//
// x [n_tokens, width] f32; gain [width] f32; y [n_logits, width] f32
// One workgroup: one row. Needs width % 4 == 0.
// needs: step, sum, norm

override WG: u32 = 256;
const STEPS: u32 = 2u; // quads of an invocation: width / 4 / WG, rounded up

struct Params {
    width: u32,
    eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gain: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let n4 = params.width / 4u;
    let source = (step.logit_row + wid.x) * n4;
    // Both are loaded at once, held, and clamped, not branched over.
    var held: array<vec4<f32>, STEPS>;
    var gains: array<vec4<f32>, STEPS>;
    for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled
        let at = min(lid + j * WG, n4 - 1u);
        held[j] = x[source + at];
        gains[j] = gain[at];
    }
    var squares = 0.0;
    for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled
        if lid + j * WG < n4 { squares = add_squares(squares, held[j]); }
    }
    let scale = rms_scale(wg_sum_f32(lid, squares), params.width, params.eps);
    for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled
        let i = lid + j * WG;
        if i < n4 { y[wid.x * n4 + i] = gains[j] * (held[j] * scale); }
    }
}
