// RMSNorm and int8 quantisation of one row by one workgroup. The two kernels that quantise a row share this
// text, so that the same row gives the same bits in both, however many invocations they have.
//
// An invocation holds quads of four columns, WG quads apart, so that neighbours read neighbouring memory. Their squares are summed
// in a fixed order: four columns one after the other, the rest by row_totals.
// The norm's factor is the same for all columns, so it does not change which code they get: the largest value and the sum of
// squares are found at once, before it is known.
// The including kernel has `override WG`, a multiple of 32, `override NORM`, and says where the row is:
//   row_quads(lid, last) -> array<vec4<f32>, ROW_STEPS>   quads row_place(lid, j, last) for all j; `last` is the row's last quad
//   row_gain(i) -> vec4<f32>   gains of the norm
//   row_put(quad, codes)       stores four codes; quads behind the row's end, up to `quads`, get zeros

// The j-th quad of an invocation; clamped, not branched over, so that all loads are on their way together.
fn row_place(lid: u32, j: u32, last: u32) -> u32 {
    return min(lid + j * WG, last);
}

// The row's scale; `sum_q` is that of the invocation's own codes.
fn quantize_row(lid: u32, width: u32, quads: u32, eps: f32) -> RowScale {
    let last = width / 4u - 1u;
    var held = row_quads(lid, last);
    var gains: array<vec4<f32>, ROW_STEPS>;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        if NORM { gains[j] = row_gain(row_place(lid, j, last)); }
    }
    var squares: array<f32, ROW_STEPS>;
    var largest = 0u;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        if lid + j * WG > last { held[j] = vec4<f32>(0.0); }
        squares[j] = 0.0;
        if NORM {
            squares[j] = sum_squares(held[j]);
            held[j] = gains[j] * held[j];
        }
        largest = max(largest, largest_bits(held[j]));
    }
    let totals = row_totals(lid, squares, largest);
    var scale = 1.0;
    if NORM { scale = rms_scale(totals.squares, width, eps); }
    let amax = amax_of(totals.largest, scale);
    let inverse = 127.0 / amax * scale;
    var sum_q = 0;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        let quad = lid + j * WG;
        if quad < quads {
            let codes = quantize(held[j], inverse);
            row_put(quad, codes);
            sum_q = sum_q + sum_codes(codes);
        }
    }
    return RowScale(amax, sum_q);
}
