// RMSNorm, int8 quantisation and ternary matrix product of one row (decode): norm_quantize and ternary_gemv in
// one dispatch, with the same bits.
//
//   q = int8 codes of the normed row               (see norm_quantize)
//   y = the product of w with q                    (see ternary_gemv)
//
// w, gamma: as in ternary_gemv
// x     [width] f32; with MERGE the partials that rope_attention has left, of one group at most, whose merged values are the
//       row, with the bits of attention_combine: width = heads * D, D a multiple of 4
// gain  [width] f32
// y     [n_rows] f32, not the buffer of x: every workgroup reads x
// One workgroup: ROWS rows; SLICES invocations share one and split its quads, and each has EACH of them. Each workgroup
// quantises the whole row for itself, into workgroup memory: on a GPU that is cheaper than a dispatch of its own, and the more
// rows share it the cheaper.
// Its weights are loaded first, so that they are on their way meanwhile.
// Where they lie is known by constants: a parameter would have to be loaded before the weights are.
// Needs width % 4 == 0.
// needs: step, merge, dot, ternary, product, norm, row_totals, row

override WG: u32 = 256;
override NORM: bool = true;
override EPS: f32 = 1e-5;
override WIDTH: u32 = 256;
override MERGE: bool = false;
const HEAD_QUADS: u32 = 16u; // D / 4
override N_CHUNKS: u32 = 1;    // of the whole context
const CHUNK: u32 = 64u;
const PIECES: u32 = 2u;        // parts of a pair: 1 where a part is a pair, as in attention_combine
const PART: u32 = 17u;         // vectors of a part: HEAD_QUADS + 1
const MERGE_AHEAD: u32 = 4u;   // parts that are loaded together
const PAIRS_AHEAD: u32 = 2u;   // MERGE_AHEAD / 2

@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gain: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

// Codes of the row, four in a word: a quad of a matrix is multiplied with sixteen words, behind one index. Neighbours write single
// words, which must not be components of one vector: whoever writes one may write the others too.
var<workgroup> q_row: array<array<u32, 16>, QUADS>;

// Quads of the row, merged of the parts of one group.
fn merged_quads(lid: u32, last: u32) -> array<vec4<f32>, ROW_STEPS> {
    // The first part is there wherever the position is, so it is loaded before that is known.
    var values: array<vec4<f32>, ROW_STEPS>;
    var places: array<u32, ROW_STEPS>; // of parts
    var totals: array<vec4<f32>, ROW_STEPS>;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        let at = row_place(lid, j, last);
        places[j] = at / HEAD_QUADS * N_CHUNKS * PART;
        totals[j] = x[places[j]];
        values[j] = x[places[j] + 1u + at % HEAD_QUADS];
    }
    let per_part = CHUNKS_PER_PAIR / PIECES;
    let n_chunks = min(step.pos / CHUNK + 1u, N_CHUNKS);
    let count = (n_chunks + per_part - 1u) / per_part;
    if PIECES == 2u && count > 1u {
        for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
            let at = row_place(lid, j, last);
            let next = x[places[j] + PART];
            let m = merge(totals[j].x, totals[j].y, next.x, next.y);
            values[j] = merge_values(m, values[j], x[places[j] + PART + 1u + at % HEAD_QUADS]);
            totals[j] = vec4<f32>(m.largest, m.sum, 0.0, 0.0);
        }
    }
    for (var first = PIECES; first < count; first = first + MERGE_AHEAD) {
        var next_totals: array<array<vec4<f32>, ROW_STEPS>, MERGE_AHEAD>;
        var next_values: array<array<vec4<f32>, ROW_STEPS>, MERGE_AHEAD>;
        for (var k = 0u; k < MERGE_AHEAD; k = k + 1u) { // unrolled
            let part = min(first + k, count - 1u) * PART;
            for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
                next_totals[k][j] = x[places[j] + part];
                next_values[k][j] = x[places[j] + part + 1u + row_place(lid, j, last) % HEAD_QUADS];
            }
        }
        if PIECES == 2u {
            for (var k = 0u; k < PAIRS_AHEAD; k = k + 1u) { // unrolled
                if first + 2u * k + 1u < count {
                    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
                        let low = next_totals[2u * k][j];
                        let high = next_totals[2u * k + 1u][j];
                        let m = merge(low.x, low.y, high.x, high.y);
                        next_values[2u * k][j] = merge_values(m, next_values[2u * k][j], next_values[2u * k + 1u][j]);
                        next_totals[2u * k][j] = vec4<f32>(m.largest, m.sum, 0.0, 0.0);
                    }
                }
            }
        }
        for (var k = 0u; k < MERGE_AHEAD; k = k + 1u) { // unrolled
            if first + k < count && (k % 2u == 0u || PIECES == 1u) {
                for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
                    let m = merge(totals[j].x, totals[j].y, next_totals[k][j].x, next_totals[k][j].y);
                    values[j] = merge_values(m, values[j], next_values[k][j]);
                    totals[j] = vec4<f32>(m.largest, m.sum, 0.0, 0.0);
                }
            }
        }
    }
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        values[j] = values[j] / totals[j].y;
    }
    return values;
}

