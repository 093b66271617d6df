// Sixty-four codes times int8 activations by f32 fma, for devices without a native packed dot product.
//
// A code c lands in the top mantissa bits of 1.0, which makes the f32 1 + c / 4 without a conversion. The products are
// multiples of 1/4, and the sum over a quad stays far below 2^22, so f32 holds it exactly in any order; four times that
// sum is an integer, sum(c * q) + 4 * sum(q).
fn with_ones(c: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>((c & vec4<u32>(0x00600000u)) | vec4<u32>(0x3f800000u));
}

fn signed_bytes(a: u32) -> vec4<f32> {
    return vec4<f32>(bitcast<vec4<i32>>(vec4<u32>(a << 24u, a << 16u, a << 8u, a)) >> vec4<u32>(24u));
}

// Element e of a word lies at bits 8 * (e % 4) + 2 * (e / 4); each is moved to bits 21 and 22.
fn dot_word(w: u32, a: vec4<u32>) -> f32 {
    let c0 = vec4<u32>(w << 21u, w << 13u, w << 5u, w >> 3u);
    let c1 = vec4<u32>(w << 19u, w << 11u, w << 3u, w >> 5u);
    let c2 = vec4<u32>(w << 17u, w << 9u, w << 1u, w >> 7u);
    let c3 = vec4<u32>(w << 15u, w << 7u, w >> 1u, w >> 9u);
    return dot(with_ones(c0), signed_bytes(a.x)) + dot(with_ones(c1), signed_bytes(a.y))
        + dot(with_ones(c2), signed_bytes(a.z)) + dot(with_ones(c3), signed_bytes(a.w));
}

fn dot_quad(w: vec4<u32>, a0: vec4<u32>, a1: vec4<u32>, a2: vec4<u32>, a3: vec4<u32>) -> i32 {
    return i32(4.0 * (dot_word(w.x, a0) + dot_word(w.y, a1) + dot_word(w.z, a2) + dot_word(w.w, a3)));
}

// Four times sum(q) from the ones, once from code - 1.
const SUM_FACTOR: i32 = 5;
