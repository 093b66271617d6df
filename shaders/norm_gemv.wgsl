// RMSNorm, int8 quantisation and ternary matrix product of one row (decode): norm_quantize and ternary_gemv in
// one dispatch, with the same bits.
//
//   q = int8 codes of the normed row               (see norm_quantize)
//   y = the product of w with q                    (see ternary_gemv)
//
// w, gamma: as in ternary_gemv
// x     [width] f32; with MERGE the partials that rope_attention has left (see attention_combine), whose merged values are the
//       row: width = heads * D, D a multiple of 16
// gain  [width] f32
// y     [n_rows] f32, not the buffer of x: every workgroup reads x
// One workgroup: ROWS rows; SLICES invocations share one and split its quads. Each workgroup quantises the whole row for
// itself, into workgroup memory: on a GPU that is cheaper than a dispatch of its own, and the more rows share it the cheaper.
// Its weights are loaded first, so that they are on their way meanwhile.
// Where they lie is known by constants: a parameter would have to be loaded before the weights are.
// Needs width % 4 == 0.
// needs: step, merge, dot, ternary, norm, row_totals, row

override WG: u32 = 256;
override R: u32 = 8;
override EPILOGUE: u32 = 0;
override NORM: bool = true;
override WIDTH: u32 = 256;
override N_ROWS: u32 = 8;
override UP_OFFSET: u32 = 0; // the up's first quad, as in ternary_gemv
override UP_GAMMA: u32 = 0;
override MERGE: bool = false;
override HEADS: u32 = 4;
override HEAD_QUADS: u32 = 16; // D / 4
override N_CHUNKS: u32 = 1;    // of the whole context
const CHUNK: u32 = 64u;
const MERGE_AHEAD: u32 = 4u;   // parts that are loaded together
const SLICES: u32 = 32u;
const ROWS: u32 = 8u;   // WG / SLICES
const QUADS: u32 = 4u;  // k_padded / 64
const AHEAD: u32 = 2u;  // quads of a matrix that an invocation loads before the row is ready

