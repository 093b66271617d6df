// Rotary positions, the append to the cache and attention over one chunk of the context, for one token (decode): rope_kv and a
// chunk of attention in one dispatch. attention_combine merges the chunks, with the bits of attention.
//
// qkv     [stride] f32: queries at 0, keys at k_offset, values at v_offset
// table   [context, D / 2] (cos, sin), as in rope_kv
// k_cache, v_cache [kv_heads, context, D] elements of the provider of `kv`; the token's own position is written
// partials [heads, n_chunks, D + 4] f32: m, l, two unused, acc
// One workgroup: (HEADS query heads of one key-value head, chunk); see lib/attention.wgsl. The token's own key and value are
// not read from the cache, where another workgroup may be writing them, but computed again. Needs D % 4 == 0,
// D <= 256, even offsets.
// needs: step, kv, rope, attention

override WG: u32 = 256;

struct Params {
    heads: u32,
    group: u32,    // query heads of a key-value head
    head_dim: u32,
    context: u32,
    scale: f32,    // 1 / sqrt(D)
    n_chunks: u32, // of the whole context
    k_offset: u32,
    v_offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> k_cache: array<KvQuad>;
@group(0) @binding(5) var<storage, read_write> v_cache: array<KvQuad>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec4<f32>>;

// As the cache holds them. Kept packed until they are read behind a barrier: a compiler may otherwise see that packing is
// undone at once, and keep the bits that it should have rounded away (NVIDIA's does).
var<workgroup> own_key: array<KvQuad, MAX_QUADS>;
var<workgroup> own_value: array<KvQuad, MAX_QUADS>;

// Elements e and e + 1 (e even) of the head at `base` (even), rotated. Both halves are loaded and one result taken, so that no
// load waits for a branch.
fn rotated_pair(base: u32, position: u32, e: u32) -> vec2<f32> {
    let half = params.head_dim / 2u;
    let is_upper = e >= half;
    let j = select(e, e - half, is_upper);
    let lower = qkv[(base + j) / 2u];
    let upper = qkv[(base + half + j) / 2u];
    let turns = table[(position * half + j) / 2u];
    let first = vec2<f32>(rotate_lower(lower.x, upper.x, turns.xy), rotate_lower(lower.y, upper.y, turns.zw));
    let second = vec2<f32>(rotate_upper(lower.x, upper.x, turns.xy), rotate_upper(lower.y, upper.y, turns.zw));
    return select(first, second, is_upper);
}

fn rotated_quad(base: u32, position: u32, e: u32) -> vec4<f32> {
    return vec4<f32>(rotated_pair(base, position, e), rotated_pair(base, position, e + 2u));
}

// The token's own key and value as the cache holds them; `write` puts them there.
fn own_position(lid: u32, kv_head: u32, position: u32, quads: u32, write: bool) {
    if lid < quads {
        let packed = kv_pack(rotated_quad(params.k_offset + kv_head * params.head_dim, position, lid * 4u));
        own_key[lid] = packed;
        if write { k_cache[(kv_head * params.context + position) * quads + lid] = packed; }
    } else if lid < 2u * quads {
        let quad = lid - quads;
        let at = params.v_offset + kv_head * params.head_dim + quad * 4u;
        let packed = kv_pack(vec4<f32>(qkv[at / 2u], qkv[at / 2u + 1u]));
        own_value[quad] = packed;
        if write { v_cache[(kv_head * params.context + position) * quads + quad] = packed; }
    }
}

// A position of the same chunk that no workgroup writes.
fn other_than(own: u32, p: u32) -> u32 {
    return select(p, select(p - 1u, 1u, p == 0u), p == own);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let first_head = wid.x * HEADS;
    let position = step.pos;
    let start = wid.y * CHUNK;
    if start > position || position >= params.context { return; }
    let n = min(position + 1u - start, CHUNK);
    let quads = params.head_dim / 4u;
    let kv_head = first_head / params.group;
    let chunk_base = (kv_head * params.context + start) * quads;
    // Where in the chunk the token's own position is; behind its end in all chunks but the last.
    let own = position - start;

    // The cache is read before anything else, since nothing else takes as long. What would be the own position is another
    // one's, and replaced below.
    var stored_keys: array<KvQuad, KEY_STEPS>;
    var stored_values: array<KvQuad, VALUE_STEPS>;
    for (var j = 0u; j < KEY_STEPS; j = j + 1u) { // unrolled
        let place = key_place(lid, j, n, quads);
        stored_keys[j] = k_cache[chunk_base + other_than(own, place.p) * quads + place.quad];
    }
    for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
        let place = value_place(lid, j, n, quads);
        stored_values[j] = v_cache[chunk_base + other_than(own, place.p) * quads + place.quad];
    }
    if own < CHUNK {
        own_position(lid, kv_head, position, quads, first_head % params.group == 0u);
    }
    for (var t = lid; t < HEADS * quads; t = t + WG) {
        q_heads[t / quads][t % quads] = rotated_quad((first_head + t / quads) * params.head_dim, position, t % quads * 4u);
    }
    workgroupBarrier();

    var keys: array<vec4<f32>, KEY_STEPS>;
    var values: array<vec4<f32>, VALUE_STEPS>;
    for (var j = 0u; j < KEY_STEPS; j = j + 1u) { // unrolled
        let place = key_place(lid, j, n, quads);
        keys[j] = kv_unpack(stored_keys[j]);
        if place.p == own { keys[j] = kv_unpack(own_key[place.quad]); }
    }
    for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
        let place = value_place(lid, j, n, quads);
        values[j] = kv_unpack(stored_values[j]);
        if place.p == own { values[j] = kv_unpack(own_value[place.quad]); }
    }
    score_chunk(lid, n, quads, params.scale, keys);
    weigh_chunk(lid, n);
    let parts = sum_values(lid, n, quads, values);
    for (var r = 0u; r < JOIN_ROUNDS; r = r + 1u) { // unrolled
        let joined = join_values(lid, quads, r * JOINED, parts);
        if lid < JOINED * quads {
            let head = r * JOINED + lid / quads;
            let at = ((first_head + head) * params.n_chunks + wid.y) * (quads + 1u);
            partials[at + 1u + lid % quads] = joined;
            if lid % quads == 0u { partials[at] = vec4<f32>(chunk_max(head), chunk_sum(head), 0.0, 0.0); }
        }
    }
}
