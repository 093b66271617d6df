// Rotary positions of queries and keys, and the append of keys and values to the cache.
//
//   x'[j]         = x[j] * cos - x[j + D / 2] * sin          (j < D / 2)
//   x'[j + D / 2] = x[j + D / 2] * cos + x[j] * sin
//
// qkv     [n_tokens, stride] f32: queries at 0, keys at k_offset, values at v_offset
// table   [context, D / 2] (cos, sin), computed on the CPU in f64
// q       [n_tokens, heads, D] f32
// k_cache, v_cache [kv_heads, context, D] elements of the provider of `kv`
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
    if head < params.heads {
        let base = row + head * params.head_dim;
        q[(token * params.heads + head) * quads + quad] = rotated_quad(base, position, quad * 4u);
    } else if head < params.heads + params.kv_heads {
        let kv_head = head - params.heads;
        let base = row + params.k_offset + kv_head * params.head_dim;
        k_cache[(kv_head * params.context + position) * quads + quad] = kv_pack(rotated_quad(base, position, quad * 4u));
    } else {
        let kv_head = head - params.heads - params.kv_heads;
        let base = row + params.v_offset + kv_head * params.head_dim + quad * 4u;
        let values = vec4<f32>(qkv[base], qkv[base + 1u], qkv[base + 2u], qkv[base + 3u]);
        v_cache[(kv_head * params.context + position) * quads + quad] = kv_pack(values);
    }
}
