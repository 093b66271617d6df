// LM head: normed float rows times the head's rows.
//
//   logits[r][first_row + i] = sum_k y[r][k] * table[i][k]
//
// y      [n_logits, hidden] f32
// table, scales: see the provider of `rows`
// logits [n_logits, row_stride] f32; only the part's columns are written
// One workgroup: WG / LANES teams; a team has TEAM_ROWS head rows and up to four logit rows (z), so that a head row is read
// once for all of them. Its lanes take every LANES-th octet, and their sums are joined by a tree: the order of every sum is
// fixed by `hidden` alone. Products are summed by explicit fma, which leaves compilers no choice. Needs hidden % 4 == 0.
// needs: step, rows

override WG: u32 = 64;
const LANES: u32 = 32u;
const TEAM_ROWS: u32 = 4u;
const LOGIT_TILE: u32 = 4u;

@group(0) @binding(0) var<uniform> params: RowsParams;
@group(0) @binding(2) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> logits: array<f32>;

var<workgroup> team_scratch: array<vec4<f32>, 256>;

// One octet of each of a team's head rows.
struct TeamOctets {
    a: Octet,
    b: Octet,
    c: Octet,
    d: Octet,
}

// Octet of a logit row, zero past its end.
fn y_octet(row: u32, octet: u32) -> Octet {
    let n4 = params.hidden / 4u;
    let at = row * n4 + octet * 2u;
    var lo = vec4<f32>(0.0);
    var hi = vec4<f32>(0.0);
    if octet * 2u < n4 { lo = y[at]; }
    if octet * 2u + 1u < n4 { hi = y[at + 1u]; }
    return Octet(lo, hi);
}

fn fma_octet(a: Octet, b: Octet, acc: f32) -> f32 {
    let lo = fma(a.lo.w, b.lo.w, fma(a.lo.z, b.lo.z, fma(a.lo.y, b.lo.y, fma(a.lo.x, b.lo.x, acc))));
    return fma(a.hi.w, b.hi.w, fma(a.hi.z, b.hi.z, fma(a.hi.y, b.hi.y, fma(a.hi.x, b.hi.x, lo))));
}

fn fma_team(w: TeamOctets, y: Octet, acc: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(
        fma_octet(w.a, y, acc.x),
        fma_octet(w.b, y, acc.y),
        fma_octet(w.c, y, acc.z),
        fma_octet(w.d, y, acc.w),
    );
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
    let total = team_scratch[lid];
    workgroupBarrier();
    return total;
}

fn store(lid: u32, logit_row: u32, row: u32, acc: vec4<f32>) {
    let total = team_sum(lid, acc);
    if lid % LANES == 0u {
        let at = logit_row * params.row_stride + params.first_row + row;
        if row < params.n_rows { logits[at] = total.x; }
        if row + 1u < params.n_rows { logits[at + 1u] = total.y; }
        if row + 2u < params.n_rows { logits[at + 2u] = total.z; }
        if row + 3u < params.n_rows { logits[at + 3u] = total.w; }
    }
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
    let first = wid.z * LOGIT_TILE;
    if first >= step.n_logits { return; }
    let count = min(step.n_logits - first, LOGIT_TILE);
    var acc0 = vec4<f32>(0.0);
    var acc1 = vec4<f32>(0.0);
    var acc2 = vec4<f32>(0.0);
    var acc3 = vec4<f32>(0.0);
    for (var octet = lid % LANES; octet < params.n_octets; octet = octet + LANES) {
        let w = TeamOctets(
            row_octet(min(row, last), octet),
            row_octet(min(row + 1u, last), octet),
            row_octet(min(row + 2u, last), octet),
            row_octet(min(row + 3u, last), octet),
        );
        acc0 = fma_team(w, y_octet(first, octet), acc0);
        if count > 1u { acc1 = fma_team(w, y_octet(first + 1u, octet), acc1); }
        if count > 2u { acc2 = fma_team(w, y_octet(first + 2u, octet), acc2); }
        if count > 3u { acc3 = fma_team(w, y_octet(first + 3u, octet), acc3); }
    }
    store(lid, first, row, acc0);
    if count > 1u { store(lid, first + 1u, row, acc1); }
    if count > 2u { store(lid, first + 2u, row, acc2); }
    if count > 3u { store(lid, first + 3u, row, acc3); }
}
