// What both halves of the sampler know: its settings, and floats in order.
struct SamplingParams {
    temperature: f32,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    top_k: u32,
    repetition_window: u32,
    seed_lo: u32,
    seed_hi: u32,
}

const LOWEST_BITS: u32 = 0xFF7FFFFFu; // of the most negative finite float
const NOT_FINITE: u32 = 0xFFFFFFFFu;  // above the key of every finite float

// Order of floats as an order of integers; both zeros are equal.
fn order_key(bits: u32) -> u32 {
    if bits == 0x80000000u { return bits; }
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}
