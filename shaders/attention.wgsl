// Causal attention of the query heads of one key-value head, for one token: all chunks of the context up to the token's own
// position, each merged as soon as it is computed.
//
//   out = sum_p exp(s_p - M) v_p / sum_p exp(s_p - M),   s_p = (q . k_p) / sqrt(D),   M = max s_p
//
// q        [n_tokens, heads, D] f32, rotated
// k_cache, v_cache [kv_heads, context, D] elements of the provider of `kv`, then [kv_heads, context] scales if it has them
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

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let first_head = wid.x * HEADS;
    let token = wid.y;
    let position = step.pos + token;
    if position >= params.context { return; }
    let first_row = first_head / params.group * params.context;
    let cache_base = first_row * QUADS;
    let scales = params.heads / params.group * params.context * QUADS + first_row;
    let row = (token * params.heads + first_head) * QUADS;
    for (var t = lid; t < HEADS * QUADS; t = t + WG) {
        q_heads[t / QUADS][t % QUADS] = q[row + t];
    }
    workgroupBarrier();

    // What an invocation below JOINED * QUADS has merged: a quad of one head in each round.
    var merged: array<Merging, JOIN_ROUNDS>;
    for (var start = 0u; start <= position; start = start + CHUNK) {
        let n = min(position + 1u - start, CHUNK);
        let chunk_base = cache_base + start * QUADS;
        var keys: array<vec4<f32>, KEY_STEPS>;
        var values: array<vec4<f32>, VALUE_STEPS>;
        // All key quads of an invocation are of one position.
        let scale_of_key = key_scale(scales + start + key_place(lid, 0u, n).p);
        for (var j = 0u; j < KEY_STEPS; j = j + 1u) { // unrolled
            let place = key_place(lid, j, n);
            keys[j] = kv_unpack(k_cache[chunk_base + place.p * QUADS + place.quad], scale_of_key);
        }
        for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
            let place = value_place(lid, j, n);
            let scale = value_scale(scales + start + place.p);
            values[j] = kv_unpack(v_cache[chunk_base + place.p * QUADS + place.quad], scale);
        }
        score_chunk(lid, 0u, keys);
        weigh_chunk(lid, 0u, n, params.scale);
        let parts = sum_values(lid, 0u, n, values);
        for (var r = 0u; r < JOIN_ROUNDS; r = r + 1u) { // unrolled
            leave_values(lid, 0u, r * JOINED, parts);
            if lid < JOINED * QUADS {
                let head = r * JOINED + lid / QUADS;
                let next = Part(joined_quad(lid / QUADS, lid % QUADS), chunk_max(head), chunk_sum(head));
                merged[r] = merge_chunk(merged[r], next, start / CHUNK, start + CHUNK > position);
            }
            // What is left next takes their place.
            workgroupBarrier();
        }
    }
    if lid < JOINED * QUADS {
        for (var r = 0u; r < JOIN_ROUNDS; r = r + 1u) { // unrolled
            out[row + r * JOINED * QUADS + lid] = merged[r].whole.values / merged[r].whole.sum;
        }
    }
}
