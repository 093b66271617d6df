// Helpers of the ternary matrix products.

// What the quantised row needs to become real again: written by norm_quantize, one per token.
struct RowScale {
    amax: f32,  // max(max |x|, 1e-5)
    sum_q: i32, // sum of the row's int8 codes
}

// y = (sum(code * q) - sum(q)) * (gamma * (amax / 127)): codes are 0..2 for -1..1. Multiplications only, so that no
// compiler can fuse them differently in GEMV and GEMM.
fn dequantize(acc: i32, row: RowScale, gamma: f32) -> f32 {
    return f32(acc - row.sum_q) * (gamma * (row.amax / 127.0));
}

// The same, added to `before`: one fma, written out, so that every kernel rounds once.
fn dequantize_onto(before: f32, acc: i32, row: RowScale, gamma: f32) -> f32 {
    return fma(f32(acc - row.sum_q), gamma * (row.amax / 127.0), before);
}

const EPILOGUE_STORE: u32 = 0u; // y[token][row]
const EPILOGUE_ADD: u32 = 1u;   // y[token][row] is added to
const EPILOGUE_RELU2: u32 = 2u; // y[token][j] = relu(gate_j)^2 * up_j
const EPILOGUE_SILU: u32 = 3u;  // y[token][j] = gate_j * sigmoid(gate_j) * up_j
const EPILOGUE_GATED: u32 = 2u; // this and all above it read two matrices

// Gated activation, in f32 (relu^2 products exceed f16).
fn gated(epilogue: u32, gate: f32, up: f32) -> f32 {
    if epilogue == EPILOGUE_RELU2 {
        let positive = max(gate, 0.0);
        return positive * positive * up;
    }
    return gate * (1.0 / (1.0 + exp(-gate))) * up;
}
