// LM head: normed float rows times the head's rows.
//
//   logits[r][first_row + i] = factor[i] * sum_k y[r][k] * table[i][k]
//
// y      [n_logits, hidden] f32
// table, scales: see the provider of `rows`
// logits [n_logits, row_stride] f32; only the part's columns are written
// One workgroup: WG / LANES teams; a team has TEAM_ROWS head rows and one logit row (z). Its lanes take every LANES-th pair of
// octets, all rows' together, so that enough loads are on their way; their sums are joined by a tree: the order of every sum
// is fixed by `hidden` alone. Products are summed by explicit fma, which leaves compilers no choice. Needs hidden % 4 == 0.
// needs: step, rows

override WG: u32 = 64;
const LANES: u32 = 32u;
const TEAM_ROWS: u32 = 4u;

@group(0) @binding(0) var<uniform> params: RowsParams;
@group(0) @binding(2) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> logits: array<f32>;

var<workgroup> team_scratch: array<vec4<f32>, 256>;

// Four columns of a logit row, zero past its end.
fn y_quad(row: u32, quad: u32) -> vec4<f32> {
    let n4 = params.hidden / 4u;
    let values = y[row * n4 + min(quad, n4 - 1u)];
    return select(vec4<f32>(0.0), values, quad < n4);
}

fn fma_quad(a: vec4<f32>, b: vec4<f32>, acc: f32) -> f32 {
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, acc))));
}

// Sums over a team's lanes, valid in its first lane.
fn team_sum(lid: u32, value: vec4<f32>) -> vec4<f32> {
    team_scratch[lid] = value;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride = stride >> 1u) {
        if lid % LANES < stride {
            team_scratch[lid] = team_scratch[lid] + team_scratch[lid + stride];
        }
        workgroupBarrier();
    }
    return team_scratch[lid];
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let team = (wid.x + wid.y * grid.x) * (WG / LANES) + lid / LANES;
    let row = team * TEAM_ROWS;
    let last = params.n_rows - 1u;
    let logit_row = wid.z;
    if logit_row >= step.n_logits { return; }
    var sums: array<f32, TEAM_ROWS>;
    for (var pair = lid % LANES; pair < params.n_octets / 2u; pair = pair + LANES) {
        var w: array<OctetPair, TEAM_ROWS>;
        for (var r = 0u; r < TEAM_ROWS; r = r + 1u) { // unrolled
            w[r] = row_pair(min(row + r, last), pair);
        }
        let a = y_quad(logit_row, 4u * pair);
        let b = y_quad(logit_row, 4u * pair + 1u);
        let c = y_quad(logit_row, 4u * pair + 2u);
        let d = y_quad(logit_row, 4u * pair + 3u);
        for (var r = 0u; r < TEAM_ROWS; r = r + 1u) { // unrolled
            let half = fma_quad(w[r].first.hi, b, fma_quad(w[r].first.lo, a, sums[r]));
            sums[r] = fma_quad(w[r].second.hi, d, fma_quad(w[r].second.lo, c, half));
        }
    }
    let totals = team_sum(lid, vec4<f32>(sums[0], sums[1], sums[2], sums[3]));
    if lid % LANES == 0u {
        let at = logit_row * params.row_stride + params.first_row + row;
        for (var r = 0u; r < TEAM_ROWS; r = r + 1u) { // unrolled
            if row + r < params.n_rows { logits[at + r] = totals[r] * row_factor(row + r); }
        }
    }
}
