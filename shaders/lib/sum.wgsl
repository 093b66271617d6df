// Float sums over a workgroup in one fixed order, never through subgroups: f32 addition is not associative, and all variants
// must give the same bits. Sixteen invocations sum every sixteenth value, then all sum those sixteen: two barriers instead of
// a tree's eight.
// The including kernel declares `override WG: u32`, a multiple of 16 up to 256.
var<workgroup> sum_scratch: array<f32, 256>;
var<workgroup> sum_sixteenths: array<f32, 16>;

fn wg_sum_f32(lid: u32, value: f32) -> f32 {
    sum_scratch[lid] = value;
    workgroupBarrier();
    if lid < 16u {
        var part = sum_scratch[lid];
        for (var i = lid + 16u; i < WG; i = i + 16u) {
            part = part + sum_scratch[i];
        }
        sum_sixteenths[lid] = part;
    }
    workgroupBarrier();
    var total = sum_sixteenths[0];
    for (var i = 1u; i < 16u; i = i + 1u) {
        total = total + sum_sixteenths[i];
    }
    workgroupBarrier();
    return total;
}
