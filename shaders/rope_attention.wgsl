// Rotary positions, the append to the cache and attention over one chunk of the context, for one token (decode): rope_kv and a
// chunk of attention in one dispatch. attention_combine merges the chunks, with the bits of attention.
//
// qkv     [stride] f32: queries at 0, keys at k_offset, values at v_offset
// table   [context, D / 2] (cos, sin), as in rope_kv
// k_cache, v_cache [kv_heads, context, D] elements of the provider of `kv`, then [kv_heads, context] scales if it has them; the
// token's own position is written
// partials [heads, n_chunks, D + 4] f32: m, l, two unused, acc, of chunks, or of pairs of them in the first half of a head's
// One workgroup: (HEADS query heads of one key-value head, chunk), or (a query head, pair): then it has two teams, each with one
// of the chunks, and merges what they find; see lib/attention.wgsl. The token's own key and value are not read from the cache,
// where another workgroup may be writing them, but computed again. Needs D % 4 == 0, D <= 256, even offsets.
// needs: step, kv, rope, merge, attention

override WG: u32 = 256; // TEAM * TEAMS
// Whether values are loaded when the keys are used up, which takes fewer registers, so that more workgroups have room at once.
override VALUES_LATE: bool = false;
const D: u32 = 4u * QUADS;

// Constants, since parameters would have to be loaded before the cache is.
override KV_HEADS: u32 = 1;
override GROUP: u32 = 1;    // query heads of a key-value head
override CONTEXT: u32 = 64;
override SCALE: f32 = 1.0;  // 1 / sqrt(D)
override N_CHUNKS: u32 = 1; // of the whole context
override K_OFFSET: u32 = 4;
override V_OFFSET: u32 = 8;

@group(0) @binding(2) var<storage, read> qkv: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> k_cache: array<KvQuad>;
@group(0) @binding(5) var<storage, read_write> v_cache: array<KvQuad>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec4<f32>>;

// As the cache holds them. Kept packed until they are read behind a barrier: a compiler may otherwise see that packing is
// undone at once, and keep the bits that it should have rounded away (NVIDIA's does).
var<workgroup> own_key: array<KvQuad, QUADS>;
var<workgroup> own_value: array<KvQuad, QUADS>;
var<workgroup> own_scales: array<KvQuad, 2>; // of key and value

