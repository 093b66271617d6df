// Ternary matrix times one int8 row (decode).
//
//   y[r] = (sum_k code[r][k] * q[k] - sum(q)) * (gamma[r] * amax / 127)        EPILOGUE store; add: added to y[r]
//   y[j] = act(y_gate[j]) * y_up[j]                                            EPILOGUE relu2, silu
//
// w     quads of 64 codes, [row / R][quad][row % R] (see docs/FORMAT.md); for a gated epilogue the gate's tiles come first,
//       the up's tiles start at quad UP_OFFSET
// gamma [rows (+ rows)] f32, the up's values start at UP_GAMMA
// q     [k_padded / 64] 64 signed bytes in four vectors
// rows  [1] RowScale
// y     [n_rows] f32
// One workgroup: ROWS rows. Neighbouring invocations take neighbouring rows, so that they read neighbouring quads; SLICES
// invocations share a row and split its quads. An invocation has EACH rows, for which it loads the codes of q once.
// Where the weights lie is known by constants: a parameter would have to be loaded before they are.
// needs: step, dot, ternary, product

override WG: u32 = 256;

@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> q: array<array<vec4<u32>, 4>>;
@group(0) @binding(5) var<storage, read> rows: array<RowScale>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn row_codes(quad: u32) -> array<vec4<u32>, 4> {
    return q[quad];
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
    let scale = rows[0];

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
        put_row(lid, row, scale, own_gamma, up_gamma, before);
    }
}
