// Products of some rows of ternary matrices with one int8 row, by one workgroup: what the kernels of decode share.
//
// One workgroup has ROWS rows. Neighbouring invocations take neighbouring rows, so that they read neighbouring quads; SLICES of
// them share a row and split its quads of 64 columns. An invocation has EACH rows, LANE_ROWS apart, and loads what it multiplies
// with once for all of them.
// Where the weights lie is known by constants: a parameter would have to be loaded before they are.
// The including kernel has `override WG`, a multiple of SLICES, the bindings `w` (quads, [row / R][quad][row % R], see
// docs/FORMAT.md; of two matrices the second starts at quad UP_OFFSET), `gamma` (of the second at UP_GAMMA) and `y`, and says what
// the codes of the row are: row_codes(quad).

override R: u32 = 8;
override EPILOGUE: u32 = 0;
override N_ROWS: u32 = 8;
override UP_OFFSET: u32 = 0;
override UP_GAMMA: u32 = 0;
const SLICES: u32 = 32u;
const UP_SLICES: u32 = 32u; // SLICES where there are two matrices, else 1
const EACH: u32 = 1u;      // rows of an invocation
const LANE_ROWS: u32 = 8u; // WG / SLICES
const ROWS: u32 = 8u;      // EACH * LANE_ROWS
const QUADS: u32 = 4u;     // k_padded / 64
const AHEAD: u32 = 1u;     // quads of a row that an invocation loads before it needs one

var<workgroup> acc_parts: array<array<i32, ROWS>, SLICES>;
var<workgroup> up_parts: array<array<i32, ROWS>, UP_SLICES>;

// Sums of an invocation's rows, of one matrix.
alias RowSums = array<DotSums, EACH>;

fn add_quad(sums: DotSums, codes: vec4<u32>, x: array<vec4<u32>, 4>) -> DotSums {
    let half = add_codes(add_codes(sums, codes.x, x[0]), codes.y, x[1]);
    return add_codes(add_codes(half, codes.z, x[2]), codes.w, x[3]);
}

// Adds the products of the quads that were not loaded ahead.
fn add_rest(sums: RowSums, bases: array<u32, EACH>, offset: u32, slice: u32) -> RowSums {
    var acc = sums;
    var base = bases;
    for (var quad = slice + AHEAD * SLICES; quad < QUADS; quad = quad + SLICES) {
        let x = row_codes(quad);
        for (var t = 0u; t < EACH; t = t + 1u) { // unrolled
            acc[t] = add_quad(acc[t], w[offset + base[t] + quad * R], x);
        }
    }
    return acc;
}

// Leaves the sums of an invocation for put_row, behind a barrier.
fn leave_sums(slice: u32, lane: u32, sums: RowSums, up_sums: RowSums) {
    var acc = sums;
    var acc_up = up_sums;
    for (var t = 0u; t < EACH; t = t + 1u) { // unrolled
        acc_parts[slice][t * LANE_ROWS + lane] = dot_total(acc[t]);
        if EPILOGUE >= EPILOGUE_GATED { up_parts[min(slice, UP_SLICES - 1u)][t * LANE_ROWS + lane] = dot_total(acc_up[t]); }
    }
}

// Writes the `at`-th row of the workgroup, which is row `row` of the matrix; `before` is what it is added to.
fn put_row(at: u32, row: u32, scale: RowScale, own_gamma: f32, up_gamma: f32, before: f32) {
    var total = 0;
    for (var s = 0u; s < SLICES; s = s + 1u) { // unrolled
        total = total + acc_parts[s][at];
    }
    if EPILOGUE == EPILOGUE_STORE {
        y[row] = dequantize(total, scale, own_gamma);
    } else if EPILOGUE == EPILOGUE_ADD {
        y[row] = dequantize_onto(before, total, scale, own_gamma);
    } else {
        var total_up = 0;
        for (var s = 0u; s < UP_SLICES; s = s + 1u) { // unrolled
            total_up = total_up + up_parts[s][at];
        }
        let up = dequantize(total_up, scale, up_gamma);
        y[row] = gated(EPILOGUE, dequantize(total, scale, own_gamma), up);
    }
}
