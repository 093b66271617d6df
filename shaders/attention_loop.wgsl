// Causal attention of one query head, for one token, by 16 invocations that loop where those of attention share. For software
// adapters: they run the invocations of a workgroup in small groups, one after the other, and what only some of them do costs
// as much as if all did it. The same sums in the same order, so the same bits.
//
//   out = sum_p exp(s_p - M) v_p / sum_p exp(s_p - M),   s_p = (q . k_p) / sqrt(D),   M = max s_p
//
// q        [n_tokens, heads, D] f32, rotated
// k_cache, v_cache [kv_heads, context, D] elements of the provider of `kv`, then [kv_heads, context] scales if it has them
// out      [n_tokens, heads, D] f32
// One workgroup: (query head, token). Needs D % 4 == 0, D <= 256.
// needs: step, kv, merge

override WG: u32 = 16;
const CHUNK: u32 = 64u;
const SHARES: u32 = 16u;   // invocations
const PER_SHARE: u32 = 4u; // positions of an invocation: CHUNK / SHARES
const PAIRS: u32 = 2u;     // PER_SHARE / 2
const ROUNDS: u32 = 1u;    // quads of the head that an invocation sums: D / 4 / SHARES, rounded up

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

var<workgroup> chunk_weights: array<f32, 64>; // scores, then their exponentials
var<workgroup> share_max: array<f32, 16>;
var<workgroup> share_sum: array<f32, 16>;

fn across(sum: vec4<f32>) -> f32 {
    return (sum.x + sum.y) + (sum.z + sum.w);
}

// Score of the key at `at` for the query at `row`: four sums, each of every fourth quad.
fn score(row: u32, at: u32, scale: f32, quads: u32) -> f32 {
    var first = vec4<f32>(0.0);
    var second = vec4<f32>(0.0);
    var third = vec4<f32>(0.0);
    var fourth = vec4<f32>(0.0);
    for (var i = 0u; i < quads; i = i + 4u) {
        first = fma(q[row + i], kv_unpack(k_cache[at + i], scale), first);
        if i + 1u < quads { second = fma(q[row + i + 1u], kv_unpack(k_cache[at + i + 1u], scale), second); }
        if i + 2u < quads { third = fma(q[row + i + 2u], kv_unpack(k_cache[at + i + 2u], scale), third); }
        if i + 3u < quads { fourth = fma(q[row + i + 3u], kv_unpack(k_cache[at + i + 3u], scale), fourth); }
    }
    return ((across(first) + across(second)) + (across(third) + across(fourth))) * params.scale;
}

// The exponential in the score's place, zero from the n-th on.
fn weigh(p: u32, n: u32, largest: f32) -> f32 {
    var weight = 0.0;
    if p < n { weight = exp(chunk_weights[p] - largest); }
    chunk_weights[p] = weight;
    return weight;
}

// Weighted values of a quad: `slices` sums, each of every slices-th position, then their sum.
fn sum_values(base: u32, scales: u32, n: u32, quads: u32, quad: u32) -> vec4<f32> {
    let slices = 256u / quads;
    var total = vec4<f32>(0.0);
    for (var slice = 0u; slice < slices; slice = slice + 1u) {
        var part = vec4<f32>(0.0);
        for (var p = slice; p < n; p = p + slices) {
            let values = kv_unpack(v_cache[base + p * quads + quad], value_scale(scales + p));
            part = fma(vec4<f32>(chunk_weights[p]), values, part);
        }
        total = select(total + part, part, slice == 0u);
    }
    return total;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let head = wid.x;
    let token = wid.y;
    let position = step.pos + token;
    let quads = params.head_dim / 4u;
    if position >= params.context { return; }
    let first_row = head / params.group * params.context;
    let cache_base = first_row * quads;
    let scale_base = params.heads / params.group * params.context * quads + first_row;
    let row = (token * params.heads + head) * quads;
    var merged: array<Merging, ROUNDS>;
    for (var start = 0u; start <= position; start = start + CHUNK) {
        let n = min(position + 1u - start, CHUNK);
        let base = cache_base + start * quads;
        // Behind the n-th position its score again, which changes no maximum.
        var share_largest = 0.0;
        for (var j = 0u; j < PER_SHARE; j = j + 1u) {
            let p = lid * PER_SHARE + j;
            let at = min(p, n - 1u);
            let own = score(row, base + at * quads, key_scale(scale_base + start + at), quads);
            chunk_weights[p] = own;
            share_largest = select(max(share_largest, own), own, j == 0u);
        }
        share_max[lid] = share_largest;
        workgroupBarrier();
        var chunk_max = share_max[0];
        for (var i = 1u; i < SHARES; i = i + 1u) {
            chunk_max = max(chunk_max, share_max[i]);
        }
        var own_sum = 0.0;
        for (var j = 0u; j < PAIRS; j = j + 1u) {
            let p = lid * PER_SHARE + 2u * j;
            let first = weigh(p, n, chunk_max);
            let pair = first + weigh(p + 1u, n, chunk_max);
            own_sum = select(own_sum + pair, pair, j == 0u);
        }
        share_sum[lid] = own_sum;
        workgroupBarrier();
        var chunk_sum = share_sum[0];
        for (var i = 1u; i < SHARES; i = i + 1u) {
            chunk_sum = chunk_sum + share_sum[i];
        }
        for (var r = 0u; r < ROUNDS; r = r + 1u) { // unrolled
            let values = sum_values(base, scale_base + start, n, quads, min(lid + r * SHARES, quads - 1u));
            let next = Part(values, chunk_max, chunk_sum);
            merged[r] = merge_chunk(merged[r], next, start / CHUNK, start + CHUNK > position);
        }
        // The next chunk's scores overwrite what has been read here.
        workgroupBarrier();
    }
    for (var r = 0u; r < ROUNDS; r = r + 1u) { // unrolled
        let quad = lid + r * SHARES;
        if quad < quads { out[row + quad] = merged[r].whole.values / merged[r].whole.sum; }
    }
}
