use crate::common::{Random, words};
use crate::{Devices, assert_floats, untouched};
use engine::ops::{RmsNorm, Step};

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::one();
    let mut random = Random(2);
    for width in [4_usize, 64, 100, 576, 2560, 5460] {
        for (n_tokens, logit_row, n_logits) in [(1, 0, 1), (5, 4, 1), (5, 1, 3)] {
            let op = RmsNorm {
                width: width as u32,
                eps: 1e-5,
                max_tokens: 5,
                max_logits: 4,
            };
            let x = random.normals(5 * width);
            let gain = random.normals(width);
            let buffers = vec![words(&x), words(&gain), untouched(4 * width)];
            let step = Step {
                pos: 9,
                n_tokens,
                logit_row,
                n_logits,
            };
            devices.check(&op, &buffers, step, |expected, got| {
                assert_floats(
                    &format!("width {width}, rows {logit_row}+{n_logits}"),
                    &expected[2],
                    &got[2],
                    1e-6,
                );
            });
        }
    }
}
