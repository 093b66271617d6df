// Arithmetic of RMSNorm and of int8 quantisation, four columns at a time. Products that are summed are explicit fma, which
// leaves compilers no choice; the rest only multiplies or only adds.

// Running sum of squares, by columns.
fn add_squares(sum: f32, v: vec4<f32>) -> f32 {
    return fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, sum))));
}

fn sum_squares(v: vec4<f32>) -> f32 {
    return add_squares(0.0, v);
}

// 1 / sqrt(mean(x^2) + eps)
fn rms_scale(squares: f32, width: u32, eps: f32) -> f32 {
    return inverseSqrt(squares / f32(width) + eps);
}

// The largest of the absolute values' bits. A NaN's bits are above every number's, so it is not lost here but reaches the
// logits, where it is reported.
fn largest_bits(y: vec4<f32>) -> u32 {
    let bits = bitcast<vec4<u32>>(abs(y));
    return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

// max(scale * max |y|, 1e-5) from the largest bits.
fn amax_of(max_bits: u32, scale: f32) -> f32 {
    let amax = bitcast<f32>(max_bits) * scale;
    if bitcast<u32>(amax) < bitcast<u32>(1e-5f) { return 1e-5; }
    return amax;
}

// 1.5 * 2^23: a float of this size counts in ones, so adding it rounds half to even, and leaves the code in the lowest byte.
// Conversions and roundings have far fewer units on many GPUs than additions. The clamp in front keeps compilers from fusing
// the product with the sum, which would round once instead of twice.
const CODE_BIAS: f32 = 12582912.0;

// clamp(round_half_even(y * inverse), -128, 127), a byte each.
fn quantize(y: vec4<f32>, inverse: f32) -> u32 {
    let biased = clamp(y * inverse, vec4<f32>(-128.0), vec4<f32>(127.0)) + CODE_BIAS;
    let bits = bitcast<vec4<u32>>(biased);
    return (bits.x & 255u) | ((bits.y & 255u) << 8u) | ((bits.z & 255u) << 16u) | (bits.w << 24u);
}
