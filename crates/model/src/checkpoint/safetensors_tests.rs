#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// Parses a header in front of `data_bytes` bytes of data.
fn parse(json: &str, data_bytes: u64) -> Result<Vec<Entry>, String> {
    let file_bytes = LENGTH_BYTES + json.len() as u64 + data_bytes;
    parse_header("x.safetensors", json.as_bytes(), file_bytes).map_err(|error| error.to_string())
}

fn check_error(json: &str, data_bytes: u64, expected: &str) {
    let error = parse(json, data_bytes).unwrap_err();
    assert!(error.contains(expected), "{json}\n{error}");
}

#[test]
fn entries_come_by_offset_and_count_from_the_file_start() {
    let json = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[6,14]},
        "a":{"dtype":"BF16","shape":[3,1],"data_offsets":[0,6]},"empty":{"dtype":"U8","shape":[0],"data_offsets":[6,6]}}   "#;
    let entries = parse(json, 14).unwrap();
    let start = LENGTH_BYTES + json.len() as u64;
    let got: Vec<_> = entries
        .iter()
        .map(|e| (e.name.as_str(), e.dtype, e.offset - start, e.bytes))
        .collect();
    assert_eq!(
        got,
        [
            ("a", Dtype::Bf16, 0, 6),
            ("empty", Dtype::U8, 6, 0),
            ("b", Dtype::F32, 6, 8)
        ]
    );
    assert_eq!(entries[0].shape, [3, 1]);
}

#[test]
fn lying_headers_are_refused() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    check_error(
        &one("F32", "[2]", "[0,4]"),
        4,
        "tensor t: F32 [2] needs 8 bytes, its range holds 4",
    );
    check_error(
        &one("F32", "[2]", "[0,8]"),
        7,
        "tensor t: bytes 0..8 reach past the end of the data, 7 bytes",
    );
    check_error(&one("U8", "[4]", "[4,0]"), 4, "its range holds 0");
    check_error(
        &one("U8", "[4]", "[1,5]"),
        5,
        "tensor t: offset must be 0, where the tensor before it ends, got 1 (gap)",
    );
    check_error(
        &one("U8", "[4]", "[0,4]"),
        9,
        "tensors end at byte 4 of the data, which has 9 bytes",
    );
    check_error(
        &one("U8", "[4294967296,4294967296]", "[0,18446744073709551615]"),
        4,
        "needs too many bytes",
    );
    check_error(&one("F4", "[3]", "[0,2]"), 2, "needs too many bytes");
    check_error(
        &one("Q17", "[3]", "[0,3]"),
        3,
        "dtype of tensor t must be a known element type, got Q17",
    );
    check_error(
        &one("U8", "[-1]", "[0,3]"),
        3,
        "x.safetensors (header) is not valid",
    );
    check_error(
        &one("U8", "[1.5]", "[0,3]"),
        3,
        "x.safetensors (header) is not valid",
    );
    let overlap = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
    check_error(
        overlap,
        6,
        "tensor b: offset must be 4, where the tensor before it ends, got 2 (overlap)",
    );
    let twice = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    check_error(twice, 2, "header names tensor a twice");
    let metadata_twice = r#"{"__metadata__":{},"__metadata__":{}}"#;
    check_error(metadata_twice, 0, "names tensor __metadata__ twice");
    for json in [
        "",
        "[]",
        "nonsense",
        "{",
        r#"{"a":1}"#,
        r#"{"a":{"dtype":"U8"}}"#,
        "{}{}",
    ] {
        check_error(json, 0, "x.safetensors (header) is not valid");
    }
    check_error(&"[".repeat(100_000), 0, "is not valid");
}

#[test]
fn absurd_names_stay_short_in_messages() {
    let name = "\\n".repeat(1_000_000);
    let json = format!(r#"{{"{name}":{{"dtype":"U8","shape":[2],"data_offsets":[0,1]}}}}"#);
    let error = parse(&json, 1).unwrap_err();
    assert!(
        error.len() < 1000 && !error.contains('\n'),
        "{} bytes",
        error.len()
    );
}

#[test]
fn header_lengths_are_bounded_by_the_file() {
    let check = |n: u64, file_bytes: u64| header_bytes("x", n.to_le_bytes(), file_bytes);
    assert_eq!(check(10, 18).unwrap(), 10);
    for (n, file_bytes) in [
        (11, 18),
        (u64::MAX, 18),
        ((1 << 63) + 8, 18),
        (1, 0),
        (MAX_HEADER_BYTES + 1, u64::MAX),
    ] {
        assert!(
            matches!(check(n, file_bytes), Err(Error::HeaderLength { .. })),
            "{n} {file_bytes}"
        );
    }
}

proptest! {
    /// Whatever a header holds, parsing it ends, and what it lets through lies inside the file without overlap.
    #[test]
    fn hostile_numbers_never_escape(
        tensors in proptest::collection::vec(
            (prop_oneof![Just("U8"), Just("F32"), Just("F4"), Just("BF16")],
             proptest::collection::vec(prop_oneof![0u64..5, any::<u64>()], 0..4),
             prop_oneof![0u64..40, any::<u64>()], prop_oneof![0u64..40, any::<u64>()]), 0..5),
        data_bytes in 0u64..60,
    ) {
        let entries: Vec<String> = tensors.iter().enumerate().map(|(i, (dtype, shape, begin, end))| {
            format!(r#""t{i}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#)
        }).collect();
        let json = format!("{{{}}}", entries.join(","));
        if let Ok(entries) = parse(&json, data_bytes) {
            let total: u64 = entries.iter().map(|entry| entry.bytes).sum();
            prop_assert_eq!(total, data_bytes);
            let file_bytes = LENGTH_BYTES + json.len() as u64 + data_bytes;
            prop_assert!(entries.iter().all(|entry| entry.offset + entry.bytes <= file_bytes));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), file_bytes in any::<u64>()) {
        let _ = parse_header("x", &bytes, file_bytes);
    }
}
