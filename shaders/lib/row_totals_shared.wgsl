// Sum of squares and largest bits of a row, by workgroup memory. Same signatures and bits as row_totals_subgroup.wgsl.
// The including kernel declares `override WG: u32`, a multiple of 32.
const LANES: u32 = 0u;      // as in row_totals_subgroup.wgsl; of no use here
const ROW_STEPS: u32 = 2u;  // quads of an invocation
const ROW_BLOCKS: u32 = 16u; // of the row
const ROW_UNITS: u32 = 64u;  // 4 * ROW_BLOCKS
var<workgroup> block_squares: array<array<f32, 32>, ROW_BLOCKS>; // of 16 columns each
var<workgroup> quad_squares: array<array<f32, 4>, 256>; // by invocation
var<workgroup> block_largest: array<array<u32, 32>, 32>; // of 32 invocations

struct RowTotals {
    squares: f32,
    largest: u32,
}

fn row_totals(lid: u32, squares: array<f32, ROW_STEPS>, largest: u32) -> RowTotals {
    var own = squares;
    let lane = lid % 32u;
    for (var j = 0u; j < ROW_STEPS; j = j + 1u) { // unrolled
        quad_squares[lid / 4u][lid % 4u] = own[j];
        workgroupBarrier();
        let group = (lid + j * WG) / 4u;
        if lid % 4u == 0u && group / 32u < ROW_BLOCKS {
            let four = quad_squares[lid / 4u];
            block_squares[group / 32u][group % 32u] = (four[0] + four[1]) + (four[2] + four[3]);
        }
        workgroupBarrier();
    }
    block_largest[lid / 32u][lane] = largest;
    workgroupBarrier();
    for (var mask = 1u; mask < 32u; mask = mask << 1u) {
        if lane % (2u * mask) == 0u {
            for (var block = lid / 32u; block < ROW_BLOCKS; block = block + WG / 32u) {
                block_squares[block][lane] = block_squares[block][lane] + block_squares[block][lane + mask];
            }
            block_largest[lid / 32u][lane] = max(block_largest[lid / 32u][lane], block_largest[lid / 32u][lane + mask]);
        }
        workgroupBarrier();
    }
    var total = 0.0;
    for (var block = 0u; block < ROW_BLOCKS; block = block + 1u) { // unrolled
        total = total + block_squares[block][0];
    }
    var most = 0u;
    for (var at = 0u; at < min(WG / 32u, ROW_UNITS); at = at + 1u) { most = max(most, block_largest[at][0]); }
    return RowTotals(total, most);
}

// Leaves a value of which left_sum gives the sum over the workgroup, wrapping, behind a barrier.
var<workgroup> left_total: atomic<i32>;

fn leave_sum(lid: u32, value: i32) {
    if lid == 0u { atomicStore(&left_total, 0); }
    workgroupBarrier();
    atomicAdd(&left_total, value);
}

fn left_sum() -> i32 {
    return atomicLoad(&left_total);
}
