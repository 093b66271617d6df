// Key-value cache of signed bytes, four a word, the first lowest, with a scale per row (one position of one head). Same
// signatures as kv_f16.wgsl and kv_f32.wgsl.
//
//   amax = max(max |x|, 1e-30);   scale = amax / 127;   code = clamp(round_half_even(x * (127 / amax)), -127, 127)
//
// The codes of all rows come first, then the scales of all rows, in the same order. A scale behind each row would move the rows
// off the 16 bytes and the cache lines that they start at (heads of 64, 128 and 256); apart, the scales of a chunk of positions
// are 256 bytes side by side.

// Four consecutive elements as stored, or a row's scale.
alias KvQuad = u32;
const KV_SCALED: bool = true; // whether rows have scales

// The largest of the absolute values' bits. A NaN's bits are above every number's, so it reaches the scale.
fn kv_largest(values: vec4<f32>) -> u32 {
    let bits = bitcast<vec4<u32>>(abs(values));
    return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

// kv_largest over a row that the invocations of a workgroup share, for two rows at once: `row` is 0 or 1. To be called by all
// invocations; those without a part give zeros.
var<workgroup> kv_rows_largest: array<atomic<u32>, 2>;

fn kv_largest_together(lid: u32, row: u32, values: vec4<f32>) -> u32 {
    if lid < 2u { atomicStore(&kv_rows_largest[lid], 0u); }
    workgroupBarrier();
    let own = kv_largest(values);
    if own > 0u { atomicMax(&kv_rows_largest[row], own); }
    workgroupBarrier();
    return atomicLoad(&kv_rows_largest[row]);
}

// A floor keeps 127 / amax finite; without one a row of zeros would become NaN.
fn kv_amax(largest: u32) -> f32 {
    return bitcast<f32>(max(largest, bitcast<u32>(1e-30f)));
}

// `largest` is that of the whole row. Rounds by adding 1.5 * 2^23, as `quantize` of norm.wgsl does and for its reasons.
fn kv_pack(values: vec4<f32>, largest: u32) -> KvQuad {
    let inverse = 127.0 / kv_amax(largest);
    let bits = bitcast<vec4<u32>>(clamp(values * inverse, vec4<f32>(-127.0), vec4<f32>(127.0)) + 12582912.0);
    return (bits.x & 255u) | ((bits.y & 255u) << 8u) | ((bits.z & 255u) << 16u) | (bits.w << 24u);
}

// The row's scale as stored. A product, which is rounded correctly everywhere, unlike a quotient.
fn kv_pack_scale(largest: u32) -> KvQuad {
    return bitcast<u32>(kv_amax(largest) * 0.007874016f);
}

fn kv_scale(stored: KvQuad) -> f32 {
    return bitcast<f32>(stored);
}

// Rounded once, as every kernel sees it: what follows is an explicit fma.
fn kv_unpack(quad: KvQuad, scale: f32) -> vec4<f32> {
    let bytes = bitcast<vec4<i32>>(vec4<u32>(quad << 24u, quad << 16u, quad << 8u, quad));
    return vec4<f32>(bytes >> vec4<u32>(24u)) * scale;
}

// Scales of rows at their place in the caches, which the including kernel declares.
fn key_scale(at: u32) -> f32 {
    return kv_scale(k_cache[at]);
}

fn value_scale(at: u32) -> f32 {
    return kv_scale(v_cache[at]);
}
