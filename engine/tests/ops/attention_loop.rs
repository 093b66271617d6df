use super::attention::each_case;
use crate::{Devices, assert_floats};
use engine::ops::AttentionLoop;

#[test]
fn agrees_with_the_reference() {
    let mut devices = Devices::one();
    each_case(27, |what, op, buffers, step| {
        devices.check(&AttentionLoop(op), buffers, step, |expected, got| {
            assert_floats(what, &expected[3], &got[3], 1e-5);
        });
    });
}

#[test]
fn has_the_bits_of_attention() {
    let mut devices = Devices::one();
    each_case(28, |what, op, buffers, step| {
        let expected = devices.run(&op, buffers, step);
        assert_eq!(
            expected,
            devices.run(&AttentionLoop(op), buffers, step),
            "{what}"
        );
    });
}
