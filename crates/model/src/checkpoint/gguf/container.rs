//! The container: metadata, tensor list, and where the data begin. Nothing is believed before it is compared with the file.

use std::collections::HashSet;

use super::metadata::{Kind, Metadata, Value};
use super::types::GgmlType;
use crate::error::shown;
use crate::{ContainerError, Error};

const MAGIC: [u8; 4] = *b"GGUF";
/// Longest header that is read: the largest known tokenizers take some 12 MB.
pub(super) const MAX_HEADER_BYTES: u64 = 256 * 1024 * 1024;
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;
/// Most dimensions of a tensor.
const MAX_DIMENSIONS: u32 = 4;
/// Fewest bytes of a key with its value: length, type, value.
const MIN_PAIR_BYTES: u64 = 8 + 4 + 1;
/// Fewest bytes of a tensor's description: length, dimensions, one of them, type, offset.
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;

/// A header.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) metadata: Metadata<'a>,
    pub(super) tensors: Vec<Entry>,
}

/// A tensor of the file; its range is inside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Outermost first, as everywhere else here; the file has them the other way round.
    pub(super) shape: Vec<u64>,
    pub(super) kind: GgmlType,
    /// First byte, counted from the start of the file.
    pub(super) offset: u64,
    /// Bytes that the type needs; those up to the next tensor if its size is not known.
    pub(super) bytes: u64,
}

/// Why a header cannot be read from these bytes.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is longer than they are.
    More,
    /// It is wrong.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

/// The bytes at hand, which are the beginning of the file.
pub(super) struct Cursor<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
    file_bytes: u64,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> u64 {
        self.file_bytes - self.at as u64
    }

    fn too_long(&self, what: String, length: u64) -> Error {
        Error::Container(ContainerError::GgufLength {
            file: self.file.to_string(),
            what,
            length,
            left: self.left(),
        })
    }

    /// The next bytes. A length from the file is compared with what is left of the file, whatever of it is at hand.
    fn take(&mut self, n: u64, what: &str) -> Result<&'a [u8], Stop> {
        if n > self.left() {
            return Err(self.too_long(what.to_string(), n).into());
        }
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..n as usize).ok_or(Stop::More)?;
        self.at += n as usize;
        Ok(taken)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Stop> {
        let b = self.take(4, what)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn u64(&mut self, what: &str) -> Result<u64, Stop> {
        let low = u64::from(self.u32(what)?);
        Ok(low | u64::from(self.u32(what)?) << 32)
    }

    fn text(&mut self, what: &str) -> Result<&'a str, Stop> {
        let n = self.u64(what)?;
        let bytes = self.take(n, what)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Error::KeyValue {
            file: self.file.to_string(),
            key: what.to_string(),
            expected: "UTF-8".to_string(),
            got: "other bytes".to_string(),
        })?;
        Ok(text)
    }

    fn value(&mut self, key: &str) -> Result<Value<'a>, Stop> {
        let what = format!("key {}", shown(key));
        let id = self.u32(&what)?;
        let kind = Kind::from_id(id).ok_or_else(|| self.unknown_kind(&what, id))?;
        match kind {
            Kind::Text => Ok(Value::Text(self.text(&what)?)),
            Kind::Array => self.array(&what),
            scalar => {
                let bytes = self.take(scalar.bytes(), &what)?;
                Ok(scalar.read(bytes))
            }
        }
    }

    fn array(&mut self, what: &str) -> Result<Value<'a>, Stop> {
        let id = self.u32(what)?;
        let kind = Kind::from_id(id)
            .filter(|&kind| kind != Kind::Array)
            .ok_or_else(|| self.unknown_kind(what, id))?;
        let count = self.u64(what)?;
        let needed = count.checked_mul(kind.bytes());
        if needed.is_none_or(|needed| needed > self.left()) {
            return Err(self.too_long(what.to_string(), count).into());
        }
        let start = self.at;
        if kind == Kind::Text {
            for _ in 0..count {
                let n = self.u64(what)?;
                self.take(n, what)?;
            }
        } else {
            self.take(count * kind.bytes(), what)?;
        }
        Ok(Value::Array {
            kind,
            count,
            bytes: &self.bytes[start..self.at],
        })
    }

    fn unknown_kind(&self, what: &str, id: u32) -> Error {
        Error::KeyValue {
            file: self.file.to_string(),
            key: format!("type of {what}"),
            expected: "a type of GGUF metadata (0 to 12)".to_string(),
            got: id.to_string(),
        }
    }
}

