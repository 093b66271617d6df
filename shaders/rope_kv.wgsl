// Rotary positions of queries and keys, and the append of keys and values to the cache.
//
//   x'[j]         = x[j] * cos - x[j + D / 2] * sin          (j < D / 2)
//   x'[j + D / 2] = x[j + D / 2] * cos + x[j] * sin
//
// qkv     [n_tokens, stride] f32: queries at 0, keys at k_offset, values at v_offset
// table   [context, D / 2] (cos, sin), computed on the CPU in f64
// q       [n_tokens, heads, D] f32
// k_cache, v_cache [kv_heads, context, D] elements of the provider of `kv`, then [kv_heads, context] scales if it has them
// One invocation: four elements of a head of queries, keys or values. Needs D % 4 == 0.
// needs: step, kv, rope

override WG: u32 = 64;

struct Params {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    stride: u32,
    k_offset: u32,
    v_offset: u32,
    context: u32,
    pad: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<f32>;
@group(0) @binding(3) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> k_cache: array<KvQuad>;
@group(0) @binding(6) var<storage, read_write> v_cache: array<KvQuad>;

// Element e of the head at `base`, rotated.
fn rotated(base: u32, angles: u32, e: u32) -> f32 {
    let half = params.head_dim / 2u;
    if e < half { return rotate_lower(qkv[base + e], qkv[base + e + half], table[angles + e]); }
    return rotate_upper(qkv[base + e - half], qkv[base + e], table[angles + e - half]);
}

fn rotated_quad(base: u32, position: u32, e: u32) -> vec4<f32> {
    let angles = position * (params.head_dim / 2u);
    return vec4<f32>(
        rotated(base, angles, e),
        rotated(base, angles, e + 1u),
        rotated(base, angles, e + 2u),
        rotated(base, angles, e + 3u),
    );
}

fn value_quad(base: u32, quad: u32) -> vec4<f32> {
    let at = base + quad * 4u;
    return vec4<f32>(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]);
}

// What a row's scale depends on. A head may straddle workgroups, so each invocation goes over all of it, where there are scales.
fn largest_key(base: u32, position: u32, quads: u32) -> u32 {
    var largest = 0u;
    if KV_SCALED {
        for (var i = 0u; i < quads; i = i + 1u) { largest = max(largest, kv_largest(rotated_quad(base, position, i * 4u))); }
    }
    return largest;
}

fn largest_value(base: u32, quads: u32) -> u32 {
    var largest = 0u;
    if KV_SCALED {
        for (var i = 0u; i < quads; i = i + 1u) { largest = max(largest, kv_largest(value_quad(base, i))); }
    }
    return largest;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let token = wid.y;
    let position = step.pos + token;
    let quads = params.head_dim / 4u;
    let at = wid.x * WG + lid;
    let head = at / quads;
    let quad = at % quads;
    if head >= params.heads + 2u * params.kv_heads || token >= step.n_tokens || position >= params.context {
        return;
    }
    let row = token * params.stride;
    let scales = params.kv_heads * params.context * quads;
    if head < params.heads {
        let base = row + head * params.head_dim;
        q[(token * params.heads + head) * quads + quad] = rotated_quad(base, position, quad * 4u);
    } else if head < params.heads + params.kv_heads {
        let kv_head = head - params.heads;
        let base = row + params.k_offset + kv_head * params.head_dim;
        let at = kv_head * params.context + position;
        let largest = largest_key(base, position, quads);
        k_cache[at * quads + quad] = kv_pack(rotated_quad(base, position, quad * 4u), largest);
        if KV_SCALED && quad == 0u { k_cache[scales + at] = kv_pack_scale(largest); }
    } else {
        let kv_head = head - params.heads - params.kv_heads;
        let base = row + params.v_offset + kv_head * params.head_dim;
        let at = kv_head * params.context + position;
        let largest = largest_value(base, quads);
        v_cache[at * quads + quad] = kv_pack(value_quad(base, quad), largest);
        if KV_SCALED && quad == 0u { v_cache[scales + at] = kv_pack_scale(largest); }
    }
}
