// RMSNorm and int8 quantisation of one row by one workgroup. The two kernels that quantise a row share this
// text, so that the same row gives the same bits in both, however many invocations they have.
//
// A group is 16 columns: what one vector of codes holds, and what an invocation keeps in registers. Its squares are summed in
// a fixed order, the groups' sums by row_totals in another one.
// The norm's factor is the same for all columns, so it does not change which code they get: the largest value and the sum of
// squares are found at once, before it is known.
// The including kernel has `override WG`, a multiple of 32, `override NORM`, and says where the row is:
//   row_columns(at, n4) -> RowColumns   16 columns, zero from column 4 * n4 on; row_plain does it where they lie in a row
//   row_load(i) -> vec4<f32>   four columns, for row_plain
//   row_gain(i) -> vec4<f32>   gains of the norm
//   row_put(group, words)      stores 16 codes; groups behind the row's end, up to `groups`, get zeros

// Four columns and their gains.
struct RowColumns {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
}

fn row_plain(at: u32, n4: u32) -> RowColumns {
    let last = n4 - 1u;
    // All loads first, so that they are on their way together. Places behind the end are clamped, not branched over.
    var v = RowColumns(row_load(at), row_load(min(at + 1u, last)), row_load(min(at + 2u, last)), row_load(min(at + 3u, last)));
    if at + 1u > last { v.b = vec4<f32>(0.0); }
    if at + 2u > last { v.c = vec4<f32>(0.0); }
    if at + 3u > last { v.d = vec4<f32>(0.0); }
    return v;
}

// The row's scale; `sum_q` is that of the invocation's own codes.
fn quantize_row(lid: u32, width: u32, groups: u32, eps: f32) -> RowScale {
    let n4 = width / 4u;
    let last = n4 - 1u;
    var held: array<RowColumns, ROW_STEPS>;
    var squares: array<f32, ROW_STEPS>;
    var largest = 0u;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        let at = (lid + j * WG) * 4u;
        var v = RowColumns();
        squares[j] = 0.0;
        if at < n4 {
            v = row_columns(at, n4);
            var gain = RowColumns();
            if NORM {
                gain = RowColumns(row_gain(at), row_gain(min(at + 1u, last)), row_gain(min(at + 2u, last)), row_gain(min(at + 3u, last)));
            }
            if NORM {
                squares[j] = (sum_squares(v.a) + sum_squares(v.b)) + (sum_squares(v.c) + sum_squares(v.d));
                v = RowColumns(gain.a * v.a, gain.b * v.b, gain.c * v.c, gain.d * v.d);
            }
            largest = max(max(largest, largest_bits(v.a)), max(max(largest_bits(v.b), largest_bits(v.c)), largest_bits(v.d)));
        }
        held[j] = v;
    }
    let totals = row_totals(lid, squares, largest);
    var scale = 1.0;
    if NORM { scale = rms_scale(totals.squares, width, eps); }
    let amax = amax_of(totals.largest, scale);
    let inverse = 127.0 / amax * scale;
    var sum_q = 0;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        let group = lid + j * WG;
        if group < groups {
            let v = held[j];
            let words = vec4<u32>(quantize(v.a, inverse), quantize(v.b, inverse), quantize(v.c, inverse), quantize(v.d, inverse));
            row_put(group, words);
            sum_q = sum_q + sum_codes(words);
        }
    }
    return RowScale(amax, sum_q);
}
