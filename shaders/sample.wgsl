// Second half of the sampler: temperature, top-k, top-p, min-p, draw; then the step is advanced to the chosen token.
//
// 1. logit_scan has penalised the logits and found the largest of each segment. A logit that is NaN or infinite ends with
//    status 1.
// 2. A temperature below 1e-4 takes the largest logit, the lowest id among equals.
// 3. weight = floor(2^30 * softmax(logit / temperature)) over the top_k largest logits (and those that tie with the last).
// 4. top_p keeps the smallest set of largest weights with sum >= floor(sum of all * top_p) (ties with its smallest are kept);
//    min_p keeps weights >= floor(largest weight * min_p).
// 5. The first id whose running sum of kept weights exceeds floor(random * sum / 2^32); random is the first word of
//    Philox4x32-10 with key (seed_lo, seed_hi) and counter (next, 0, 0, 0).
// From the weights on everything is in integers: the same weights give the same token on every device.
//
// sampling SamplingParams
// logits   [.., vocab] f32; row n_logits - 1 is used
// found    [segments] (order key, id), from logit_scan
// weights  [vocab] u32, scratch
// history  [context + 1] u32: entry `next` is written
// tokens   [..] u32: entry 0 is written, the input of the next step
// results  [64] (id, status): entry next % 64 is written
// One workgroup.
// needs: step_rw, sum, reduce, order

override WG: u32 = 256;
const N_LANES: u32 = 256u; // equals WG
const RESULT_SLOTS: u32 = 64u;
const GREEDY_BELOW: f32 = 1e-4;

struct Params {
    vocab: u32,
    context: u32,
    segments: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> sampling: SamplingParams;
@group(0) @binding(3) var<storage, read> logits: array<f32>;
@group(0) @binding(4) var<storage, read> found: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> weights: array<u32>;
@group(0) @binding(6) var<storage, read_write> history: array<u32>;
@group(0) @binding(7) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(8) var<storage, read_write> results: array<vec2<u32>>;

var<workgroup> shared_step: Step;
var<workgroup> shared_sampling: SamplingParams;
var<workgroup> shared_word: u32;
var<workgroup> picked: vec2<u32>;
var<workgroup> lowest_id: atomic<u32>;
var<workgroup> lane_words: array<u32, N_LANES>;
var<workgroup> histogram: array<atomic<u32>, N_LANES>;

// The first lane's value in all lanes, as a value that the compiler knows to be uniform.
fn broadcast(lid: u32, value: u32) -> u32 {
    if lid == 0u { shared_word = value; }
    return workgroupUniformLoad(&shared_word);
}

// floor(a * b / 2^32)
fn mul_high(a: u32, b: u32) -> u32 {
    let a0 = a & 0xFFFFu;
    let a1 = a >> 16u;
    let b0 = b & 0xFFFFu;
    let b1 = b >> 16u;
    let middle = ((a0 * b0) >> 16u) + ((a0 * b1) & 0xFFFFu) + ((a1 * b0) & 0xFFFFu);
    return a1 * b1 + ((a0 * b1) >> 16u) + ((a1 * b0) >> 16u) + (middle >> 16u);
}

// A share in 0..1 with 32 bits behind the point.
fn fixed(share: f32) -> u32 {
    return u32(max(share, 0.0) * 4294967296.0);
}

fn philox(key_lo: u32, key_hi: u32, position: u32) -> u32 {
    var c = vec4<u32>(position, 0u, 0u, 0u);
    var key = vec2<u32>(key_lo, key_hi);
    for (var round = 0u; round < 10u; round = round + 1u) {
        c = vec4<u32>(
            mul_high(0xCD9E8D57u, c.z) ^ c.y ^ key.x,
            0xCD9E8D57u * c.z,
            mul_high(0xD2511F53u, c.x) ^ c.w ^ key.y,
            0xD2511F53u * c.x,
        );
        key = key + vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return c.x;
}

// Bits of a logit; past the end those of the lowest float.
fn bits_at(base: u32, i: u32) -> u32 {
    if i >= params.vocab { return LOWEST_BITS; }
    return bitcast<u32>(logits[base + i]);
}

fn float_of_key(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7FFFFFFFu, key >= 0x80000000u));
}

// Running sum over the lanes up to and with this one. Afterwards lane_words[N_LANES - 1] is the sum of all.
fn inclusive_sum(lid: u32, value: u32) -> u32 {
    var sum = value;
    lane_words[lid] = sum;
    workgroupBarrier();
    for (var distance = 1u; distance < N_LANES; distance = distance << 1u) {
        if lid >= distance { sum = sum + lane_words[lid - distance]; }
        workgroupBarrier();
        lane_words[lid] = sum;
        workgroupBarrier();
    }
    return sum;
}

// The bin, from the highest down, in which the running sum of the histogram reaches `wanted`, and what is wanted of it.
fn pick_bin(lid: u32, wanted: u32) -> vec2<u32> {
    let bin = N_LANES - 1u - lid;
    let here = atomicLoad(&histogram[bin]);
    let sum = inclusive_sum(lid, here);
    if sum >= wanted && sum - here < wanted { picked = vec2<u32>(bin, wanted - (sum - here)); }
    return workgroupUniformLoad(&picked);
}

