// Causal attention of one query head over one chunk of the context; attention_combine merges the chunks.
//
//   s_p = (q . k_p) / sqrt(D);   m = max s_p;   l = sum exp(s_p - m);   acc = sum exp(s_p - m) v_p
//
// over the chunk's positions p up to the token's own. Prefill and decode run this same kernel, and the chunks are fixed, so a
// position's result does not depend on the run it is computed in.
//
// q        [n_tokens, heads, D] f32, rotated
// k_cache, v_cache [kv_heads, context, D] elements of the provider of `kv`
// partials [n_tokens, heads, n_chunks, D + 2] f32: m, l, acc
// One workgroup: (query head, chunk, token). First an invocation a position; then an invocation four elements of the head and
// every n-th position. Sums are sequential or the tree of lib/sum.wgsl. Needs D % 4 == 0, D <= 1024.
// needs: step, kv, sum

override WG: u32 = 256;
const CHUNK: u32 = 256u; // equals WG

struct AttentionParams {
    heads: u32,
    group: u32,    // query heads of a key-value head
    head_dim: u32,
    context: u32,
    n_chunks: u32, // of the whole context
    scale: f32,    // 1 / sqrt(D)
}
@group(0) @binding(0) var<uniform> params: AttentionParams;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> k_cache: array<KvQuad>;
@group(0) @binding(4) var<storage, read> v_cache: array<KvQuad>;
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;

var<workgroup> weights: array<f32, 256>;
var<workgroup> slices: array<vec4<f32>, 256>;

fn score(q_base: u32, k_base: u32, quads: u32) -> f32 {
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < quads; i = i + 1u) {
        sum = fma(q[q_base + i], kv_unpack(k_cache[k_base + i]), sum);
    }
    return ((sum.x + sum.y) + (sum.z + sum.w)) * params.scale;
}

// Largest of the first n floats of `weights`.
fn wg_max_weight(lid: u32, n: u32) -> f32 {
    for (var stride = CHUNK / 2u; stride > 0u; stride = stride >> 1u) {
        if lid < stride && lid + stride < n {
            weights[lid] = max(weights[lid], weights[lid + stride]);
        }
        workgroupBarrier();
    }
    let largest = weights[0];
    workgroupBarrier();
    return largest;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let head = wid.x;
    let chunk = wid.y;
    let token = wid.z;
    let position = step.pos + token;
    let start = chunk * CHUNK;
    if start > position || chunk >= params.n_chunks { return; }
    let n = min(position + 1u - start, CHUNK);
    let quads = params.head_dim / 4u;
    let kv_base = (head / params.group * params.context + start) * quads;

    var s = 0.0;
    if lid < n {
        s = score((token * params.heads + head) * quads, kv_base + lid * quads, quads);
    }
    weights[lid] = s;
    workgroupBarrier();
    let largest = wg_max_weight(lid, n);
    var weight = 0.0;
    if lid < n { weight = exp(s - largest); }
    weights[lid] = weight;
    let total = wg_sum_f32(lid, weight);

    let n_slices = CHUNK / quads;
    let slice = lid / quads;
    var sum = vec4<f32>(0.0);
    if slice < n_slices {
        let column = kv_base + lid % quads;
        for (var p = slice; p < n; p = p + n_slices) {
            sum = fma(vec4<f32>(weights[p]), kv_unpack(v_cache[column + p * quads]), sum);
        }
    }
    slices[lid] = sum;
    workgroupBarrier();
    let at = ((token * params.heads + head) * params.n_chunks + chunk) * (params.head_dim + 2u);
    if lid < quads {
        var acc = slices[lid];
        for (var i = 1u; i < n_slices; i = i + 1u) {
            acc = acc + slices[i * quads + lid];
        }
        partials[at + 2u + lid * 4u] = acc.x;
        partials[at + 3u + lid * 4u] = acc.y;
        partials[at + 4u + lid * 4u] = acc.z;
        partials[at + 5u + lid * 4u] = acc.w;
    }
    if lid == 0u {
        partials[at] = largest;
        partials[at + 1u] = total;
    }
}
