// Merge of what rope_attention has left. FINISH: of all of it, with the bits of attention. Else of each group, side by side, as far
// as there is more than one; norm_gemv merges the rest where it loads its row.
//
// partials [heads, n_chunks, D + 4] f32: m, l, two unused, acc, of chunks, or, PIECES being 1, of pairs, in the first half of a
//          head's; behind them [heads, n_groups, D + 4] of groups, written here
// out      [heads, D] f32 (FINISH)
// One workgroup: a query head (FINISH), or (query head, group); an invocation merges four elements. A group's parts are
// loaded together, so that their latencies overlap. Needs D <= 256.
// needs: step, merge

override WG: u32 = 64;
override FINISH: bool = true;
// Constants, since parameters would have to be loaded before the parts are.
override N_HEADS: u32 = 1;
override N_CHUNKS: u32 = 1; // of the whole context
const CHUNK: u32 = 64u;
const QUADS: u32 = 16u;    // D / 4
const PIECES: u32 = 2u;    // parts of a pair: 1 where a part is a pair
const IN_GROUP: u32 = 16u; // parts of a group: CHUNKS_PER_GROUP, or half of it
const IN_PAIRS: u32 = 8u;  // pairs of a group
const PART: u32 = 17u;     // vectors of a part: QUADS + 1

@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// A quad of `used` parts from `first` on, merged; `base` is where the head's first part lies.
fn merged_group(base: u32, quad: u32, first: u32, used: u32) -> Part {
    var totals: array<vec4<f32>, IN_GROUP>;
    var values: array<vec4<f32>, IN_GROUP>;
    for (var j = 0u; j < IN_GROUP; j = j + 1u) { // unrolled
        let at = base + (first + min(j, used - 1u)) * PART;
        totals[j] = partials[at];
        values[j] = partials[at + 1u + quad];
    }
    // All pairs side by side.
    if PIECES == 2u {
        for (var j = 0u; j < IN_PAIRS; j = j + 1u) { // unrolled
            let low = totals[PIECES * j];
            let high = totals[PIECES * j + PIECES - 1u];
            let m = merge(low.x, low.y, high.x, high.y);
            let both = merge_values(m, values[PIECES * j], values[PIECES * j + PIECES - 1u]);
            let is_whole = PIECES * j + 1u < used;
            values[PIECES * j] = select(values[PIECES * j], both, is_whole);
            totals[PIECES * j] = select(low, vec4<f32>(m.largest, m.sum, 0.0, 0.0), is_whole);
        }
    }
    var merged = Part(values[0], totals[0].x, totals[0].y);
    for (var j = 0u; j < IN_PAIRS; j = j + 1u) { // unrolled
        let next = Part(values[PIECES * j], totals[PIECES * j].x, totals[PIECES * j].y);
        if 0u < j && PIECES * j < used { merged = merge_parts(merged, next, false); }
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
    if lid >= QUADS { return; }
    if FINISH {
        var merged = Part();
        for (var first = 0u; first < used; first = first + IN_GROUP) {
            let next = merged_group(base, lid, first, min(used - first, IN_GROUP));
            merged = merge_parts(merged, next, first == 0u);
        }
        out[head * QUADS + lid] = merged.values / merged.sum;
    } else {
        let first = wid.y * IN_GROUP;
        if first >= used || used <= IN_GROUP { return; }
        let merged = merged_group(base, lid, first, min(used - first, IN_GROUP));
        let n_groups = (N_CHUNKS + CHUNKS_PER_GROUP - 1u) / CHUNKS_PER_GROUP;
        let at = (N_HEADS * N_CHUNKS + head * n_groups + wid.y) * PART;
        partials[at + 1u + lid] = merged.values;
        if lid == 0u { partials[at] = vec4<f32>(merged.largest, merged.sum, 0.0, 0.0); }
    }
}
