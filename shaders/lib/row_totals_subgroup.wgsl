// Sum of squares and largest bits of a row, by subgroup operations: one barrier. Same signatures and bits as
// row_totals_shared.wgsl: each block of 128 quads (see row.wgsl) is summed as a binary tree of neighbours, the blocks one
// after the other. A unit is a quarter of a block, 32 quads.
// The including kernel declares `override WG: u32`, a multiple of 32, and of the subgroup's size where that is not constant. Relies on consecutive invocations being consecutive
// lanes of full subgroups; see reduce_subgroup.wgsl.
// Where subgroups have 32 lanes or more, a unit's tree is finished by shuffles; narrower ones leave its branches. What a
// compiler cannot know of the subgroup's size costs as much as half the work, so it is a constant where all have the same.
const LANES: u32 = 0u;      // of every subgroup; 0 if they differ
const ROW_STEPS: u32 = 2u;  // quads of an invocation
const ROW_BLOCKS: u32 = 16u; // of the row
const ROW_UNITS: u32 = 64u;  // 4 * ROW_BLOCKS
var<workgroup> unit_squares: array<array<f32, 4>, ROW_BLOCKS>;
var<workgroup> block_largest: array<u32, 32>; // of 32 invocations
var<workgroup> branch_squares: array<array<f32, 8>, ROW_UNITS>; // no subgroup has fewer than four lanes
var<workgroup> branch_largest: array<array<u32, 8>, 32>;

struct RowTotals {
    squares: f32,
    largest: u32,
}

// A lane's sum and that of the lane `mask` beside it, where the subgroup reaches that far.
fn with_neighbour(sum: f32, mask: u32, lanes: u32) -> f32 {
    // All lanes take part, since a browser cannot know that the subgroup's size is uniform.
    let other = subgroupShuffleXor(sum, mask);
    return sum + select(0.0, other, mask < lanes);
}

// The root of a unit's tree from what narrow subgroups have left.
fn joined_branches(unit: u32, lanes: u32) -> f32 {
    let b = branch_squares[unit];
    if lanes == 16u { return b[0] + b[4]; }
    if lanes == 8u { return (b[0] + b[2]) + (b[4] + b[6]); }
    return ((b[0] + b[1]) + (b[2] + b[3])) + ((b[4] + b[5]) + (b[6] + b[7]));
}

fn row_lanes() -> u32 {
    if LANES != 0u { return LANES; }
    return subgroupAdd(1u);
}

fn row_totals(lid: u32, squares: array<f32, ROW_STEPS>, largest: u32) -> RowTotals {
    let lanes = row_lanes();
    let top = subgroupMax(largest);
    var own = squares;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        var sum = own[j];
        sum = with_neighbour(sum, 1u, lanes);
        sum = with_neighbour(sum, 2u, lanes);
        sum = with_neighbour(sum, 4u, lanes);
        sum = with_neighbour(sum, 8u, lanes);
        sum = with_neighbour(sum, 16u, lanes);
        let unit = (lid + j * WG) / 32u;
        if lid % 32u == 0u && unit < ROW_UNITS { unit_squares[unit / 4u][unit % 4u] = sum; }
        if lanes < 32u && lid % lanes == 0u && unit < ROW_UNITS { branch_squares[unit][lid % 32u / 4u] = sum; }
    }
    if lid % 32u == 0u { block_largest[lid / 32u] = top; }
    if lanes < 32u && lid % lanes == 0u { branch_largest[lid / 32u][lid % 32u / 4u] = top; }
    workgroupBarrier();
    var total = 0.0;
    var most = 0u;
    if lanes >= 32u {
        for (var block = 0u; block < ROW_BLOCKS; block = block + 1u) { // unrolled
            let units = unit_squares[block];
            total = total + ((units[0] + units[1]) + (units[2] + units[3]));
        }
        for (var at = 0u; at < min(WG / 32u, ROW_UNITS); at = at + 1u) { most = max(most, block_largest[at]); }
    } else {
        for (var block = 0u; block < ROW_BLOCKS; block = block + 1u) {
            let low = joined_branches(4u * block, lanes) + joined_branches(4u * block + 1u, lanes);
            let high = joined_branches(4u * block + 2u, lanes) + joined_branches(4u * block + 3u, lanes);
            total = total + (low + high);
        }
        for (var at = 0u; at < WG; at = at + lanes) { most = max(most, branch_largest[at / 32u][at % 32u / 4u]); }
    }
    return RowTotals(total, most);
}

// Leaves a value of which left_sum gives the sum over the workgroup, wrapping, behind a barrier.
var<workgroup> left_parts: array<i32, 256>; // by subgroup, of at least four lanes
var<private> left_lanes: u32; // left_sum may be called where not all lanes are, and cannot count them

fn leave_sum(lid: u32, value: i32) {
    left_lanes = row_lanes();
    let sum = subgroupAdd(value);
    if lid % left_lanes == 0u { left_parts[lid / left_lanes] = sum; }
}

fn left_sum() -> i32 {
    var total = 0;
    for (var at = 0u; at < (WG + left_lanes - 1u) / left_lanes; at = at + 1u) { total = total + left_parts[at]; }
    return total;
}
