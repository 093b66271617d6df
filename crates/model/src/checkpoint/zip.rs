//! Zip archives as PyTorch writes them: entries stored as they are, found through the central directory.

use super::known::{Known, Stop};
use crate::error::shown;
use crate::{ContainerError, Error};

/// Signature of a local header.
pub(crate) const LOCAL_SIGNATURE: [u8; 4] = *b"PK\x03\x04";
const CENTRAL_SIGNATURE: [u8; 4] = *b"PK\x01\x02";
const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const END64_SIGNATURE: [u8; 4] = *b"PK\x06\x06";
const LOCATOR64_SIGNATURE: [u8; 4] = *b"PK\x06\x07";
const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
const END64_BYTES: u64 = 56;
const LOCATOR64_BYTES: usize = 20;
/// Longest comment of an archive.
const MAX_COMMENT_BYTES: u64 = 65_535;
/// Longest central directory that is read.
const MAX_DIRECTORY_BYTES: u64 = 64 * 1024 * 1024;
/// Tag of the extra field with 64-bit numbers.
const ZIP64_TAG: u16 = 1;
/// Value of a field whose real one is in the extra field.
const IN_EXTRA_U32: u64 = 0xffff_ffff;
const FLAG_ENCRYPTED: u16 = 1;

/// A file of an archive, stored as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZipEntry {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    local_offset: u64,
}

/// Numbers of a fixed place, little-endian. The caller knows that they are inside.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u16_at(bytes, at)) | u64::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u32_at(bytes, at) | u32_at(bytes, at + 4) << 32
}

fn damaged(file: &str, what: &'static str) -> Error {
    Error::Container(ContainerError::Zip {
        file: file.to_string(),
        what,
    })
}

/// Place of the central directory.
struct Directory {
    offset: u64,
    bytes: u64,
    n_entries: u64,
}

