// Plain read of a buffer: the yardstick of every bandwidth ratio.
// Each thread takes the xor of LOADS vec4, as far apart as there are threads, and writes it, so no load can be dropped.
@group(0) @binding(0) var<storage, read> data: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;

override WG: u32 = 256u;
override LOADS: u32 = 4u;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = arrayLength(&data);
    let stride = groups.x * WG;
    var acc = vec4<u32>(0u);
    var i = gid.x;
    for (var load = 0u; load < LOADS; load = load + 4u) {
        if LOADS >= 4u && i + 3u * stride < n {
            // Four loads in flight at once.
            let a = data[i];
            let b = data[i + stride];
            let c = data[i + 2u * stride];
            let d = data[i + 3u * stride];
            acc = acc ^ a ^ b ^ c ^ d;
        } else {
            for (var k = 0u; k < min(LOADS, 4u); k = k + 1u) {
                if i + k * stride < n {
                    acc = acc ^ data[i + k * stride];
                }
            }
        }
        i = i + 4u * stride;
    }
    sums[gid.x] = acc.x ^ acc.y ^ acc.z ^ acc.w;
}
