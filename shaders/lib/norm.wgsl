// Residual add, RMSNorm and int8 quantisation, four columns at a time: what the kernels that quantise a row share, so that the
// same row gives the same bits in all of them. Products that are summed are explicit fma, which leaves compilers no choice;
// the rest only multiplies or only adds.

// Running sum of squares, by columns.
fn add_squares(sum: f32, v: vec4<f32>) -> f32 {
    return fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, sum))));
}

// 1 / sqrt(mean(x^2) + eps)
fn rms_scale(squares: f32, width: u32, eps: f32) -> f32 {
    return inverseSqrt(squares / f32(width) + eps);
}

// The larger of `so_far` and the absolute values' bits. A NaN's bits are above every number's, so it is not lost here but
// reaches the logits, where it is reported.
fn larger_bits(so_far: u32, y: vec4<f32>) -> u32 {
    let bits = bitcast<vec4<u32>>(abs(y));
    return max(so_far, max(max(bits.x, bits.y), max(bits.z, bits.w)));
}

// max(max |y|, 1e-5) from the largest bits.
fn amax_of(max_bits: u32) -> f32 {
    if max_bits < bitcast<u32>(1e-5f) { return 1e-5; }
    return bitcast<f32>(max_bits);
}

// Four codes in a word, and their sum.
struct Codes {
    word: u32,
    sum: i32,
}

// clamp(round_half_even(y * inverse), -128, 127)
fn quantize(y: vec4<f32>, inverse: f32) -> Codes {
    let code = vec4<i32>(clamp(round(y * inverse), vec4<f32>(-128.0), vec4<f32>(127.0)));
    let byte = bitcast<vec4<u32>>(code) & vec4<u32>(255u);
    return Codes(byte.x | (byte.y << 8u) | (byte.z << 16u) | (byte.w << 24u), code.x + code.y + code.z + code.w);
}