// The k-th largest key, by its bytes from the highest.
fn top_key(lid: u32, base: u32, k: u32) -> u32 {
    var prefix = 0u;
    var wanted = k;
    for (var digit = 0u; digit < 4u; digit = digit + 1u) {
        let shift = 24u - 8u * digit;
        atomicStore(&histogram[lid], 0u);
        workgroupBarrier();
        for (var i = lid; i < params.vocab; i = i + N_LANES) {
            let digits = order_key(bits_at(base, i)) >> shift;
            if digits >> 8u == prefix { atomicAdd(&histogram[digits & 255u], 1u); }
        }
        workgroupBarrier();
        let found = pick_bin(lid, wanted);
        prefix = prefix * 256u + found.x;
        wanted = found.y;
    }
    return prefix;
}

// The largest weight such that the weights from it on sum to at least `mass`, by its bytes from the highest.
fn top_weight(lid: u32, mass: u32) -> u32 {
    var prefix = 0u;
    var wanted = mass;
    for (var digit = 0u; digit < 4u; digit = digit + 1u) {
        let shift = 24u - 8u * digit;
        atomicStore(&histogram[lid], 0u);
        workgroupBarrier();
        for (var i = lid; i < params.vocab; i = i + N_LANES) {
            let weight = weights[i];
            let digits = weight >> shift;
            if weight > 0u && digits >> 8u == prefix { atomicAdd(&histogram[digits & 255u], weight); }
        }
        workgroupBarrier();
        let found = pick_bin(lid, wanted);
        prefix = prefix * 256u + found.x;
        wanted = found.y;
    }
    return prefix;
}

// Fills `weights` from the logits whose key is at least `threshold`; returns (sum, largest).
fn make_weights(lid: u32, base: u32, max_key: u32, threshold: u32, temperature: f32) -> vec2<u32> {
    let largest = float_of_key(max_key);
    var sum = 0.0;
    for (var i = lid; i < params.vocab; i = i + N_LANES) {
        let logit = logits[base + i];
        var weight = 0.0;
        if order_key(bitcast<u32>(logit)) >= threshold { weight = exp((logit - largest) / temperature); }
        weights[i] = bitcast<u32>(weight);
        sum = sum + weight;
    }
    let total = wg_sum_f32(lid, sum);
    var mass = 0u;
    var heaviest = 0u;
    for (var i = lid; i < params.vocab; i = i + N_LANES) {
        let weight = u32(bitcast<f32>(weights[i]) / total * 1073741824.0);
        weights[i] = weight;
        mass = mass + weight;
        heaviest = max(heaviest, weight);
    }
    storageBarrier();
    workgroupBarrier();
    return vec2<u32>(bitcast<u32>(wg_sum_i32(lid, bitcast<i32>(mass))), wg_max_u32(lid, heaviest));
}

// The token that `random` points at among the weights of at least `threshold`, in order of ids.
fn choose(lid: u32, threshold: u32, random: u32) -> u32 {
    let span = (params.vocab + N_LANES - 1u) / N_LANES;
    let start = min(lid * span, params.vocab);
    let end = min(start + span, params.vocab);
    var own = 0u;
    for (var i = start; i < end; i = i + 1u) {
        let weight = weights[i];
        if weight >= threshold { own = own + weight; }
    }
    let sum = inclusive_sum(lid, own);
    let point = mul_high(random, lane_words[N_LANES - 1u]);
    if sum > point && sum - own <= point {
        var running = sum - own;
        var id = start;
        for (var i = start; i < end && running <= point; i = i + 1u) {
            let weight = weights[i];
            if weight >= threshold { running = running + weight; }
            id = i;
        }
        shared_word = id;
    }
    return workgroupUniformLoad(&shared_word);
}

fn draw(lid: u32, base: u32, max_key: u32, next: u32, settings: SamplingParams) -> u32 {
    var key = 0u;
    if settings.top_k > 0u && settings.top_k < params.vocab {
        key = top_key(lid, base, settings.top_k);
    }
    let made = make_weights(lid, base, max_key, key, settings.temperature);
    var threshold = 1u;
    if settings.top_p < 1.0 {
        threshold = top_weight(lid, max(mul_high(made.x, fixed(settings.top_p)), 1u));
    }
    if settings.min_p >= 1.0 {
        threshold = max(threshold, made.y);
    } else {
        threshold = max(threshold, mul_high(made.y, fixed(settings.min_p)));
    }
    return choose(lid, threshold, philox(settings.seed_lo, settings.seed_hi, next));
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lid: u32) {
    // Loaded before the settings are waited for.
    var best = 0u;
    var best_id = 0xFFFFFFFFu;
    for (var i = lid; i < params.segments; i = i + N_LANES) {
        let segment = found[i];
        if segment.x > best || (segment.x == best && segment.y < best_id) {
            best = segment.x;
            best_id = segment.y;
        }
    }
    if lid == 0u {
        shared_step = step;
        shared_sampling = sampling;
        atomicStore(&lowest_id, 0xFFFFFFFFu);
    }
    let now = workgroupUniformLoad(&shared_step);
    let settings = workgroupUniformLoad(&shared_sampling);
    let next = now.pos + now.n_tokens;
    let base = (max(now.n_logits, 1u) - 1u) * params.vocab;
    let max_key = broadcast(lid, wg_max_u32(lid, best));
    if best == max_key { atomicMin(&lowest_id, best_id); }
    workgroupBarrier();
    var id = atomicLoad(&lowest_id);
    var status = 0u;
    if max_key == NOT_FINITE {
        id = 0u;
        status = 1u;
    } else if settings.temperature >= GREEDY_BELOW {
        id = draw(lid, base, max_key, next, settings);
    }
    if lid == 0u {
        tokens[0] = id;
        if next <= params.context { history[next] = id; }
        results[next % RESULT_SLOTS] = vec2<u32>(id, status);
        step = Step(next, 1u, 0u, 1u);
    }
}
