// Integer reductions over a workgroup by subgroup operations. Same signatures as reduce_shared.wgsl.
// The including kernel declares `override WG: u32`, a power of two up to 256.
// Entry points of kernels must not mention the subgroup built-in values (the shared variant has none), so the lane's rank
// and the subgroup's size are counted here. Partial results of subgroups are joined by atomics: integers, so any order.
// Control flow around barriers and subgroup operations depends on constants only, as browsers demand.
var<workgroup> reduce_scratch: array<atomic<u32>, 256>;

// Sum over the workgroup, wrapping.
fn wg_sum_i32(lid: u32, value: i32) -> i32 {
    let partial = subgroupAdd(value);
    let rank = subgroupExclusiveAdd(1u);
    if lid == 0u { atomicStore(&reduce_scratch[0], 0u); }
    workgroupBarrier();
    if rank == 0u { atomicAdd(&reduce_scratch[0], bitcast<u32>(partial)); }
    workgroupBarrier();
    let total = bitcast<i32>(atomicLoad(&reduce_scratch[0]));
    workgroupBarrier();
    return total;
}

// Maximum over the workgroup. Non-negative floats may be passed as their bits: their order is the same.
fn wg_max_u32(lid: u32, value: u32) -> u32 {
    let partial = subgroupMax(value);
    let rank = subgroupExclusiveAdd(1u);
    if lid == 0u { atomicStore(&reduce_scratch[0], 0u); }
    workgroupBarrier();
    if rank == 0u { atomicMax(&reduce_scratch[0], partial); }
    workgroupBarrier();
    let result = atomicLoad(&reduce_scratch[0]);
    workgroupBarrier();
    return result;
}

// Sum over the invocations with equal `lid % stride` (a power of two below WG); valid in invocations below `stride`.
// Relies on consecutive invocations being consecutive lanes, which every known implementation of one-dimensional
// workgroups does and the equality of the variants checks.
fn strided_sum_i32(lid: u32, stride: u32, value: i32) -> i32 {
    let sg_size = subgroupAdd(1u);
    let rank = subgroupExclusiveAdd(1u);
    var sum = value;
    // All lanes take every round, since a browser cannot know that the subgroup's size is uniform. No subgroup is wider
    // than 128.
    for (var mask = stride; mask < min(WG, 128u); mask = mask << 1u) {
        let other = subgroupShuffleXor(sum, mask);
        sum = sum + select(0, other, mask < sg_size);
    }
    if lid < stride { atomicStore(&reduce_scratch[lid], 0u); }
    workgroupBarrier();
    if rank < stride { atomicAdd(&reduce_scratch[lid & (stride - 1u)], bitcast<u32>(sum)); }
    workgroupBarrier();
    let total = bitcast<i32>(atomicLoad(&reduce_scratch[lid & (stride - 1u)]));
    workgroupBarrier();
    return total;
}
