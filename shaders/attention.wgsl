// Causal attention of the query heads of one key-value head, for one token: all chunks of the context up to the token's own
// position, each merged as soon as it is computed.
//
//   out = sum_p exp(s_p - M) v_p / sum_p exp(s_p - M),   s_p = (q . k_p) / sqrt(D),   M = max s_p
//
// q        [n_tokens, heads, D] f32, rotated
// k_cache, v_cache [kv_heads, context, D] elements of the provider of `kv`
// out      [n_tokens, heads, D] f32
// One workgroup: (HEADS query heads of one key-value head, token); see lib/attention.wgsl. Needs D % 4 == 0, D <= 256.
// needs: step, kv, attention, merge

override WG: u32 = 256;

struct Params {
    heads: u32,
    group: u32,    // query heads of a key-value head
    head_dim: u32,
    context: u32,
    scale: f32,    // 1 / sqrt(D)
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> k_cache: array<KvQuad>;
@group(0) @binding(4) var<storage, read> v_cache: array<KvQuad>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

// First quad of the chunk in the caches.
var<private> chunk_base: u32;

fn key_quad(p: u32, i: u32) -> vec4<f32> {
    return kv_unpack(k_cache[chunk_base + p * (params.head_dim / 4u) + i]);
}

fn value_quad(p: u32, i: u32) -> vec4<f32> {
    return kv_unpack(v_cache[chunk_base + p * (params.head_dim / 4u) + i]);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let first_head = wid.x * HEADS;
    let token = wid.y;
    let position = step.pos + token;
    let quads = params.head_dim / 4u;
    if position >= params.context { return; }
    let cache_base = first_head / params.group * params.context * quads;
    let row = (token * params.heads + first_head) * quads;
    for (var t = lid; t < HEADS * quads; t = t + WG) {
        q_heads[t] = q[row + t];
    }
    workgroupBarrier();

    var values: array<vec4<f32>, HEADS>;
    var largest: array<f32, HEADS>;
    var sum: array<f32, HEADS>;
    for (var start = 0u; start <= position; start = start + CHUNK) {
        let n = min(position + 1u - start, CHUNK);
        chunk_base = cache_base + start * quads;
        let loaded = load_values(lid, n, quads);
        score_chunk(lid, n, quads, params.scale);
        weigh_chunk(lid, n);
        var parts = sum_values(lid, n, quads, loaded);
        for (var h = 0u; h < HEADS; h = h + 1u) { // unrolled
            let joined = join_values(lid, quads, parts[h]);
            if start == 0u {
                values[h] = joined;
                largest[h] = chunk_max(h);
                sum[h] = chunk_sum(h);
            } else {
                let merged = merge(largest[h], sum[h], chunk_max(h), chunk_sum(h));
                values[h] = merge_values(merged, values[h], joined);
                largest[h] = merged.largest;
                sum[h] = merged.sum;
            }
        }
        // The next chunk's scores overwrite what chunk_max has read.
        workgroupBarrier();
    }
    if lid < quads {
        for (var h = 0u; h < HEADS; h = h + 1u) { // unrolled
            out[row + h * quads + lid] = values[h] / sum[h];
        }
    }
}