/// Reads the list of an archive's files.
///
/// # Errors
/// If it is damaged, or an entry is compressed or encrypted.
pub(crate) fn read_entries(known: &Known, file: &str) -> Result<Vec<ZipEntry>, Stop> {
    let file_bytes = known.len(file)?.unwrap_or(0);
    let directory = find_directory(known, file, file_bytes)?;
    let is_inside = directory
        .offset
        .checked_add(directory.bytes)
        .is_some_and(|end| end <= file_bytes);
    if !is_inside || directory.bytes > MAX_DIRECTORY_BYTES {
        return Err(damaged(
            file,
            "its list of files lies past the end; it is truncated or damaged",
        )
        .into());
    }
    if directory.n_entries > directory.bytes / CENTRAL_BYTES as u64 {
        return Err(damaged(file, "its list of files is shorter than their number needs").into());
    }
    let mut rest = known.bytes(file, directory.offset, directory.bytes)?;
    let mut entries = Vec::new();
    for _ in 0..directory.n_entries {
        let (entry, after) = read_entry(file, rest)?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

fn find_directory(known: &Known, file: &str, file_bytes: u64) -> Result<Directory, Stop> {
    let tail_bytes = file_bytes.min(END_BYTES as u64 + MAX_COMMENT_BYTES + LOCATOR64_BYTES as u64);
    let tail = known.bytes(file, file_bytes - tail_bytes, tail_bytes)?;
    let no_end = || {
        damaged(
            file,
            "its end record is missing; it is truncated or no zip file",
        )
    };
    // The record ends with a comment of stated length, which must reach the end of the file.
    let is_end = |&at: &usize| {
        tail[at..].starts_with(&END_SIGNATURE)
            && at + END_BYTES + usize::from(u16_at(tail, at + 20)) == tail.len()
    };
    let last = tail.len().checked_sub(END_BYTES).ok_or_else(no_end)?;
    let at = (0..=last).rev().find(is_end).ok_or_else(no_end)?;
    let plain = Directory {
        offset: u32_at(tail, at + 16),
        bytes: u32_at(tail, at + 12),
        n_entries: u64::from(u16_at(tail, at + 10)),
    };
    let is_64 =
        plain.offset == IN_EXTRA_U32 || plain.bytes == IN_EXTRA_U32 || plain.n_entries == 0xffff;
    let locator = at
        .checked_sub(LOCATOR64_BYTES)
        .map(|start| &tail[start..at]);
    match locator.filter(|bytes| is_64 && bytes.starts_with(&LOCATOR64_SIGNATURE)) {
        None => Ok(plain),
        Some(locator) => {
            let offset = u64_at(locator, 8);
            let is_inside = offset
                .checked_add(END64_BYTES)
                .is_some_and(|end| end <= file_bytes);
            if !is_inside {
                return Err(damaged(file, "its end record lies past the end").into());
            }
            let record = known.bytes(file, offset, END64_BYTES)?;
            if !record.starts_with(&END64_SIGNATURE) {
                return Err(damaged(file, "its end record is not where it should be").into());
            }
            Ok(Directory {
                offset: u64_at(record, 48),
                bytes: u64_at(record, 40),
                n_entries: u64_at(record, 32),
            })
        }
    }
}

/// One entry of the list, and what follows it.
fn read_entry<'a>(file: &str, bytes: &'a [u8]) -> Result<(ZipEntry, &'a [u8]), Error> {
    let short = || damaged(file, "its list of files is cut off");
    let header = bytes.get(..CENTRAL_BYTES).ok_or_else(short)?;
    if !header.starts_with(&CENTRAL_SIGNATURE) {
        return Err(damaged(file, "its list of files is damaged"));
    }
    let [name_bytes, extra_bytes, comment_bytes] =
        [28, 30, 32].map(|at| usize::from(u16_at(header, at)));
    let after_name = CENTRAL_BYTES + name_bytes;
    let after_extra = after_name + extra_bytes;
    let name = bytes.get(CENTRAL_BYTES..after_name).ok_or_else(short)?;
    let extra = bytes.get(after_name..after_extra).ok_or_else(short)?;
    let rest = bytes.get(after_extra + comment_bytes..).ok_or_else(short)?;
    let name = std::str::from_utf8(name)
        .map_err(|_| damaged(file, "the name of one of its files is no UTF-8"))?;
    let (flags, method) = (u16_at(header, 8), u16_at(header, 10));
    let refuse = |how: String| Error::Unsupported {
        found: format!("file {file}, whose entry {} is {how}", shown(name)),
        supported: "entries that are stored as they are, as torch.save writes them",
    };
    if flags & FLAG_ENCRYPTED != 0 {
        return Err(refuse("encrypted".to_string()));
    }
    if method != 0 {
        return Err(refuse(format!("compressed (method {method})")));
    }
    // The numbers that are too large for their fields follow each other in the extra field, in this order.
    let mut wide = zip64_extra(extra);
    let mut number = |at: usize| -> Result<u64, Error> {
        match u32_at(header, at) {
            IN_EXTRA_U32 => {
                let value = wide.get(..8).ok_or_else(short)?;
                wide = &wide[8..];
                Ok(u64_at(value, 0))
            }
            value => Ok(value),
        }
    };
    let bytes = number(24)?;
    let stored_bytes = number(20)?;
    let local_offset = number(42)?;
    if bytes != stored_bytes {
        return Err(damaged(file, "an entry has two different lengths"));
    }
    let entry = ZipEntry {
        name: name.to_string(),
        bytes,
        local_offset,
    };
    Ok((entry, rest))
}

/// The 64-bit numbers of an extra field; nothing if it has none.
fn zip64_extra(mut extra: &[u8]) -> &[u8] {
    while extra.len() >= 4 {
        let (tag, bytes) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(body) = extra.get(4..4 + bytes) else {
            return &[];
        };
        if tag == ZIP64_TAG {
            return body;
        }
        extra = &extra[4 + bytes..];
    }
    &[]
}

/// Where the bytes of an entry begin: its local header has a name and an extra field of its own lengths.
///
/// # Errors
/// If the header is damaged or the entry reaches past the end of the file.
pub(crate) fn data_offset(known: &Known, file: &str, entry: &ZipEntry) -> Result<u64, Stop> {
    let file_bytes = known.len(file)?.unwrap_or(0);
    let past_end = || {
        damaged(
            file,
            "an entry lies past the end; the file is truncated or damaged",
        )
    };
    let after_header = entry
        .local_offset
        .checked_add(LOCAL_BYTES)
        .filter(|&end| end <= file_bytes)
        .ok_or_else(past_end)?;
    let header = known.bytes(file, entry.local_offset, LOCAL_BYTES)?;
    if !header.starts_with(&LOCAL_SIGNATURE) {
        return Err(damaged(file, "an entry is not where the list says").into());
    }
    let names = u64::from(u16_at(header, 26)) + u64::from(u16_at(header, 28));
    let offset = after_header + names;
    let end = offset.checked_add(entry.bytes);
    if end.is_none_or(|end| end > file_bytes) {
        return Err(past_end().into());
    }
    Ok(offset)
}

#[cfg(test)]
#[path = "zip_tests.rs"]
mod tests;
