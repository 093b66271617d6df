// Rotary positions, the append to the cache and attention over one chunk of the context, for one token (decode): rope_kv and a
// chunk of attention in one dispatch. attention_combine merges the chunks, with the bits of attention.
//
// qkv     [stride] f32: queries at 0, keys at k_offset, values at v_offset
// table   [context, D / 2] (cos, sin), as in rope_kv
// k_cache, v_cache [kv_heads, context, D] elements of the provider of `kv`, then [kv_heads, context] scales if it has them; the
// token's own position is written
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
var<workgroup> own_scales: array<KvQuad, 2>; // of key and value

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
    let is_key = lid < quads;
    let is_value = lid >= quads && lid < 2u * quads;
    let quad = select(lid - quads, lid, is_key);
    var own = vec4<f32>(0.0);
    if is_key {
        own = rotated_quad(params.k_offset + kv_head * params.head_dim, position, quad * 4u);
    } else if is_value {
        let at = params.v_offset + kv_head * params.head_dim + quad * 4u;
        own = vec4<f32>(qkv[at / 2u], qkv[at / 2u + 1u]);
    }
    let row = kv_head * params.context + position;
    let scale_at = params.heads / params.group * params.context * quads + row;
    let largest = kv_largest_together(lid, select(1u, 0u, is_key), own);
    let packed = kv_pack(own, largest);
    let scale = kv_pack_scale(largest);
    if is_key {
        own_key[quad] = packed;
        if write { k_cache[row * quads + quad] = packed; }
        if KV_SCALED && quad == 0u {
            own_scales[0] = scale;
            if write { k_cache[scale_at] = scale; }
        }
    } else if is_value {
        own_value[quad] = packed;
        if write { v_cache[row * quads + quad] = packed; }
        if KV_SCALED && quad == 0u {
            own_scales[1] = scale;
            if write { v_cache[scale_at] = scale; }
        }
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
    let scales = (params.heads / params.group * quads + kv_head) * params.context + start;
    // Where in the chunk the token's own position is; behind its end in all chunks but the last.
    let own = position - start;

    // The cache is read before anything else, since nothing else takes as long. What would be the own position is another
    // one's, and replaced below.
    var stored_keys: array<KvQuad, KEY_STEPS>;
    var stored_values: array<KvQuad, VALUE_STEPS>;
    var value_scales: array<f32, VALUE_STEPS>;
    // All key quads of an invocation are of one position.
    let scale_of_key = key_scale(scales + other_than(own, key_place(lid, 0u, n, quads).p));
    for (var j = 0u; j < KEY_STEPS; j = j + 1u) { // unrolled
        let place = key_place(lid, j, n, quads);
        stored_keys[j] = k_cache[chunk_base + other_than(own, place.p) * quads + place.quad];
    }
    for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
        let place = value_place(lid, j, n, quads);
        stored_values[j] = v_cache[chunk_base + other_than(own, place.p) * quads + place.quad];
        value_scales[j] = value_scale(scales + other_than(own, place.p));
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
        keys[j] = kv_unpack(stored_keys[j], scale_of_key);
        if place.p == own { keys[j] = kv_unpack(own_key[place.quad], kv_scale(own_scales[0])); }
    }
    for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
        let place = value_place(lid, j, n, quads);
        values[j] = kv_unpack(stored_values[j], value_scales[j]);
        if place.p == own { values[j] = kv_unpack(own_value[place.quad], kv_scale(own_scales[1])); }
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
