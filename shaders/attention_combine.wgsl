// Merge of the parts of a token's attention that rope_attention has left, with the bits of attention.
//
// partials [heads, n_chunks, D + 4] f32: m, l, two unused, acc, of chunks, or, PIECES being 1, of pairs, in the first half of a
//          head's
// out      [heads, D] f32
// One workgroup: COLUMNS quads of a query head. Its invocations merge GROUPS groups' pairs side by side, some of them then the
// pairs of a group one after the other, and some the groups.
// needs: step, merge

override WG: u32 = 128;
// Constants, since parameters would have to be loaded before the parts are.
override N_CHUNKS: u32 = 1; // of the whole context
const CHUNK: u32 = 64u;
const QUADS: u32 = 16u;   // D / 4
const COLUMNS: u32 = 4u;  // at most QUADS
const PIECES: u32 = 2u;   // parts of a pair: 1 where a part is a pair
const PAIRS: u32 = 8u;    // of a group
const OTHER_PAIRS: u32 = 7u;
const GROUPS: u32 = 4u;   // that are merged at once: WG / COLUMNS / PAIRS
const PART: u32 = 17u;    // vectors of a part: QUADS + 1

@group(0) @binding(2) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

var<workgroup> pair_values: array<array<vec4<f32>, COLUMNS>, GROUPS * PAIRS>;
var<workgroup> pair_totals: array<vec2<f32>, GROUPS * PAIRS>; // m, l
var<workgroup> group_values: array<array<vec4<f32>, COLUMNS>, GROUPS>;
var<workgroup> group_totals: array<vec2<f32>, GROUPS>;

// `next` behind `so_far` if it is there. Without a branch, so that the exponentials of a row of them need not wait for each other.
fn merge_next(so_far: Part, next: Part, is_there: bool) -> Part {
    let merged = merge_parts(so_far, next, false);
    return Part(
        select(so_far.values, merged.values, is_there),
        select(so_far.largest, merged.largest, is_there),
        select(so_far.sum, merged.sum, is_there),
    );
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let column = lid % COLUMNS;
    let slot = lid / COLUMNS;
    let quad = min(wid.y * COLUMNS + column, QUADS - 1u);
    let base = wid.x * N_CHUNKS * PART;
    var whole = Part();
    var first = 0u; // part
    loop {
        // The parts are loaded before it is known which of them are there.
        let own = first + slot * PIECES;
        let at = base + min(own, N_CHUNKS - 1u) * PART;
        let next_at = base + min(own + PIECES - 1u, N_CHUNKS - 1u) * PART;
        let total = partials[at];
        let values = partials[at + 1u + quad];
        let next_total = partials[next_at];
        let next_values = partials[next_at + 1u + quad];
        let n_chunks = min(step.pos / CHUNK + 1u, N_CHUNKS);
        let per_part = CHUNKS_PER_PAIR / PIECES;
        let used = (n_chunks + per_part - 1u) / per_part;
        var part = Part(values, total.x, total.y);
        if PIECES == 2u {
            part = merge_next(part, Part(next_values, next_total.x, next_total.y), own + 1u < used);
        }
        if slot < GROUPS * PAIRS {
            pair_values[slot][column] = part.values;
            if column == 0u { pair_totals[slot] = vec2<f32>(part.largest, part.sum); }
        }
        workgroupBarrier();
        if slot < GROUPS {
            let pair = slot * PAIRS;
            var merged = Part(pair_values[pair][column], pair_totals[pair].x, pair_totals[pair].y);
            for (var i = 0u; i < OTHER_PAIRS; i = i + 1u) { // unrolled
                let at = pair + i + 1u;
                let next = Part(pair_values[at][column], pair_totals[at].x, pair_totals[at].y);
                merged = merge_next(merged, next, first + at * PIECES < used);
            }
            group_values[slot][column] = merged.values;
            if column == 0u { group_totals[slot] = vec2<f32>(merged.largest, merged.sum); }
        }
        workgroupBarrier();
        if slot == 0u {
            for (var i = 0u; i < GROUPS; i = i + 1u) { // unrolled
                let next = Part(group_values[i][column], group_totals[i].x, group_totals[i].y);
                if i == 0u && first == 0u {
                    whole = next;
                } else {
                    whole = merge_next(whole, next, first + i * PAIRS * PIECES < used);
                }
            }
        }
        first = first + GROUPS * PAIRS * PIECES;
        if first >= used { break; }
    }
    if slot == 0u && wid.y * COLUMNS + column < QUADS {
        out[wid.x * QUADS + quad] = whole.values / whole.sum;
    }
}
