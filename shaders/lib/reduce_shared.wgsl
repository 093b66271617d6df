// Integer reductions over a workgroup by workgroup memory. Same signatures as reduce_subgroup.wgsl.
// The including kernel declares `override WG: u32`, a power of two up to 256.
const LANES: u32 = 0u; // as in reduce_subgroup.wgsl; of no use here
var<workgroup> reduce_scratch: array<u32, 256>;

// Sum over the workgroup, wrapping.
fn wg_sum_i32(lid: u32, value: i32) -> i32 {
    reduce_scratch[lid] = bitcast<u32>(value);
    workgroupBarrier();
    for (var stride = WG / 2u; stride > 0u; stride = stride >> 1u) {
        if lid < stride {
            reduce_scratch[lid] = reduce_scratch[lid] + reduce_scratch[lid + stride];
        }
        workgroupBarrier();
    }
    let total = bitcast<i32>(reduce_scratch[0]);
    workgroupBarrier();
    return total;
}

// Maximum over the workgroup. Non-negative floats may be passed as their bits: their order is the same.
fn wg_max_u32(lid: u32, value: u32) -> u32 {
    reduce_scratch[lid] = value;
    workgroupBarrier();
    for (var stride = WG / 2u; stride > 0u; stride = stride >> 1u) {
        if lid < stride {
            reduce_scratch[lid] = max(reduce_scratch[lid], reduce_scratch[lid + stride]);
        }
        workgroupBarrier();
    }
    let result = reduce_scratch[0];
    workgroupBarrier();
    return result;
}