/// Reads a header from the beginning of a file.
///
/// # Errors
/// If more bytes are needed, or the header is wrong.
pub(super) fn parse<'a>(
    file: &'a str,
    bytes: &'a [u8],
    file_bytes: u64,
) -> Result<Header<'a>, Stop> {
    let mut cursor = Cursor {
        file,
        bytes,
        at: 0,
        file_bytes,
    };
    check_version(&mut cursor)?;
    let n_tensors = cursor.u64("number of tensors")?;
    let n_pairs = cursor.u64("number of metadata keys")?;
    for (count, min_bytes, what) in [
        (n_tensors, MIN_TENSOR_BYTES, "number of tensors"),
        (n_pairs, MIN_PAIR_BYTES, "number of metadata keys"),
    ] {
        if count > cursor.left() / min_bytes {
            return Err(cursor.too_long(what.to_string(), count).into());
        }
    }
    let mut metadata = Metadata::new(file);
    for _ in 0..n_pairs {
        let key = cursor.text("a metadata key")?;
        let value = cursor.value(key)?;
        metadata.insert(key, value)?;
    }
    let mut infos = Vec::new();
    for _ in 0..n_tensors {
        infos.push(read_info(&mut cursor)?);
    }
    let alignment = metadata
        .u64("general.alignment")?
        .unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
        let expected = "a power of two up to 1048576";
        return Err(metadata
            .wrong("general.alignment", expected, &alignment.to_string())
            .into());
    }
    let data_start = (cursor.at as u64).next_multiple_of(alignment);
    let place = Place {
        file,
        data_start,
        data_bytes: file_bytes.saturating_sub(data_start),
        alignment,
    };
    let tensors = place.tensors(infos)?;
    Ok(Header { metadata, tensors })
}

fn check_version(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    let supported = "little-endian GGUF versions 2 and 3";
    let unsupported = |found: String| Stop::Error(Error::Unsupported { found, supported });
    let file = cursor.file;
    if cursor.take(4, "magic")? != MAGIC {
        return Err(unsupported(format!("file {file}, which is no GGUF file,")));
    }
    match cursor.u32("version")? {
        2 | 3 => Ok(()),
        swapped if matches!(swapped.swap_bytes(), 1..=16) => {
            Err(unsupported(format!("file {file}, a big-endian GGUF file,")))
        }
        version => Err(unsupported(format!(
            "file {file}, a GGUF file of version {version},"
        ))),
    }
}

/// A tensor's description before anything of it is checked.
struct Info {
    name: String,
    shape: Vec<u64>,
    kind: GgmlType,
    /// Counted from the start of the data.
    offset: u64,
}

fn read_info(cursor: &mut Cursor<'_>) -> Result<Info, Stop> {
    let name = cursor.text("the name of a tensor")?.to_string();
    let what = format!("tensor {}", shown(&name));
    let n_dimensions = cursor.u32(&what)?;
    if n_dimensions > MAX_DIMENSIONS {
        return Err(Error::TensorShape {
            tensor: shown(&name),
            expected: "at most 4 dimensions".to_string(),
            got: format!("{n_dimensions} dimensions"),
        }
        .into());
    }
    let mut shape = Vec::new();
    for _ in 0..n_dimensions {
        shape.push(cursor.u64(&what)?);
    }
    shape.reverse();
    let kind = GgmlType(cursor.u32(&what)?);
    let offset = cursor.u64(&what)?;
    Ok(Info {
        name,
        shape,
        kind,
        offset,
    })
}

/// Where the data lie.
struct Place<'a> {
    file: &'a str,
    data_start: u64,
    data_bytes: u64,
    alignment: u64,
}

impl Place<'_> {
    /// Compares every tensor with the file and with its neighbour.
    fn tensors(&self, mut infos: Vec<Info>) -> Result<Vec<Entry>, Error> {
        infos.sort_by_key(|info| info.offset);
        let ends: Vec<u64> = infos
            .iter()
            .skip(1)
            .map(|info| info.offset)
            .chain([self.data_bytes])
            .collect();
        let mut names = HashSet::new();
        let mut entries = Vec::new();
        for (info, end) in infos.into_iter().zip(ends) {
            if !names.insert(info.name.clone()) {
                return Err(Error::KeyValue {
                    file: self.file.to_string(),
                    key: "tensor names".to_string(),
                    expected: "each once".to_string(),
                    got: format!("{} twice", shown(&info.name)),
                });
            }
            entries.push(self.entry(info, end)?);
        }
        Ok(entries)
    }

    /// `end` is where the next tensor begins, or the end of the data.
    fn entry(&self, info: Info, end: u64) -> Result<Entry, Error> {
        let tensor = shown(&info.name);
        if !info.offset.is_multiple_of(self.alignment) {
            return Err(Error::KeyValue {
                file: self.file.to_string(),
                key: format!("offset of tensor {tensor}"),
                expected: format!("a multiple of the alignment {}", self.alignment),
                got: info.offset.to_string(),
            });
        }
        let room = end.saturating_sub(info.offset);
        let bytes = info.kind.bytes(&info.shape);
        if info.kind.is_readable() {
            let end_of_tensor = bytes.and_then(|bytes| info.offset.checked_add(bytes));
            match end_of_tensor {
                Some(end_of_tensor) if end_of_tensor <= end => {}
                Some(end_of_tensor) => {
                    return Err(Error::TensorRange {
                        file: self.file.to_string(),
                        tensor,
                        begin: info.offset,
                        end: end_of_tensor,
                        data_bytes: end,
                    });
                }
                None => {
                    return Err(Error::TensorSize {
                        file: self.file.to_string(),
                        tensor,
                        dtype: info.kind.name(),
                        shape: crate::error::shown_shape(&info.shape),
                        expected: None,
                        got: room,
                    });
                }
            }
        }
        Ok(Entry {
            offset: self.data_start + info.offset,
            bytes: bytes.unwrap_or(room),
            name: info.name,
            shape: info.shape,
            kind: info.kind,
        })
    }
}
