// y[row] = sum over k of (code[row, k] - 1) * q[k], the integer part of a BitLinear product, for one token.
//
// Bench kernel behind the choice of `rows_per_tile`: one text covers every order of the threads over rows and columns.
// codes  [n_rows, n_quads] vec4<u32> in B2, ordered [row / TILE][quad][row % TILE]; a quad is 64 codes of one row
// q      [n_quads * 4] vec4<u32>, int8 activations, four a word
// y      [n_rows] i32
// A workgroup covers LANES * ROWS rows with LANES * SLICES threads; slice s of a row takes the quads s, s + SLICES, ...
// needs: act, dot, reduce

struct Params {
    n_rows: u32,
    n_quads: u32,
    sum_q: i32,
    pad: u32,
}

@group(0) @binding(0) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> q: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

override TILE: u32 = 1u;           // rows interleaved in the pack
override LANES: u32 = 1u;          // threads along the rows
override SLICES: u32 = 32u;        // threads along the columns of a row
override ROWS: u32 = 1u;           // rows of a thread, at most 8
override ROW_FASTEST: u32 = 0u;    // 1: neighbouring threads take neighbouring rows; 0: neighbouring quads
override ADJACENT: u32 = 0u;       // 1: a thread's rows are adjacent; 0: LANES apart
override WG: u32 = 32u;            // LANES * SLICES
override GROUPS: u32 = 32u;        // partial sums of a row that are left after `reduce_lanes`
override PARTIALS: u32 = 32u;      // GROUPS * LANES * ROWS
override UNROLL: u32 = 1u;         // quads that a thread of one row has in flight: 1, 2 or 4

var<workgroup> partial: array<i32, PARTIALS>;

fn row_of(first: u32, lane: u32, p: u32) -> u32 {
    return first + select(lane + p * LANES, lane * ROWS + p, ADJACENT == 1u);
}

fn base_of(row: u32) -> u32 {
    return (row / TILE) * params.n_quads * TILE + row % TILE;
}

// The quad and its product, or zero past the end of the row. Past the end the last quad is read again, so that the loads of
// a step do not depend on a branch.
fn load_quad(base: u32, quad: u32) -> vec4<u32> {
    return codes[base + min(quad, params.n_quads - 1u) * TILE];
}

fn dot_loaded(w: vec4<u32>, quad: u32) -> i32 {
    let at = min(quad, params.n_quads - 1u) * 4u;
    return select(0, dot_quad(w, act(at), act(at + 1u), act(at + 2u), act(at + 3u)), quad < params.n_quads);
}

// The sum of one row of the thread with UNROLL loads in flight.
fn unrolled(base: u32, slice: u32) -> i32 {
    var sum = 0;
    for (var quad = slice; quad < params.n_quads; quad = quad + SLICES * UNROLL) {
        let w0 = load_quad(base, quad);
        let w1 = load_quad(base, quad + SLICES);
        if UNROLL > 2u {
            let w2 = load_quad(base, quad + 2u * SLICES);
            let w3 = load_quad(base, quad + 3u * SLICES);
            sum = sum + dot_loaded(w2, quad + 2u * SLICES) + dot_loaded(w3, quad + 3u * SLICES);
        }
        sum = sum + dot_loaded(w0, quad) + dot_loaded(w1, quad + SLICES);
    }
    return sum;
}

// Reduces the partial sums of one of the thread's rows and leaves them in `partial`.
fn leave(lane: u32, slice: u32, p: u32, value: i32) {
    let sum = reduce_lanes(value);
    let step = SLICES / GROUPS;
    if slice % step == 0u {
        partial[((slice / step) * ROWS + p) * LANES + lane] = sum;
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let lane = select(lid / SLICES, lid % LANES, ROW_FASTEST == 1u);
    let slice = select(lid % SLICES, lid / LANES, ROW_FASTEST == 1u);
    let first = wid.x * LANES * ROWS;
    let b0 = base_of(row_of(first, lane, 0u));
    let b1 = base_of(row_of(first, lane, 1u));
    let b2 = base_of(row_of(first, lane, 2u));
    let b3 = base_of(row_of(first, lane, 3u));
    let b4 = base_of(row_of(first, lane, 4u));
    let b5 = base_of(row_of(first, lane, 5u));
    let b6 = base_of(row_of(first, lane, 6u));
    let b7 = base_of(row_of(first, lane, 7u));
    var s0 = 0;
    var s1 = 0;
    var s2 = 0;
    var s3 = 0;
    var s4 = 0;
    var s5 = 0;
    var s6 = 0;
    var s7 = 0;
    prepare_act(lid, params.n_quads * 4u);
    if UNROLL > 1u {
        s0 = unrolled(b0, slice);
    }
    // Empty where the loop above did the work.
    for (var quad = select(slice, params.n_quads, UNROLL > 1u); quad < params.n_quads; quad = quad + SLICES) {
        let at = quad * TILE;
        let a0 = act(quad * 4u);
        let a1 = act(quad * 4u + 1u);
        let a2 = act(quad * 4u + 2u);
        let a3 = act(quad * 4u + 3u);
        s0 = s0 + dot_quad(codes[b0 + at], a0, a1, a2, a3);
        if ROWS > 1u {
            s1 = s1 + dot_quad(codes[b1 + at], a0, a1, a2, a3);
        }
        if ROWS > 2u {
            s2 = s2 + dot_quad(codes[b2 + at], a0, a1, a2, a3);
            s3 = s3 + dot_quad(codes[b3 + at], a0, a1, a2, a3);
        }
        if ROWS > 4u {
            s4 = s4 + dot_quad(codes[b4 + at], a0, a1, a2, a3);
            s5 = s5 + dot_quad(codes[b5 + at], a0, a1, a2, a3);
            s6 = s6 + dot_quad(codes[b6 + at], a0, a1, a2, a3);
            s7 = s7 + dot_quad(codes[b7 + at], a0, a1, a2, a3);
        }
    }
    leave(lane, slice, 0u, s0);
    if ROWS > 1u {
        leave(lane, slice, 1u, s1);
    }
    if ROWS > 2u {
        leave(lane, slice, 2u, s2);
        leave(lane, slice, 3u, s3);
    }
    if ROWS > 4u {
        leave(lane, slice, 4u, s4);
        leave(lane, slice, 5u, s5);
        leave(lane, slice, 6u, s6);
        leave(lane, slice, 7u, s7);
    }
    workgroupBarrier();
    // Long rows of partial sums are folded to eight by halves, the rest is one short loop.
    var groups = GROUPS;
    while groups > 8u {
        let half = (groups + 1u) / 2u;
        for (var i = lid; i < (groups - half) * LANES * ROWS; i = i + WG) {
            partial[i] = partial[i] + partial[i + half * LANES * ROWS];
        }
        groups = half;
        workgroupBarrier();
    }
    for (var i = lid; i < LANES * ROWS; i = i + WG) {
        var sum = partial[i];
        for (var g = 1u; g < groups; g = g + 1u) {
            sum = sum + partial[g * LANES * ROWS + i];
        }
        y[row_of(first, i % LANES, i / LANES)] = sum - SUM_FACTOR * params.sum_q;
    }
}
