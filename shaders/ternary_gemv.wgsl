// Ternary matrix times one int8 row (decode).
//
//   y[r] = (sum_k code[r][k] * q[k] - sum(q)) * (gamma[r] * amax / 127)        EPILOGUE store; add: added to y[r]
//   y[j] = act(y_gate[j]) * y_up[j]                                            EPILOGUE relu2, silu
//
// w     quads of 64 codes, [row / R][quad][row % R] (see docs/FORMAT.md); for a gated epilogue the gate's tiles come first,
//       the up's tiles start at quad `up_offset`
// gamma [rows (+ rows)] f32, the up's values start at n_rows_padded
// q     [k_padded / 16] vec4<u32>, 64 signed bytes in four vectors
// rows  [1] RowScale
// y     [n_rows] f32
// One workgroup: WG / SLICES rows. Neighbouring invocations take neighbouring rows, so that they read neighbouring quads;
// SLICES invocations share a row and split its quads.
// needs: step, reduce, dot, ternary

override WG: u32 = 256;
override SLICES: u32 = 32;
override R: u32 = 8;
override EPILOGUE: u32 = 0;

struct Params {
    n_rows: u32,   // outputs
    n_quads: u32,  // k_padded / 64
    up_offset: u32,
    up_gamma: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> q: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> rows: array<RowScale>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn partial_dot(row_base: u32, slice: u32) -> i32 {
    var acc = DotSums();
    for (var quad = slice; quad < params.n_quads; quad = quad + SLICES) {
        let codes = w[row_base + quad * R];
        acc = add_codes(add_codes(acc, codes.x, q[quad * 4u]), codes.y, q[quad * 4u + 1u]);
        acc = add_codes(add_codes(acc, codes.z, q[quad * 4u + 2u]), codes.w, q[quad * 4u + 3u]);
    }
    return dot_total(acc);
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
    let row_base = (row / R) * params.n_quads * R + row % R;
    var acc = 0;
    var acc_up = 0;
    if row < params.n_rows {
        acc = partial_dot(row_base, slice);
        if EPILOGUE >= EPILOGUE_GATED {
            acc_up = partial_dot(params.up_offset + row_base, slice);
        }
    }
    let total = strided_sum_i32(lid, rows_per_group, acc);
    if EPILOGUE < EPILOGUE_GATED {
        if slice == 0u && row < params.n_rows {
            if EPILOGUE == EPILOGUE_ADD {
                y[row] = dequantize_onto(y[row], total, rows[0], gamma[row]);
            } else {
                y[row] = dequantize(total, rows[0], gamma[row]);
            }
        }
    } else {
        let total_up = strided_sum_i32(lid, rows_per_group, acc_up);
        if slice == 0u && row < params.n_rows {
            let gate = dequantize(total, rows[0], gamma[row]);
            let up = dequantize(total_up, rows[0], gamma[params.up_gamma + row]);
            y[row] = gated(EPILOGUE, gate, up);
        }
    }
}