struct Params {
    eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gain: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

// Codes of the row: a quad of a matrix is multiplied with four vectors, behind one index.
var<workgroup> q_row: array<array<vec4<u32>, 4>, QUADS>;
var<workgroup> acc_parts: array<array<i32, ROWS>, SLICES>;
var<workgroup> up_parts: array<array<i32, ROWS>, SLICES>;

fn row_load(i: u32) -> vec4<f32> {
    return x[i];
}

// A group of columns of the part at `at`, its quad `quad` first.
fn part_columns(at: u32, quad: u32) -> RowColumns {
    let first = at + 1u + quad;
    return RowColumns(x[first], x[first + 1u], x[first + 2u], x[first + 3u]);
}

// Sixteen columns, merged of chunks, or of groups where there is more than one.
fn merged_columns(at: u32) -> RowColumns {
    let n_chunks = min(step.pos / CHUNK + 1u, N_CHUNKS);
    let by_group = n_chunks > CHUNKS_PER_GROUP;
    let n_groups = (N_CHUNKS + CHUNKS_PER_GROUP - 1u) / CHUNKS_PER_GROUP;
    let count = select(n_chunks, (n_chunks + CHUNKS_PER_GROUP - 1u) / CHUNKS_PER_GROUP, by_group);
    let head = at / HEAD_QUADS;
    let quad = at % HEAD_QUADS;
    let len = HEAD_QUADS + 1u;
    let base = select(head * N_CHUNKS, HEADS * N_CHUNKS + head * n_groups, by_group) * len;
    var largest = x[base].x;
    var sum = x[base].y;
    var v = part_columns(base, quad);
    for (var first = 1u; first < count; first = first + MERGE_AHEAD) {
        var totals: array<vec4<f32>, MERGE_AHEAD>;
        var parts: array<RowColumns, MERGE_AHEAD>;
        for (var j = 0u; j < MERGE_AHEAD; j = j + 1u) { // unrolled
            let part = base + min(first + j, count - 1u) * len;
            totals[j] = x[part];
            parts[j] = part_columns(part, quad);
        }
        for (var j = 0u; j < MERGE_AHEAD; j = j + 1u) { // unrolled
            if first + j < count {
                let m = merge(largest, sum, totals[j].x, totals[j].y);
                v.a = merge_values(m, v.a, parts[j].a);
                v.b = merge_values(m, v.b, parts[j].b);
                v.c = merge_values(m, v.c, parts[j].c);
                v.d = merge_values(m, v.d, parts[j].d);
                largest = m.largest;
                sum = m.sum;
            }
        }
    }
    return RowColumns(v.a / sum, v.b / sum, v.c / sum, v.d / sum);
}

fn row_columns(at: u32, n4: u32) -> RowColumns {
    if MERGE { return merged_columns(at); }
    return row_plain(at, n4);
}

fn row_gain(i: u32) -> vec4<f32> {
    return gain[i];
}

fn row_put(group: u32, words: vec4<u32>) {
    q_row[group / 4u][group % 4u] = words;
}

fn dot_quad(sums: DotSums, codes: vec4<u32>, quad: u32) -> DotSums {
    let half = add_codes(add_codes(sums, codes.x, q_row[quad][0]), codes.y, q_row[quad][1]);
    return add_codes(add_codes(half, codes.z, q_row[quad][2]), codes.w, q_row[quad][3]);
}

// Products of the quads that were not loaded ahead.
fn rest_of_row(sums: DotSums, row_base: u32, slice: u32) -> DotSums {
    var acc = sums;
    for (var quad = slice + AHEAD * SLICES; quad < QUADS; quad = quad + SLICES) {
        acc = dot_quad(acc, w[row_base + quad * R], quad);
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
    let row = group * ROWS + lid % ROWS;
    let slice = lid / ROWS;
    // Rows past the end repeat the last one.
    let read_row = min(row, N_ROWS - 1u);
    let row_base = (read_row / R) * QUADS * R + read_row % R;

    var ahead: array<vec4<u32>, AHEAD>;
    var ahead_up: array<vec4<u32>, AHEAD>;
    for (var j = 0u; j < AHEAD; j = j + 1u) { // unrolled
        let at = row_base + min(slice + j * SLICES, QUADS - 1u) * R;
        ahead[j] = w[at];
        if EPILOGUE >= EPILOGUE_GATED { ahead_up[j] = w[UP_OFFSET + at]; }
    }
    let own = quantize_row(lid, WIDTH, QUADS * 4u, params.eps);
    leave_sum(lid, own.sum_q);
    workgroupBarrier();

    var acc = DotSums();
    var acc_up = DotSums();
    for (var j = 0u; j < AHEAD; j = j + 1u) { // unrolled
        let quad = slice + j * SLICES;
        if quad < QUADS {
            acc = dot_quad(acc, ahead[j], quad);
            if EPILOGUE >= EPILOGUE_GATED { acc_up = dot_quad(acc_up, ahead_up[j], quad); }
        }
    }
    acc_parts[slice][lid % ROWS] = dot_total(rest_of_row(acc, row_base, slice));
    if EPILOGUE >= EPILOGUE_GATED {
        up_parts[slice][lid % ROWS] = dot_total(rest_of_row(acc_up, UP_OFFSET + row_base, slice));
    }
    workgroupBarrier();
    if lid < ROWS && row < N_ROWS {
        let scale = RowScale(own.amax, left_sum());
        var total = 0;
        for (var s = 0u; s < SLICES; s = s + 1u) { // unrolled
            total = total + acc_parts[s][lid];
        }
        if EPILOGUE == EPILOGUE_STORE {
            y[row] = dequantize(total, scale, gamma[row]);
        } else if EPILOGUE == EPILOGUE_ADD {
            y[row] = dequantize_onto(y[row], total, scale, gamma[row]);
        } else {
            var total_up = 0;
            for (var s = 0u; s < SLICES; s = s + 1u) { // unrolled
                total_up = total_up + up_parts[s][lid];
            }
            let up = dequantize(total_up, scale, gamma[UP_GAMMA + row]);
            y[row] = gated(EPILOGUE, dequantize(total, scale, gamma[row]), up);
        }
    }
}
