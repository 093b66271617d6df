//! The header of a safetensors file: `u64` length, then that many bytes of JSON, then the data.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::stored::Dtype;
use crate::Error;
use crate::error::{shown, shown_shape};

/// Longest header that is read.
pub(crate) const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Bytes of the length in front of the header.
pub(crate) const LENGTH_BYTES: u64 = 8;

fn parse_dtype(name: &str) -> Option<Dtype> {
    const OTHERS: [(&str, u64); 14] = [
        ("BOOL", 8),
        ("F4", 4),
        ("F6_E2M3", 6),
        ("F6_E3M2", 6),
        ("F8_E4M3", 8),
        ("F8_E5M2", 8),
        ("F8_E8M0", 8),
        ("I16", 16),
        ("U16", 16),
        ("I32", 32),
        ("U32", 32),
        ("I64", 64),
        ("U64", 64),
        ("F64", 64),
    ];
    match name {
        "F32" => Some(Dtype::F32),
        "F16" => Some(Dtype::F16),
        "BF16" => Some(Dtype::Bf16),
        "U8" => Some(Dtype::U8),
        "I8" => Some(Dtype::I8),
        _ => OTHERS
            .iter()
            .find(|other| other.0 == name)
            .map(|other| Dtype::Other(other.0, other.1)),
    }
}

/// A tensor of a file; its range is inside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<u64>,
    /// First byte, counted from the start of the file.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The entries of a header in the order of the file; a key that occurs twice is an error.
struct RawHeader(Vec<(String, RawEntry)>);

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawHeader, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = RawHeader;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut entries = Vec::new();
                let mut names = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if names.contains(&name) {
                        return Err(A::Error::custom(format!(
                            "header names tensor {} twice",
                            shown(&name)
                        )));
                    }
                    names.insert(name.clone());
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(RawHeader(entries))
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// Reads the length in front of the header and compares it with the file.
///
/// # Errors
/// If the header cannot lie inside the file or is longer than [`MAX_HEADER_BYTES`].
pub(crate) fn header_bytes(file: &str, prefix: [u8; 8], file_bytes: u64) -> Result<u64, Error> {
    let header_bytes = u64::from_le_bytes(prefix);
    if header_bytes > MAX_HEADER_BYTES || header_bytes > file_bytes.saturating_sub(LENGTH_BYTES) {
        return Err(Error::HeaderLength {
            file: file.to_string(),
            header_bytes,
            file_bytes,
            limit: MAX_HEADER_BYTES,
        });
    }
    Ok(header_bytes)
}

/// Parses the JSON of a header and checks every range: its length against type and shape, its place inside the file, and
/// that the ranges follow each other without overlap or gap up to the end of the file. Entries are returned by offset.
///
/// # Errors
/// If one of that is not so, a name occurs twice or the JSON has another form.
pub(crate) fn parse_header(file: &str, json: &[u8], file_bytes: u64) -> Result<Vec<Entry>, Error> {
    let RawHeader(raw) = serde_json::from_slice(json).map_err(|source| Error::Json {
        file: format!("{file} (header)"),
        source,
    })?;
    let data_start = LENGTH_BYTES + json.len() as u64;
    let data_bytes = file_bytes.saturating_sub(data_start);
    let mut entries = Vec::with_capacity(raw.len());
    for (name, entry) in raw {
        entries.push(check_entry(file, name, &entry, data_bytes)?);
    }
    // By offset; an empty tensor goes before the one that begins at the same place.
    entries.sort_by_key(|entry| (entry.offset, entry.bytes));
    let mut expected = 0;
    for entry in &mut entries {
        if entry.offset != expected {
            return Err(Error::TensorOffset {
                file: file.to_string(),
                tensor: shown(&entry.name),
                expected,
                got: entry.offset,
                kind: if entry.offset < expected {
                    "overlap"
                } else {
                    "gap"
                },
            });
        }
        expected += entry.bytes;
        entry.offset += data_start;
    }
    if expected != data_bytes {
        return Err(Error::TrailingBytes {
            file: file.to_string(),
            expected,
            got: data_bytes,
        });
    }
    Ok(entries)
}

/// Checks one entry by itself; its offset still counts from the start of the data.
fn check_entry(file: &str, name: String, raw: &RawEntry, data_bytes: u64) -> Result<Entry, Error> {
    let dtype = parse_dtype(&raw.dtype).ok_or_else(|| Error::KeyValue {
        file: file.to_string(),
        key: format!("dtype of tensor {}", shown(&name)),
        expected: "a known element type".to_string(),
        got: shown(&raw.dtype),
    })?;
    let (begin, end) = raw.data_offsets;
    let n_bytes = raw
        .shape
        .iter()
        .try_fold(1u64, |product, &n| product.checked_mul(n));
    let n_bytes = n_bytes
        .and_then(|n| n.checked_mul(dtype.bits()))
        .filter(|bits| bits % 8 == 0)
        .map(|bits| bits / 8);
    let range_bytes = end.checked_sub(begin);
    if n_bytes.is_none() || n_bytes != range_bytes {
        return Err(Error::TensorSize {
            file: file.to_string(),
            tensor: shown(&name),
            dtype: dtype.name(),
            shape: shown_shape(&raw.shape),
            expected: n_bytes,
            got: range_bytes.unwrap_or(0),
        });
    }
    if end > data_bytes {
        return Err(Error::TensorRange {
            file: file.to_string(),
            tensor: shown(&name),
            begin,
            end,
            data_bytes,
        });
    }
    Ok(Entry {
        name,
        dtype,
        shape: raw.shape.clone(),
        offset: begin,
        bytes: end - begin,
    })
}

#[cfg(test)]
#[path = "safetensors_tests.rs"]
mod tests;
