// Residual add, RMSNorm, int8 quantisation and ternary matrix product of one row (decode): norm_quantize and ternary_gemv in
// one dispatch, with the same bits.
//
//   x_out = x + delta                                  (ADD_DELTA; else x_out is not written and the row is x)
//   q     = int8 codes of the normed row               (see norm_quantize)
//   y     = the product of w with q                    (see ternary_gemv)
//
// w, gamma: as in ternary_gemv
// x     [width] f32
// delta [width] f32
// gain  [width] f32
// x_out [width] f32, not the buffer of x: every workgroup reads x
// y     [n_rows] f32
// One workgroup: WG / SLICES rows. Each quantises the whole row for itself, into workgroup memory: on a GPU that is cheaper
// than a dispatch of its own. Its weights are loaded first, so that they are on their way meanwhile.
// Needs width % 4 == 0.
// needs: step, sum, reduce, dot, ternary, norm

override WG: u32 = 256;
override SLICES: u32 = 32;
override R: u32 = 8;
override EPILOGUE: u32 = 0;
override NORM: bool = true;
override ADD_DELTA: bool = true;
override Q_WORDS: u32 = 64; // k_padded / 4
override Q_QUADS: u32 = 4; // k_padded / 64
const STEPS: u32 = 2u; // Q_WORDS / WG, rounded up
const AHEAD: u32 = 2u; // quads of a matrix that an invocation loads before the row is ready

struct Params {
    n_rows: u32,
    n_quads: u32,
    up_offset: u32,
    up_gamma: u32,
    width: u32,
    eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> delta: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> gain: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> x_out: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> y: array<f32>;

// The codes as they are made, four columns an invocation, and as they are used: a load of a vector costs no more than one of
// a word, and the products do little else.
var<workgroup> q_words: array<u32, Q_WORDS>;
var<workgroup> q_row: array<RowQuad, Q_QUADS>;

// 64 codes of the row, which one quad of a matrix is multiplied with: one index for four loads.
struct RowQuad {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
}

fn four_words(at: u32) -> vec4<u32> {
    return vec4<u32>(q_words[at], q_words[at + 1u], q_words[at + 2u], q_words[at + 3u]);
}

// Quantises the row into q_row. Every invocation keeps its columns in registers. `sum_q` is that of its own codes.
fn quantize_row(lid: u32, first_group: bool) -> RowScale {
    let n4 = params.width / 4u;
    var held: array<vec4<f32>, STEPS>;
    var gains: array<vec4<f32>, STEPS>;
    for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled
        let at = min(lid + j * WG, n4 - 1u);
        held[j] = x[at];
        if ADD_DELTA { held[j] = held[j] + delta[at]; }
        if NORM { gains[j] = gain[at]; }
    }
    var squares = 0.0;
    for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled
        if lid + j * WG >= n4 { held[j] = vec4<f32>(0.0); }
        squares = add_squares(squares, held[j]);
    }
    if ADD_DELTA && first_group {
        for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled
            if lid + j * WG < n4 { x_out[lid + j * WG] = held[j]; }
        }
    }
    if NORM {
        let scale = rms_scale(wg_sum_f32(lid, squares), params.width, params.eps);
        for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled
            held[j] = gains[j] * (held[j] * scale);
        }
    }
    var largest = 0u;
    for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled
        largest = larger_bits(largest, held[j]);
    }
    let amax = amax_of(wg_max_u32(lid, largest));
    let inverse = 127.0 / amax;
    var sum_q = 0;
    for (var j = 0u; j < STEPS; j = j + 1u) { // unrolled
        let codes = quantize(held[j], inverse);
        sum_q = sum_q + codes.sum;
        if lid + j * WG < Q_WORDS { q_words[lid + j * WG] = codes.word; }
    }
    workgroupBarrier();
    for (var i = lid; i < Q_QUADS; i = i + WG) {
        let at = i * 16u;
        q_row[i] = RowQuad(four_words(at), four_words(at + 4u), four_words(at + 8u), four_words(at + 12u));
    }
    workgroupBarrier();
    return RowScale(amax, sum_q);
}

fn dot_quad(codes: vec4<u32>, quad: u32) -> i32 {
    let q = q_row[quad];
    return dot_codes(codes.x, q.a) + dot_codes(codes.y, q.b) + dot_codes(codes.z, q.c) + dot_codes(codes.w, q.d);
}

// Products of the quads that were not loaded ahead.
fn rest_of_row(row_base: u32, slice: u32) -> i32 {
    var acc = 0;
    for (var quad = slice + AHEAD * SLICES; quad < params.n_quads; quad = quad + SLICES) {
        acc = acc + dot_quad(w[row_base + quad * R], quad);
    }
    return acc;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let group = wid.x + wid.y * grid.x;
    let rows_per_group = WG / SLICES;
    let row = group * rows_per_group + lid % rows_per_group;
    let slice = lid / rows_per_group;
    // Rows past the end repeat the last one.
    let read_row = min(row, params.n_rows - 1u);
    let row_base = (read_row / R) * params.n_quads * R + read_row % R;

    var ahead: array<vec4<u32>, AHEAD>;
    var ahead_up: array<vec4<u32>, AHEAD>;
    for (var j = 0u; j < AHEAD; j = j + 1u) { // unrolled
        let at = row_base + min(slice + j * SLICES, params.n_quads - 1u) * R;
        ahead[j] = w[at];
        if EPILOGUE != EPILOGUE_STORE { ahead_up[j] = w[params.up_offset + at]; }
    }
    let own = quantize_row(lid, group == 0u);

    var acc = 0;
    var acc_up = 0;
    for (var j = 0u; j < AHEAD; j = j + 1u) { // unrolled
        let quad = slice + j * SLICES;
        if quad < params.n_quads {
            acc = acc + dot_quad(ahead[j], quad);
            if EPILOGUE != EPILOGUE_STORE { acc_up = acc_up + dot_quad(ahead_up[j], quad); }
        }
    }
    acc = acc + rest_of_row(row_base, slice);
    let totals = strided_sums(lid, rows_per_group, acc, own.sum_q);
    let scale = RowScale(own.amax, totals.y);
    if EPILOGUE == EPILOGUE_STORE {
        if slice == 0u && row < params.n_rows {
            y[row] = dequantize(totals.x, scale, gamma[row]);
        }
    } else {
        acc_up = acc_up + rest_of_row(params.up_offset + row_base, slice);
        let total_up = strided_sum_i32(lid, rows_per_group, acc_up);
        if slice == 0u && row < params.n_rows {
            let gate = dequantize(totals.x, scale, gamma[row]);
            let up = dequantize(total_up, scale, gamma[params.up_gamma + row]);
            y[row] = gated(EPILOGUE, gate, up);
        }
    }
}
