// Key-value cache of floats. Same signatures as kv_f16.wgsl and kv_i8.wgsl.

// Four consecutive elements as stored.
alias KvQuad = vec4<f32>;

fn kv_pack(values: vec4<f32>, largest: u32) -> KvQuad {
    return values;
}

fn kv_unpack(quad: KvQuad, scale: f32) -> vec4<f32> {
    return quad;
}

// Rows have no scales: what follows is for kv_i8.wgsl, and nothing of it is left in the compiled kernel.
const KV_SCALED: bool = false; // whether rows have scales

fn kv_largest(values: vec4<f32>) -> u32 {
    return 0u;
}

fn kv_largest_together(lid: u32, row: u32, values: vec4<f32>) -> u32 {
    return 0u;
}

fn kv_pack_scale(largest: u32) -> KvQuad {
    return KvQuad();
}

fn kv_scale(stored: KvQuad) -> f32 {
    return 1.0;
}

fn key_scale(at: u32) -> f32 {
    return 1.0;
}

fn value_scale(at: u32) -> f32 {
    return 1.0;
}
