// Float sums over a workgroup in one fixed order (a binary tree over the invocations), never through subgroups:
// f32 addition is not associative, and all variants must give the same bits.
// The including kernel declares `override WG: u32`, a power of two up to 256.
var<workgroup> sum_scratch: array<f32, 256>;

fn wg_sum_f32(lid: u32, value: f32) -> f32 {
    sum_scratch[lid] = value;
    workgroupBarrier();
    for (var stride = WG / 2u; stride > 0u; stride = stride >> 1u) {
        if lid < stride {
            sum_scratch[lid] = sum_scratch[lid] + sum_scratch[lid + stride];
        }
        workgroupBarrier();
    }
    let total = sum_scratch[0];
    workgroupBarrier();
    return total;
}
