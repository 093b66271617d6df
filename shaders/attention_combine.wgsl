// Merge of the chunks that rope_attention has left, in ascending order, with the bits of attention.
//
// partials [heads, n_chunks, D + 4] f32: m, l, two unused, acc
// out      [heads, D] f32
// One workgroup: a query head; an invocation merges four elements of it. Eight chunks are loaded at a time, so that their
// latencies overlap. Needs D <= 256.
// needs: step, merge

override WG: u32 = 64;
const CHUNK: u32 = 64u;
const AHEAD: u32 = 8u;

struct Params {
    heads: u32,
    group: u32,
    head_dim: u32,
    context: u32,
    scale: f32,
    n_chunks: u32, // of the whole context
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let head = wid.x;
    let quads = params.head_dim / 4u;
    let len = quads + 1u;
    let base = head * params.n_chunks * len;
    let used = min(step.pos / CHUNK + 1u, params.n_chunks);
    if lid >= quads { return; }
    var values = partials[base + 1u + lid];
    var largest = partials[base].x;
    var sum = partials[base].y;
    for (var first = 1u; first < used; first = first + AHEAD) {
        var totals: array<vec4<f32>, AHEAD>;
        var chunks: array<vec4<f32>, AHEAD>;
        for (var j = 0u; j < AHEAD; j = j + 1u) { // unrolled
            let at = base + min(first + j, used - 1u) * len;
            totals[j] = partials[at];
            chunks[j] = partials[at + 1u + lid];
        }
        for (var j = 0u; j < AHEAD; j = j + 1u) { // unrolled
            if first + j < used {
                let merged = merge(largest, sum, totals[j].x, totals[j].y);
                values = merge_values(merged, values, chunks[j]);
                largest = merged.largest;
                sum = merged.sum;
            }
        }
    }
    out[head * quads + lid] = values / sum;
}
