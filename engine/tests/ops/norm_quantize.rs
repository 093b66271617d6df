use crate::common::{Random, words};
use crate::{Devices, assert_floats, step, untouched};
use engine::ops::NormQuantize;

fn op(width: u32, norm: bool) -> NormQuantize {
    let k_padded = width.next_multiple_of(64);
    NormQuantize {
        width,
        k_padded,
        eps: 1e-5,
        norm,
        max_tokens: 5,
    }
}

fn buffers(op: &NormQuantize, n: usize, random: &mut Random) -> Vec<Vec<u32>> {
    let width = op.width as usize;
    // Room for five tokens: the rest must be left alone.
    let mut x = words(&random.normals(n * width));
    x.resize(5 * width, crate::UNTOUCHED);
    let gain = words(&random.normals(width));
    vec![
        x,
        gain,
        untouched(5 * op.k_padded as usize / 4),
        untouched(10),
    ]
}

/// Fails unless the codes agree but for a few neighbours: a code flips when its value lies within f32 noise of a half.
#[track_caller]
fn assert_codes(what: &str, expected: &[u32], got: &[u32], flips_per_mille: usize) {
    let bytes = |words: &[u32]| -> Vec<i8> { bytemuck::cast_slice(words).to_vec() };
    let (expected, got) = (bytes(expected), bytes(got));
    let mut flips = 0;
    for (i, (e, g)) in expected.iter().zip(&got).enumerate() {
        assert!(e.abs_diff(*g) <= 1, "{what}: code {i} is {g}, expected {e}");
        flips += usize::from(e != g);
    }
    let allowed = (expected.len() * flips_per_mille).div_ceil(1000);
    assert!(
        flips <= allowed,
        "{what}: {flips} of {} codes differ, allowed {allowed}",
        expected.len()
    );
}

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::all();
    let mut random = Random(1);
    for width in [4, 64, 100, 576, 1092, 2560] {
        for norm in [false, true] {
            for n in [1, 3] {
                let op = op(width, norm);
                let what = format!("width {width}, norm {norm}, {n} tokens");
                let buffers = buffers(&op, n, &mut random);
                devices.check(&op, &buffers, step(0, n as u32), |expected, got| {
                    assert_codes(&what, &expected[2], &got[2], 1);
                    let amax = |rows: &[u32]| rows.iter().copied().step_by(2).collect::<Vec<_>>();
                    assert_floats(&what, &amax(&expected[3]), &amax(&got[3]), 1e-6);
                    let k_words = op.k_padded as usize / 4;
                    for (row, codes) in got[3]
                        .chunks_exact(2)
                        .zip(got[2].chunks_exact(k_words))
                        .take(n)
                    {
                        let codes: &[i8] = bytemuck::cast_slice(codes);
                        let sum: i32 = codes.iter().map(|&code| i32::from(code)).sum();
                        assert_eq!(row[1].cast_signed(), sum, "{what}: sum of the codes");
                        assert!(
                            codes[width as usize..].iter().all(|&code| code == 0),
                            "{what}: padding"
                        );
                    }
                });
            }
        }
    }
}

/// Rows with known codes: the published vector, exact ties, zeros and the floor of the scale.
#[test]
fn vectors_are_exact() {
    let mut devices = Devices::all();
    let rows: [(&[f32], f32, &[i8]); 4] = [
        (&[0.3, -1.27, 0.005, 0.635], 1.27, &[30, -127, 0, 64]),
        (
            &[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -127.0],
            127.0,
            &[0, 2, 2, 0, -2, -2, 126, -127],
        ),
        (&[0.0; 4], 1e-5, &[0; 4]),
        (&[1e-6, -1e-6, 0.0, 5e-6], 1e-5, &[13, -13, 0, 64]),
    ];
    for (x, amax, codes) in rows {
        let op = NormQuantize {
            max_tokens: 1,
            ..op(x.len() as u32, false)
        };
        let buffers = vec![words(x), words(&[0.0]), untouched(16), untouched(2)];
        if let Some(got) = devices.run(&op, &buffers, step(0, 1)) {
            let bytes: &[i8] = bytemuck::cast_slice(&got[2]);
            assert_eq!(&bytes[..codes.len()], codes, "{x:?}");
            assert_eq!(f32::from_bits(got[3][0]), amax, "{x:?}");
        }
    }
}

#[test]
fn a_nan_reaches_the_scale() {
    let mut devices = Devices::all();
    let op = NormQuantize {
        max_tokens: 1,
        ..op(64, false)
    };
    let mut x = vec![1.0; 64];
    x[37] = f32::NAN;
    let buffers = vec![words(&x), words(&[0.0]), untouched(16), untouched(2)];
    if let Some(got) = devices.run(&op, &buffers, step(0, 1)) {
        assert!(
            f32::from_bits(got[3][0]).is_nan(),
            "amax {}",
            f32::from_bits(got[3][0])
        );
    }
}
