// Key-value cache of halves, two a word, the lower first. Same signatures as kv_f32.wgsl.

// Four consecutive elements as stored.
alias KvQuad = vec2<u32>;

fn kv_pack(values: vec4<f32>) -> KvQuad {
    return vec2<u32>(pack2x16float(values.xy), pack2x16float(values.zw));
}

fn kv_unpack(quad: KvQuad) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(quad.x), unpack2x16float(quad.y));
}
