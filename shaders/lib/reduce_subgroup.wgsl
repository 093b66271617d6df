// Integer reductions over a workgroup by subgroup operations. Same signatures as reduce_shared.wgsl.
// The including kernel declares `override WG: u32`, a power of two from 32 to 256.
// Entry points of kernels must not mention the subgroup built-in values (the shared variant has none), so the lane's rank
// and the subgroup's size are counted here. Relies on consecutive invocations being consecutive lanes of full subgroups,
// which every known implementation of one-dimensional workgroups does; the device's test before use would notice.
// Control flow around barriers and subgroup operations depends on constants only, as browsers demand.
// Where all subgroups have the same size it is a constant, so that nothing has to be counted.
// Where subgroups have 32 lanes or more, each 32 invocations have a place for what their subgroup leaves (zero, if it is left
// at another place), so that no loop is needed to collect it; narrower ones take the loops.
const LANES: u32 = 0u;  // of every subgroup; 0 if they differ
const BLOCKS: u32 = 8u; // of 32 invocations
var<workgroup> reduce_whole: array<u32, BLOCKS>;
var<workgroup> reduce_narrow: array<u32, 64>; // no subgroup has fewer than four lanes

fn subgroup_lanes() -> u32 {
    if LANES != 0u { return LANES; }
    return subgroupAdd(1u);
}

// An invocation's place in its subgroup.
fn subgroup_rank(lid: u32) -> u32 {
    if LANES != 0u { return lid % max(LANES, 1u); }
    return subgroupExclusiveAdd(1u);
}

// Leaves a subgroup's result for whole_sum and whole_max.
fn leave_whole(lid: u32, sg_size: u32, rank: u32, partial: u32) {
    if lid % 32u == 0u { reduce_whole[lid / 32u] = select(0u, partial, rank == 0u); }
    if sg_size < 32u && rank == 0u { reduce_narrow[lid / 4u] = partial; }
}

fn whole_sum(sg_size: u32) -> u32 {
    var total = 0u;
    if sg_size < 32u {
        for (var at = 0u; at < WG; at = at + sg_size) { total = total + reduce_narrow[at / 4u]; }
    } else {
        for (var i = 0u; i < BLOCKS; i = i + 1u) { // unrolled
            if i * 32u < WG { total = total + reduce_whole[i]; }
        }
    }
    return total;
}

fn whole_max(sg_size: u32) -> u32 {
    var largest = 0u;
    if sg_size < 32u {
        for (var at = 0u; at < WG; at = at + sg_size) { largest = max(largest, reduce_narrow[at / 4u]); }
    } else {
        for (var i = 0u; i < BLOCKS; i = i + 1u) { // unrolled
            if i * 32u < WG { largest = max(largest, reduce_whole[i]); }
        }
    }
    return largest;
}

// Sum over the workgroup, wrapping.
fn wg_sum_i32(lid: u32, value: i32) -> i32 {
    let sg_size = subgroup_lanes();
    leave_whole(lid, sg_size, subgroup_rank(lid), bitcast<u32>(subgroupAdd(value)));
    workgroupBarrier();
    let total = whole_sum(sg_size);
    workgroupBarrier();
    return bitcast<i32>(total);
}

// Maximum over the workgroup. Non-negative floats may be passed as their bits: their order is the same.
fn wg_max_u32(lid: u32, value: u32) -> u32 {
    let sg_size = subgroup_lanes();
    leave_whole(lid, sg_size, subgroup_rank(lid), subgroupMax(value));
    workgroupBarrier();
    let largest = whole_max(sg_size);
    workgroupBarrier();
    return largest;
}
