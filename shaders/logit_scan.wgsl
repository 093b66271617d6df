// First half of the sampler, by many workgroups: repetition penalty, and the largest logit of each segment.
//
// Logits of the last `repetition_window` tokens before the next position are divided (if positive) or multiplied by the
// penalty, once for each distinct token.
//
// sampling SamplingParams
// logits   [.., vocab] f32; row n_logits - 1 is used and penalised in place
// history  [context + 1] u32: the token at each position
// found    [segments] (order key of the largest logit, its lowest id); the key of a logit that is NaN or infinite is NOT_FINITE
// One workgroup: a segment of SEGMENT logits.
// needs: step, reduce, order

override WG: u32 = 256;
const N_LANES: u32 = 256u; // equals WG
const SEGMENT: u32 = 512u;

struct Params {
    vocab: u32,
    context: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> sampling: SamplingParams;
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;
@group(0) @binding(4) var<storage, read> history: array<u32>;
@group(0) @binding(5) var<storage, read_write> found: array<vec2<u32>>;

var<workgroup> recent: array<u32, N_LANES>;
var<workgroup> own_logits: array<f32, SEGMENT>; // as penalised
var<workgroup> lowest_id: atomic<u32>;

// Penalises the recent tokens of the segment.
fn penalize(lid: u32, base: u32, start: u32, end: u32, token: u32) {
    recent[lid] = token;
    workgroupBarrier();
    var first = token >= start && token < end;
    for (var i = 0u; first && i < lid; i = i + 1u) {
        first = recent[i] != token;
    }
    if first {
        let logit = own_logits[token - start];
        let penalty = sampling.repetition_penalty;
        let after = select(logit * penalty, logit / penalty, logit > 0.0);
        own_logits[token - start] = after;
        logits[base + token] = after;
    }
    workgroupBarrier();
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let segment = wid.x + wid.y * grid.x;
    let start = segment * SEGMENT;
    let end = min(start + SEGMENT, params.vocab);
    let base = (max(step.n_logits, 1u) - 1u) * params.vocab;
    if start >= params.vocab { return; }
    // Loaded before anything is waited for.
    for (var j = 0u; j < SEGMENT / N_LANES; j = j + 1u) {
        own_logits[lid + j * N_LANES] = logits[base + min(start + lid + j * N_LANES, params.vocab - 1u)];
    }
    if lid == 0u { atomicStore(&lowest_id, 0xFFFFFFFFu); }
    let next = step.pos + step.n_tokens;
    // Both are loaded at once: the entry is there whether it counts or not.
    let entry = history[select(next - 1u - lid, 0u, lid >= next)];
    let window = min(min(sampling.repetition_window, N_LANES), next);
    penalize(lid, base, start, end, select(params.vocab, entry, lid < window));

    var best = 0u;
    var best_id = start;
    for (var j = 0u; j < SEGMENT / N_LANES; j = j + 1u) {
        let at = start + lid + j * N_LANES;
        let bits = bitcast<u32>(own_logits[lid + j * N_LANES]);
        var key = order_key(bits);
        if (bits & 0x7F800000u) == 0x7F800000u { key = NOT_FINITE; }
        if key > best && at < end {
            best = key;
            best_id = at;
        }
    }
    let max_key = wg_max_u32(lid, best);
    if best == max_key { atomicMin(&lowest_id, best_id); }
    workgroupBarrier();
    if lid == 0u { found[segment] = vec2<u32>(max_key, atomicLoad(&lowest_id)); }
}