// Elements e and e + 1 (e even) of the head at `base` (even), rotated. Both halves are loaded and one result taken, so that no
// load waits for a branch.
fn rotated_pair(base: u32, position: u32, e: u32) -> vec2<f32> {
    let half = D / 2u;
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
fn own_position(lid: u32, kv_head: u32, position: u32, write: bool) {
    let is_key = lid < QUADS;
    let is_value = lid >= QUADS && lid < 2u * QUADS;
    let quad = select(lid - QUADS, lid, is_key);
    var own = vec4<f32>(0.0);
    if is_key {
        own = rotated_quad(K_OFFSET + kv_head * D, position, quad * 4u);
    } else if is_value {
        let at = V_OFFSET + kv_head * D + quad * 4u;
        own = vec4<f32>(qkv[at / 2u], qkv[at / 2u + 1u]);
    }
    let row = kv_head * CONTEXT + position;
    let scale_at = KV_HEADS * CONTEXT * QUADS + row;
    let largest = kv_largest_together(lid, select(1u, 0u, is_key), own);
    let packed = kv_pack(own, largest);
    let scale = kv_pack_scale(largest);
    if is_key {
        own_key[quad] = packed;
        if write { k_cache[row * QUADS + quad] = packed; }
        if KV_SCALED && quad == 0u {
            own_scales[0] = scale;
            if write { k_cache[scale_at] = scale; }
        }
    } else if is_value {
        own_value[quad] = packed;
        if write { v_cache[row * QUADS + quad] = packed; }
        if KV_SCALED && quad == 0u {
            own_scales[1] = scale;
            if write { v_cache[scale_at] = scale; }
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let first_head = wid.x * HEADS;
    let position = step.pos;
    let first = wid.y * TEAMS * CHUNK;
    if first > position || position >= CONTEXT { return; }
    let lid = index % TEAM;
    let team = index / TEAM;
    let unit = team * HEADS;
    // A team behind the end repeats the first one's chunk, and what it finds is not used.
    let is_used = first + team * CHUNK <= position;
    let start = select(first, first + team * CHUNK, is_used);
    let n = min(position + 1u - start, CHUNK);
    let kv_head = first_head / GROUP;
    let chunk_base = (kv_head * CONTEXT + start) * QUADS;
    // Where in the chunk the token's own position is; behind its end in all chunks but the last.
    let own = position - start;

    // The cache is read before anything else, since nothing else takes as long. Places are those of positions that no workgroup
    // writes; what should be the own position's is replaced below.
    let others = select(n, max(n, 2u) - 1u, own < CHUNK);
    let shift = select(0u, 1u, own == 0u);
    let readable = chunk_base + shift * QUADS;
    let scales = (KV_HEADS * QUADS + kv_head) * CONTEXT + start + shift;
    var stored_keys: array<KvQuad, KEY_STEPS>;
    var stored_values: array<KvQuad, VALUE_STEPS>;
    var value_scales: array<f32, VALUE_STEPS>;
    // All key quads of an invocation are of one position.
    let scale_of_key = key_scale(scales + key_place(lid, 0u, others).p);
    for (var j = 0u; j < KEY_STEPS; j = j + 1u) { // unrolled
        let place = key_place(lid, j, others);
        stored_keys[j] = k_cache[readable + place.p * QUADS + place.quad];
    }
    if !VALUES_LATE {
        for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
            let place = value_place(lid, j, others);
            stored_values[j] = v_cache[readable + place.p * QUADS + place.quad];
            value_scales[j] = value_scale(scales + place.p);
        }
    }
    if position - first < TEAMS * CHUNK {
        own_position(index, kv_head, position, first_head % GROUP == 0u);
    }
    // By the last invocations, since the first ones have their own position to rotate.
    for (var t = WG - 1u - index; t < HEADS * QUADS; t = t + WG) {
        q_heads[t / QUADS][t % QUADS] = rotated_quad((first_head + t / QUADS) * D, position, t % QUADS * 4u);
    }
    workgroupBarrier();

    var keys: array<vec4<f32>, KEY_STEPS>;
    var values: array<vec4<f32>, VALUE_STEPS>;
    for (var j = 0u; j < KEY_STEPS; j = j + 1u) { // unrolled
        let place = key_place(lid, j, n);
        keys[j] = kv_unpack(stored_keys[j], scale_of_key);
        if place.p == own { keys[j] = kv_unpack(own_key[place.quad], kv_scale(own_scales[0])); }
    }
    score_chunk(lid, unit, keys);
    if VALUES_LATE {
        for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
            let place = value_place(lid, j, others);
            stored_values[j] = v_cache[readable + place.p * QUADS + place.quad];
            value_scales[j] = value_scale(scales + place.p);
        }
    }
    weigh_chunk(lid, unit, n, SCALE);
    for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
        let place = value_place(lid, j, n);
        values[j] = kv_unpack(stored_values[j], value_scales[j]);
        if place.p == own { values[j] = kv_unpack(own_value[place.quad], kv_scale(own_scales[1])); }
    }
    let parts = sum_values(lid, unit, n, values);
    for (var r = 0u; r < JOIN_ROUNDS; r = r + 1u) { // unrolled
        leave_values(lid, unit, r * JOINED, parts);
        if index < JOINED * QUADS {
            let head = r * JOINED + index / QUADS;
            var part = Part(joined_quad(index / QUADS, index % QUADS), chunk_max(head), chunk_sum(head));
            if TEAMS == 2u && first + CHUNK <= position {
                let second = Part(joined_quad(JOIN_UNITS - 1u, index), chunk_max(UNITS - 1u), chunk_sum(UNITS - 1u));
                part = merge_parts(part, second, false);
            }
            let at = ((first_head + head) * N_CHUNKS + wid.y) * (QUADS + 1u);
            partials[at + 1u + index % QUADS] = part.values;
            if index % QUADS == 0u { partials[at] = vec4<f32>(part.largest, part.sum, 0.0, 0.0); }
        }
        // What is left next takes their place.
        if r + 1u < JOIN_ROUNDS { workgroupBarrier(); }
    }
}
