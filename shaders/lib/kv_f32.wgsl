// Key-value cache of floats. Same signatures as kv_f16.wgsl.

// Four consecutive elements as stored.
alias KvQuad = vec4<f32>;

fn kv_pack(values: vec4<f32>) -> KvQuad {
    return values;
}

fn kv_unpack(quad: KvQuad) -> vec4<f32> {
    return quad;
}
