#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::checkpoint::Need;

/// Reads the entries and their places out of whole bytes.
fn read(bytes: &[u8]) -> Result<Vec<(String, u64, u64)>, String> {
    let mut known = Known::default();
    known.supply_length("f", Some(bytes.len() as u64));
    loop {
        let result = read_entries(&known, "f").and_then(|entries| {
            let place = |entry: ZipEntry| {
                let offset = data_offset(&known, "f", &entry)?;
                Ok((entry.name, offset, entry.bytes))
            };
            entries
                .into_iter()
                .map(place)
                .collect::<Result<Vec<_>, Stop>>()
        });
        match result {
            Ok(entries) => return Ok(entries),
            Err(Stop::Error(error)) => return Err(error.to_string()),
            Err(Stop::Need(Need::Bytes(range))) => {
                let part = &bytes[range.offset as usize..][..range.bytes as usize];
                known.supply_bytes(&range, part.to_vec());
            }
            Err(Stop::Need(need)) => panic!("{need:?}"),
        }
    }
}

/// An archive with one entry of three bytes, whose numbers may stand in the zip64 places.
fn archive(is_64: bool) -> Vec<u8> {
    let mut bytes = [
        &LOCAL_SIGNATURE[..],
        &[0; 22],
        &1u16.to_le_bytes(),
        &4u16.to_le_bytes(),
    ]
    .concat();
    bytes.extend(b"nEXTRabc");
    let directory = bytes.len() as u64;
    let wide = [3u64, 3, 0].map(u64::to_le_bytes).concat();
    let extra = if is_64 {
        [&[9, 0, 1, 0, 7, 1, 0, 24, 0][..], &wide].concat()
    } else {
        Vec::new()
    };
    let [length, offset] = if is_64 { [u32::MAX; 2] } else { [3, 0] };
    bytes.extend(CENTRAL_SIGNATURE);
    bytes.extend([0; 16]);
    bytes.extend([length, length].map(u32::to_le_bytes).concat());
    bytes.extend([1u16, extra.len() as u16, 0].map(u16::to_le_bytes).concat());
    bytes.extend([0; 8]);
    bytes.extend(offset.to_le_bytes());
    bytes.push(b'n');
    bytes.extend(extra);
    let directory_bytes = bytes.len() as u64 - directory;
    if is_64 {
        let end = bytes.len() as u64;
        bytes.extend(END64_SIGNATURE);
        bytes.extend([0; 20]);
        bytes.extend(
            [1u64, 1, directory_bytes, directory]
                .map(u64::to_le_bytes)
                .concat(),
        );
        bytes.extend(LOCATOR64_SIGNATURE);
        bytes.extend([0; 4]);
        bytes.extend(end.to_le_bytes());
        bytes.extend([0; 4]);
    }
    let [n, size, offset] = if is_64 {
        [u64::MAX; 3]
    } else {
        [1, directory_bytes, directory]
    };
    bytes.extend(END_SIGNATURE);
    bytes.extend([0; 4]);
    bytes.extend([n as u16, n as u16].map(u16::to_le_bytes).concat());
    bytes.extend([size as u32, offset as u32].map(u32::to_le_bytes).concat());
    bytes.extend([2, 0]);
    bytes.extend(b"PK");
    bytes
}

#[test]
fn entries_are_found_with_narrow_and_wide_numbers() {
    for is_64 in [false, true] {
        let bytes = archive(is_64);
        let expected = vec![("n".to_string(), 35, 3)];
        assert_eq!(read(&bytes), Ok(expected), "zip64: {is_64}");
        assert_eq!(&bytes[35..38], b"abc");
    }
}

#[test]
fn an_archive_cut_or_changed_anywhere_is_refused_or_read() {
    for is_64 in [false, true] {
        let whole = archive(is_64);
        for n in 0..whole.len() {
            assert!(read(&whole[..n]).is_err(), "{n} of {} bytes", whole.len());
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Err(message) = read(&bytes) {
                    assert!(message.contains("file f"), "{message}");
                }
            }
        }
    }
}
