#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::checkpoint::stored::Dtype;

fn read(pickle: &[u8]) -> Result<Vec<(String, PickledTensor)>, String> {
    read_tensors("f", pickle).map_err(|error| error.to_string())
}

/// `{"t": tensor}` as protocol 2 writes it, the tensor with these arguments after the storage.
fn one_tensor(arguments: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}q\x00X\x01\x00\x00\x00tq\x01".to_vec();
    pickle.extend(tensor(arguments));
    pickle.extend(b"s.");
    pickle
}

fn tensor(arguments: &[u8]) -> Vec<u8> {
    let mut bytes =
        b"ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\x00\x00\x00storagectorch\nHalfStorage\n"
            .to_vec();
    bytes.extend(b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x0ctQ");
    bytes.extend(arguments);
    bytes.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    bytes
}

/// Offset 2, shape (2, 3), strides (4, 1).
const PLAIN: &[u8] = b"K\x02K\x02K\x03\x86K\x04K\x01\x86";

#[test]
fn a_tensor_is_what_its_arguments_say() {
    let tensors = read(&one_tensor(PLAIN)).unwrap();
    let [(name, tensor)] = &tensors[..] else {
        panic!("{tensors:?}")
    };
    assert_eq!(name, "t");
    assert_eq!(
        (tensor.storage.dtype, tensor.storage.key.as_str()),
        (Dtype::F16, "0")
    );
    assert_eq!((tensor.storage.n_elements, tensor.offset), (12, 2));
    assert_eq!(
        (&tensor.shape[..], &tensor.strides[..]),
        (&[2, 3][..], &[4, 1][..])
    );
}

#[test]
fn wrappers_parameters_and_metadata_are_looked_through() {
    // {"epoch": 3, "state_dict": {"t": Parameter(tensor)}} with attributes on the inner dictionary.
    let mut pickle = b"\x80\x02}(X\x05\x00\x00\x00epochK\x03X\x0a\x00\x00\x00state_dict".to_vec();
    pickle.extend(b"ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00t");
    pickle.extend(b"ctorch._utils\n_rebuild_parameter\n(");
    pickle.extend(tensor(PLAIN));
    pickle.extend(b"\x88ccollections\nOrderedDict\n)RtRu");
    pickle.extend(b"}X\x09\x00\x00\x00_metadataNsbu.");
    let tensors = read(&pickle).unwrap();
    assert_eq!(tensors.len(), 1);
    assert_eq!(tensors[0].0, "t");
}

#[test]
fn whole_numbers_of_every_width_are_read() {
    for (offset, expected) in [
        (&b"K\xff"[..], 255),
        (b"M\xff\xff", 65_535),
        (b"J\xff\xff\xff\x7f", 0x7fff_ffff),
        (b"\x8a\x05\xff\xff\xff\xff\x01", 0x01_ffff_ffff),
        (b"\x8a\x00", 0),
    ] {
        let arguments = [offset, &PLAIN[2..]].concat();
        assert_eq!(read(&one_tensor(&arguments)).unwrap()[0].1.offset, expected);
    }
}

#[test]
fn what_is_not_allowed_is_named() {
    let check = |pickle: &[u8], expected: &str| {
        let message = read(pickle).unwrap_err();
        assert!(message.contains(expected), "{message}");
    };
    check(
        b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.",
        "names os.system",
    );
    check(b"\x80\x02ctorch\nload\n.", "names torch.load");
    check(b"\x80\x04\x95\x00", "opcode 0x95 (FRAME)");
    check(b"\x80\x09.", "a pickle protocol up to 5, got 9");
    check(b"\x80\x02}.", "a dictionary of tensors");
    check(b"\x80\x02K\x01.", "a dictionary of tensors");
    check(b"\x80\x02", "more bytes, got the end of the pickle");
    check(b"\x80\x02X\xff\xff\xff\xff", "the end of the pickle");
    check(b"\x80\x02ctorch", "the end of a line");
    check(b".", "a value on the stack");
    check(b"(.", "a value on the stack");
    check(b"t", "a mark on the stack");
    check(b"h\x05", "number 5");
    check(b"K\x01K\x02s", "a value on the stack");
    check(b"K\x03K\x01K\x02s", "to fill, got a whole number");
    check(b"}(K\x01u", "a dictionary of pairs");
    check(
        b"K\x01NR",
        "a known function and a tuple of arguments, got a whole number",
    );
    check(b"K\x01Nb", "to give attributes to");
    check(b"K\x01Q", "'storage'");
    check(b"ccollections\nOrderedDict\nK\x01\x85R", "got 1 arguments");
    check(
        b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        "at most 8 bytes",
    );
    check(&[&b"N"[..], &[0x85; 70]].concat(), "nested at most 64 deep");
    check(
        &one_tensor(b"J\xff\xff\xff\xffK\x02K\x03\x86K\x04K\x01\x86"),
        "0 or more, got -1",
    );
    check(
        &one_tensor(b"K\x02K\x02K\x03\x86K\x04\x85"),
        "a stride for each dimension",
    );
    check(
        &one_tensor(b"K\x02(KaKbKcKdKeKfKgKhKitK\x04\x85"),
        "at most 8 dimensions",
    );
    let twice = [
        &b"}(X\x01\x00\x00\x00t"[..],
        &tensor(PLAIN),
        b"X\x01\x00\x00\x00t",
        &tensor(PLAIN),
        b"u.",
    ]
    .concat();
    check(&twice, "t twice");
}

#[test]
fn values_are_limited() {
    let many = vec![b'N'; (1 << 20) + 1];
    let message = read(&many).unwrap_err();
    assert!(message.contains("at most 1048576 values"), "{message}");
}
