// Attention of up to four query heads of one key-value head over one chunk of the context, and the merge of chunks: what the
// kernels of prefill and of decode share, so that a position's result does not depend on the run it is computed in.
//
//   s_p = (q . k_p) / sqrt(D);   m = max s_p;   l = sum exp(s_p - m);   acc = sum exp(s_p - m) v_p
//
// Every sum has one order, fixed by the head's size and the positions alone.
// The including kernel has 256 invocations, fills q_heads, and defines key_quad(p, i) and value_quad(p, i): four elements of
// the chunk's p-th key or value. Loads of an invocation are unrolled and their places clamped, not branched over, so that
// they are all on their way together. Needs D <= 256.

const CHUNK: u32 = 64u;
const PARTS: u32 = 4u;      // invocations that share a position's score: 256 / CHUNK
const SHARES: u32 = 16u;    // invocations that share a head's maximum and sum, four positions each
const OTHER_SHARES: u32 = 15u;
const PER_SHARE: u32 = 4u;  // CHUNK / SHARES
const MAX_QUADS: u32 = 64u; // of a head
const HEADS: u32 = 1u;      // query heads of a workgroup, at most 4
const KEY_STEPS: u32 = 2u;   // D / 4 / PARTS, rounded up
const VALUE_STEPS: u32 = 2u; // CHUNK / (256 / (D / 4)), rounded up
const OTHER_SLICES: u32 = 3u; // 256 / (D / 4), rounded down, less one

// Sizes are for four heads.
var<workgroup> q_heads: array<vec4<f32>, 256>;    // [HEADS][quads], rotated
var<workgroup> score_parts: array<f32, 1024>;     // [HEADS][position][PARTS]
var<workgroup> chunk_weights: array<f32, 256>;    // [HEADS][CHUNK]: scores, then their exponentials
var<workgroup> share_max: array<f32, 64>;         // [HEADS][SHARES]
var<workgroup> share_sum: array<f32, 64>;         // [HEADS][SHARES]
var<workgroup> value_parts: array<vec4<f32>, 256>;

// Largest score of a head; valid after score_chunk.
fn chunk_max(head: u32) -> f32 {
    var largest = share_max[head * SHARES];
    for (var i = 0u; i < OTHER_SHARES; i = i + 1u) { // unrolled
        largest = max(largest, share_max[head * SHARES + i + 1u]);
    }
    return largest;
}

// Sum of a head's exponentials; valid after weigh_chunk.
fn chunk_sum(head: u32) -> f32 {
    var sum = share_sum[head * SHARES];
    for (var i = 0u; i < OTHER_SHARES; i = i + 1u) { // unrolled
        sum = sum + share_sum[head * SHARES + i + 1u];
    }
    return sum;
}

// Scores of the chunk's first n positions (n > 0). Those behind repeat the first, which changes no maximum.
fn score_chunk(lid: u32, n: u32, quads: u32, scale: f32) {
    let p = min(lid / PARTS, n - 1u);
    let part = lid % PARTS;
    var keys: array<vec4<f32>, KEY_STEPS>;
    for (var j = 0u; j < KEY_STEPS; j = j + 1u) { // unrolled
        keys[j] = key_quad(p, min(part + j * PARTS, quads - 1u));
    }
    var sums: array<vec4<f32>, HEADS>;
    for (var h = 0u; h < HEADS; h = h + 1u) { // unrolled
        sums[h] = vec4<f32>(0.0);
        for (var j = 0u; j < KEY_STEPS; j = j + 1u) { // unrolled
            let i = part + j * PARTS;
            if i < quads { sums[h] = fma(q_heads[h * quads + i], keys[j], sums[h]); }
        }
    }
    for (var h = 0u; h < HEADS; h = h + 1u) { // unrolled
        score_parts[h * 256u + lid] = (sums[h].x + sums[h].y) + (sums[h].z + sums[h].w);
    }
    workgroupBarrier();
    if lid < HEADS * SHARES {
        var largest = 0.0;
        for (var j = 0u; j < PER_SHARE; j = j + 1u) { // unrolled
            let at = lid * PER_SHARE + j;
            let known = select(lid / SHARES * CHUNK, at, at % CHUNK < n) * PARTS;
            let score = ((score_parts[known] + score_parts[known + 1u]) + (score_parts[known + 2u] + score_parts[known + 3u]))
                * scale;
            chunk_weights[at] = score;
            largest = select(max(largest, score), score, j == 0u);
        }
        share_max[lid] = largest;
    }
    workgroupBarrier();
}

// The exponentials in the scores' place, zero from the n-th on, and their sums.
fn weigh_chunk(lid: u32, n: u32) {
    for (var t = lid; t < HEADS * CHUNK; t = t + 256u) {
        var weight = 0.0;
        if t % CHUNK < n { weight = exp(chunk_weights[t] - chunk_max(t / CHUNK)); }
        chunk_weights[t] = weight;
    }
    workgroupBarrier();
    if lid < HEADS * SHARES {
        let at = lid * PER_SHARE;
        share_sum[lid] = (chunk_weights[at] + chunk_weights[at + 1u]) + (chunk_weights[at + 2u] + chunk_weights[at + 3u]);
    }
    workgroupBarrier();
}

// An invocation's values: four elements of the head, of every n-th position. They need no weights, so they are loaded first.
fn load_values(lid: u32, n: u32, quads: u32) -> array<vec4<f32>, VALUE_STEPS> {
    let slices = 256u / quads;
    var values: array<vec4<f32>, VALUE_STEPS>;
    for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
        values[j] = value_quad(min(lid / quads + j * slices, n - 1u), lid % quads);
    }
    return values;
}

// Weighted values of all heads.
fn sum_values(lid: u32, n: u32, quads: u32, loaded: array<vec4<f32>, VALUE_STEPS>) -> array<vec4<f32>, HEADS> {
    let slices = 256u / quads;
    let slice = lid / quads;
    var values = loaded;
    var sums: array<vec4<f32>, HEADS>;
    for (var h = 0u; h < HEADS; h = h + 1u) { // unrolled
        sums[h] = vec4<f32>(0.0);
        for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
            let p = slice + j * slices;
            if p < n { sums[h] = fma(vec4<f32>(chunk_weights[h * CHUNK + p]), values[j], sums[h]); }
        }
    }
    return sums;
}

// Joins the parts of one head's weighted values; valid in invocations below `quads`.
fn join_values(lid: u32, quads: u32, part: vec4<f32>) -> vec4<f32> {
    value_parts[lid] = part;
    workgroupBarrier();
    var sum = value_parts[lid];
    for (var j = 0u; j < OTHER_SLICES; j = j + 1u) { // unrolled
        sum = sum + value_parts[min(lid + (j + 1u) * quads, 255u)];
    }
    workgroupBarrier();
    return sum;
}