fn row_quads(lid: u32, last: u32) -> array<vec4<f32>, ROW_STEPS> {
    if MERGE { return merged_quads(lid, last); }
    var quads: array<vec4<f32>, ROW_STEPS>;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        quads[j] = x[row_place(lid, j, last)];
    }
    return quads;
}

fn row_gain(i: u32) -> vec4<f32> {
    return gain[i];
}

fn row_put(quad: u32, codes: u32) {
    q_row[quad / 16u][quad % 16u] = codes;
}

fn sixteen_codes(quad: u32, k: u32) -> vec4<u32> {
    return vec4<u32>(q_row[quad][4u * k], q_row[quad][4u * k + 1u], q_row[quad][4u * k + 2u], q_row[quad][4u * k + 3u]);
}

fn row_codes(quad: u32) -> array<vec4<u32>, 4> {
    return array<vec4<u32>, 4>(
        sixteen_codes(quad, 0u),
        sixteen_codes(quad, 1u),
        sixteen_codes(quad, 2u),
        sixteen_codes(quad, 3u),
    );
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let group = wid.x + wid.y * grid.x;
    let lane = lid % LANE_ROWS;
    let slice = lid / LANE_ROWS;

    var bases: array<u32, EACH>;
    var ahead: array<array<vec4<u32>, AHEAD>, EACH>;
    var ahead_up: array<array<vec4<u32>, AHEAD>, EACH>;
    for (var t = 0u; t < EACH; t = t + 1u) { // unrolled
        // Rows past the end repeat the last one.
        let own_row = min(group * ROWS + t * LANE_ROWS + lane, N_ROWS - 1u);
        bases[t] = (own_row / R) * QUADS * R + own_row % R;
        for (var j = 0u; j < AHEAD; j = j + 1u) { // unrolled
            let at = bases[t] + min(slice + j * SLICES, QUADS - 1u) * R;
            ahead[t][j] = w[at];
            if EPILOGUE >= EPILOGUE_GATED { ahead_up[t][j] = w[UP_OFFSET + at]; }
        }
    }
    // What the end needs is loaded here, so that nothing waits for it there.
    let row = group * ROWS + lid;
    let read_row = min(row, N_ROWS - 1u);
    var own_gamma = 0.0;
    var up_gamma = 0.0;
    var before = 0.0;
    if lid < ROWS {
        own_gamma = gamma[read_row];
        if EPILOGUE >= EPILOGUE_GATED { up_gamma = gamma[UP_GAMMA + read_row]; }
        if EPILOGUE == EPILOGUE_ADD { before = y[read_row]; }
    }
    let own = quantize_row(lid, WIDTH, QUADS * 16u, EPS);
    leave_sum(lid, own.sum_q);
    workgroupBarrier();

    var acc: RowSums;
    var acc_up: RowSums;
    for (var j = 0u; j < AHEAD; j = j + 1u) { // unrolled
        let quad = slice + j * SLICES;
        if quad < QUADS {
            let x = row_codes(quad);
            for (var t = 0u; t < EACH; t = t + 1u) { // unrolled
                acc[t] = add_quad(acc[t], ahead[t][j], x);
                if EPILOGUE >= EPILOGUE_GATED { acc_up[t] = add_quad(acc_up[t], ahead_up[t][j], x); }
            }
        }
    }
    acc = add_rest(acc, bases, 0u, slice);
    if EPILOGUE >= EPILOGUE_GATED { acc_up = add_rest(acc_up, bases, UP_OFFSET, slice); }
    leave_sums(slice, lane, acc, acc_up);
    workgroupBarrier();
    if lid < ROWS && row < N_ROWS {
        let scale = RowScale(own.amax, left_sum());
        put_row(lid, row, scale, own_gamma, up_gamma, before);
    }
}
