// Float sums over a workgroup in one fixed order, never through subgroups: f32 addition is not associative, and all variants
// must give the same bits. Sixteen invocations sum every sixteenth value, then all sum those sixteen: two barriers instead of
// a tree's eight.
// The including kernel has 256 invocations.
const OTHERS: u32 = 15u;
// Two indices, so that the bound of the second is checked once for all sixteen loads.
var<workgroup> sum_scratch: array<array<f32, 16>, 16>;
var<workgroup> sum_sixteenths: array<f32, 16>;

fn wg_sum_f32(lid: u32, value: f32) -> f32 {
    sum_scratch[lid / 16u][lid % 16u] = value;
    workgroupBarrier();
    if lid < 16u {
        var part = sum_scratch[0][lid];
        for (var i = 0u; i < OTHERS; i = i + 1u) { // unrolled
            part = part + sum_scratch[i + 1u][lid];
        }
        sum_sixteenths[lid] = part;
    }
    workgroupBarrier();
    var total = sum_sixteenths[0];
    for (var i = 0u; i < OTHERS; i = i + 1u) { // unrolled
        total = total + sum_sixteenths[i + 1u];
    }
    workgroupBarrier();
    return total;
}
