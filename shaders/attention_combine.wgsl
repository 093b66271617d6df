// Merge of what rope_attention has left. FINISH: of all of it, with the bits of attention. Else of each group, side by side, as far
// as there is more than one; norm_gemv merges the rest where it loads its row.
//
// partials [heads, n_chunks, D + 4] f32: m, l, two unused, acc, of chunks, or, PIECES being 1, of pairs, in the first half of a
//          head's; behind them [heads, n_groups, D + 4] of groups, written here
// out      [heads, D] f32 (FINISH)
// One workgroup: a query head (FINISH), or (query head, group). Its invocations merge a group's pairs side by side, four elements
// each, and some of them then one pair after the other. Needs D <= 256.
// needs: step, merge

override WG: u32 = 256;
override FINISH: bool = true;
// Constants, since parameters would have to be loaded before the parts are.
override N_HEADS: u32 = 1;
override N_CHUNKS: u32 = 1; // of the whole context
const CHUNK: u32 = 64u;
const QUADS: u32 = 16u;    // D / 4
const PIECES: u32 = 2u;    // parts of a pair: 1 where a part is a pair
const IN_GROUP: u32 = 16u; // parts of a group: PAIRS * PIECES
const PAIRS: u32 = 8u;     // of a group
const SLOTS: u32 = 8u;     // pairs that are merged at once: WG / QUADS, at most PAIRS
const ROUNDS: u32 = 1u;    // PAIRS / SLOTS, rounded up
const PART: u32 = 17u;     // vectors of a part: QUADS + 1

@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

var<workgroup> pair_values: array<array<vec4<f32>, QUADS>, PAIRS>;
var<workgroup> pair_totals: array<vec2<f32>, PAIRS>; // m, l

// Leaves the pairs of `used` parts from `first` on; `base` is where the head's first part lies.
fn leave_pairs(lid: u32, base: u32, first: u32, used: u32) {
    let quad = lid % QUADS;
    for (var r = 0u; r < ROUNDS; r = r + 1u) { // unrolled
        let pair = lid / QUADS + r * SLOTS;
        let piece = pair * PIECES;
        if lid < SLOTS * QUADS && pair < PAIRS && piece < used {
            // A second piece that is not there is the first one again, and not merged.
            let at = base + (first + piece) * PART;
            let next_at = base + (first + min(piece + PIECES - 1u, used - 1u)) * PART;
            let total = partials[at];
            let next_total = partials[next_at];
            var part = Part(partials[at + 1u + quad], total.x, total.y);
            let next = Part(partials[next_at + 1u + quad], next_total.x, next_total.y);
            if next_at != at { part = merge_parts(part, next, false); }
            pair_values[pair][quad] = part.values;
            if quad == 0u { pair_totals[pair] = vec2<f32>(part.largest, part.sum); }
        }
    }
    workgroupBarrier();
}

// A quad of what they are together.
fn joined_pairs(quad: u32, used: u32) -> Part {
    var merged = Part(pair_values[0][quad], pair_totals[0].x, pair_totals[0].y);
    for (var pair = 1u; pair * PIECES < used; pair = pair + 1u) {
        let next = Part(pair_values[pair][quad], pair_totals[pair].x, pair_totals[pair].y);
        merged = merge_parts(merged, next, false);
    }
    return merged;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let head = wid.x;
    let base = head * N_CHUNKS * PART;
    let n_chunks = min(step.pos / CHUNK + 1u, N_CHUNKS);
    let per_part = CHUNKS_PER_PAIR / PIECES;
    let used = (n_chunks + per_part - 1u) / per_part;
    if FINISH {
        var merged = Part();
        for (var first = 0u; first < used; first = first + IN_GROUP) {
            let in_group = min(used - first, IN_GROUP);
            leave_pairs(lid, base, first, in_group);
            if lid < QUADS { merged = merge_parts(merged, joined_pairs(lid, in_group), first == 0u); }
            // The next group's pairs take their place.
            workgroupBarrier();
        }
        if lid < QUADS { out[head * QUADS + lid] = merged.values / merged.sum; }
    } else {
        let first = wid.y * IN_GROUP;
        if first >= used || used <= IN_GROUP { return; }
        let in_group = min(used - first, IN_GROUP);
        leave_pairs(lid, base, first, in_group);
        if lid < QUADS {
            let merged = joined_pairs(lid, in_group);
            let n_groups = (N_CHUNKS + CHUNKS_PER_GROUP - 1u) / CHUNKS_PER_GROUP;
            let at = (N_HEADS * N_CHUNKS + head * n_groups + wid.y) * PART;
            partials[at + 1u + lid] = merged.values;
            if lid == 0u { partials[at] = vec4<f32>(merged.largest, merged.sum, 0.0, 0.0); }
        }
    }
}
