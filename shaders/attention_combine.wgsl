// Merge of the chunks that rope_attention has left. FINISH: of all of them, with the bits of attention. Else of each group of
// sixteen, side by side, as far as there is more than one; norm_gemv merges the rest where it loads its row.
//
// partials [heads, n_chunks, D + 4] f32: m, l, two unused, acc; behind them [heads, n_groups, D + 4] of groups, written here
// out      [heads, D] f32 (FINISH)
// One workgroup: a query head (FINISH), or (query head, group); an invocation merges four elements. A group's chunks are
// loaded together, so that their latencies overlap. Needs D <= 256.
// needs: step, merge

override WG: u32 = 64;
override FINISH: bool = true;
const CHUNK: u32 = 64u;
const IN_GROUP: u32 = 16u; // CHUNKS_PER_GROUP

struct Params {
    heads: u32,
    group: u32,
    head_dim: u32,
    context: u32,
    scale: f32,
    n_chunks: u32, // of the whole context
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// A quad of `used` chunks from `first` on, merged; `base` is where the head's first chunk lies.
fn merged_group(base: u32, len: u32, quad: u32, first: u32, used: u32) -> Part {
    var totals: array<vec4<f32>, IN_GROUP>;
    var values: array<vec4<f32>, IN_GROUP>;
    for (var j = 0u; j < IN_GROUP; j = j + 1u) { // unrolled
        let at = base + (first + min(j, used - 1u)) * len;
        totals[j] = partials[at];
        values[j] = partials[at + 1u + quad];
    }
    var merged = Part(values[0], totals[0].x, totals[0].y);
    for (var j = 0u; j < IN_GROUP; j = j + 1u) { // unrolled
        if 0u < j && j < used { merged = merge_parts(merged, Part(values[j], totals[j].x, totals[j].y), false); }
    }
    return merged;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let head = wid.x;
    let quads = params.head_dim / 4u;
    let len = quads + 1u;
    let base = head * params.n_chunks * len;
    let used = min(step.pos / CHUNK + 1u, params.n_chunks);
    if lid >= quads { return; }
    if FINISH {
        var merged = Part();
        for (var first = 0u; first < used; first = first + CHUNKS_PER_GROUP) {
            let next = merged_group(base, len, lid, first, min(used - first, CHUNKS_PER_GROUP));
            merged = merge_parts(merged, next, first == 0u);
        }
        out[head * quads + lid] = merged.values / merged.sum;
    } else {
        let first = wid.y * CHUNKS_PER_GROUP;
        if first >= used || used <= CHUNKS_PER_GROUP { return; }
        let merged = merged_group(base, len, lid, first, min(used - first, CHUNKS_PER_GROUP));
        let n_groups = (params.n_chunks + CHUNKS_PER_GROUP - 1u) / CHUNKS_PER_GROUP;
        let at = (params.heads * params.n_chunks + head * n_groups + wid.y) * len;
        partials[at + 1u + lid] = merged.values;
        if lid == 0u { partials[at] = vec4<f32>(merged.largest, merged.sum, 0.0, 0.0); }
    }
}
