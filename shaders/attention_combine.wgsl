// Merge of the chunks of a row of attention.
//
//   out = sum_c exp(m_c - M) acc_c / sum_c exp(m_c - M) l_c,   M = max m_c,   chunks in ascending order
//
// over the chunks up to the token's own position.
//
// partials [n_tokens, heads, n_chunks, D + 2] f32: m, l, acc, from attention
// out      [n_tokens, heads, D] f32
// One workgroup: (query head, token); an invocation walks the chunks for its elements of the head.
// needs: step

override WG: u32 = 64;
const CHUNK: u32 = 256u;

struct AttentionParams {
    heads: u32,
    group: u32,
    head_dim: u32,
    context: u32,
    n_chunks: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: AttentionParams;
@group(0) @binding(2) var<storage, read> partials: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = wid.y * params.heads + wid.x;
    let len = params.head_dim + 2u;
    let base = row * params.n_chunks * len;
    let used = min((step.pos + wid.y) / CHUNK + 1u, params.n_chunks);
    var largest = partials[base];
    for (var c = 1u; c < used; c = c + 1u) {
        largest = max(largest, partials[base + c * len]);
    }
    for (var e = lid; e < params.head_dim; e = e + WG) {
        var total = 0.0;
        var acc = 0.0;
        for (var c = 0u; c < used; c = c + 1u) {
            let at = base + c * len;
            let weight = exp(partials[at] - largest);
            total = fma(weight, partials[at + 1u], total);
            acc = fma(weight, partials[at + 2u + e], acc);
        }
        out[row * params.head_dim + e] = acc / total;
    }
}
