//! The tensors of a PyTorch file: a zip archive with a pickle that describes them and a file for each storage.

use std::collections::BTreeMap;

use super::known::{Known, Stop};
use super::pickle::{PickledTensor, read_tensors};
use super::stored::Stored;
use super::tensor::Strides;
use super::zip::{ZipEntry, data_offset, read_entries};
use crate::Error;
use crate::error::{shown, shown_shape};
use crate::source::ByteRange;

/// Longest pickle that is read: a file of 10,000 tensors has some 2 MB.
const MAX_PICKLE_BYTES: u64 = 8 * 1024 * 1024;
/// Longest name of a byte order.
const MAX_ORDER_BYTES: u64 = 16;
/// What this version reads, for messages.
const SUPPORTED: &str = "state dictionaries that torch.save wrote (little-endian)";

/// Reads the tensors of one file.
///
/// # Errors
/// If the archive or the pickle is damaged or not allowed, or a tensor does not lie inside its storage.
pub(crate) fn read_file(known: &Known, file: &str) -> Result<Vec<(String, Stored)>, Stop> {
    let entries = read_entries(known, file)?;
    let unsupported = |found: &str| Error::Unsupported {
        found: format!("file {file}, {found},"),
        supported: SUPPORTED,
    };
    let mut pickles = entries
        .iter()
        .filter(|entry| entry.name.ends_with("/data.pkl"));
    let (Some(pickle), None) = (pickles.next(), pickles.next()) else {
        return Err(unsupported("a zip archive without one data.pkl").into());
    };
    let folder = pickle.name.strip_suffix("data.pkl").unwrap_or_default();
    let inside: BTreeMap<&str, &ZipEntry> = entries
        .iter()
        .filter_map(|entry| Some((entry.name.strip_prefix(folder)?, entry)))
        .collect();
    if inside.contains_key("constants.pkl") || inside.keys().any(|name| name.starts_with("code/")) {
        return Err(unsupported("a TorchScript archive (a program, not only weights)").into());
    }
    if let Some(order) = inside.get("byteorder") {
        let order = entry_bytes(known, file, order, MAX_ORDER_BYTES)?;
        if order != b"little" {
            let order = shown(&String::from_utf8_lossy(order));
            return Err(unsupported(&format!("whose byte order is {order}")).into());
        }
    }
    let pickle = entry_bytes(known, file, pickle, MAX_PICKLE_BYTES)?;
    let mut tensors = Vec::new();
    for (name, tensor) in read_tensors(file, pickle)? {
        let entry_name = format!("data/{}", tensor.storage.key);
        let entry = inside
            .get(entry_name.as_str())
            .ok_or_else(|| Error::TensorMissing {
                tensor: format!("{} (its storage {})", shown(&name), shown(&entry_name)),
                shape: shown_shape(&tensor.shape),
            })?;
        let stored = place(known, file, &name, &tensor, entry)?;
        tensors.push((name, stored));
    }
    Ok(tensors)
}

fn entry_bytes<'k>(
    known: &'k Known,
    file: &str,
    entry: &ZipEntry,
    limit: u64,
) -> Result<&'k [u8], Stop> {
    if entry.bytes > limit {
        return Err(Error::FileLength {
            file: format!("{file} ({})", shown(&entry.name)),
            expected: format!("at most {limit}"),
            got: entry.bytes,
        }
        .into());
    }
    let offset = data_offset(known, file, entry)?;
    known.bytes(file, offset, entry.bytes)
}

/// Where the values of a tensor lie in the file.
fn place(
    known: &Known,
    file: &str,
    name: &str,
    tensor: &PickledTensor,
    entry: &ZipEntry,
) -> Result<Stored, Stop> {
    let storage = &tensor.storage;
    let size_error = |expected: Option<u64>| Error::TensorSize {
        file: file.to_string(),
        tensor: shown(name),
        dtype: storage.dtype.name(),
        shape: shown_shape(&tensor.shape),
        expected,
        got: entry.bytes,
    };
    let element_bytes = storage.dtype.bits() / 8;
    let storage_bytes = storage.n_elements.checked_mul(element_bytes);
    if storage_bytes != Some(entry.bytes) {
        return Err(size_error(storage_bytes).into());
    }
    // Elements from the first one of the tensor to the last one, both included; none of an empty tensor.
    let n_spanned = spanned(tensor).ok_or_else(|| size_error(None))?;
    let end = tensor.offset.checked_add(n_spanned);
    let end = end.ok_or_else(|| size_error(None))?;
    if end > storage.n_elements {
        return Err(size_error(end.checked_mul(element_bytes)).into());
    }
    let range = ByteRange {
        file: file.to_string(),
        offset: data_offset(known, file, entry)? + tensor.offset * element_bytes,
        bytes: n_spanned * element_bytes,
    };
    Ok(Stored {
        dtype: storage.dtype,
        shape: tensor.shape.clone(),
        range,
        strides: strides(tensor),
    })
}

/// Elements between the first and the last one, `None` if the number overflows.
fn spanned(tensor: &PickledTensor) -> Option<u64> {
    if tensor.shape.contains(&0) {
        return Some(0);
    }
    let dimensions = tensor.shape.iter().zip(&tensor.strides);
    let mut last = 0u64;
    for (&n, &stride) in dimensions {
        last = last.checked_add((n - 1).checked_mul(stride)?)?;
    }
    last.checked_add(1)
}

/// Distances of the last two dimensions; `None` if the tensor lies row after row. Tensors with more dimensions are only
/// kept for their shape, which no architecture has.
fn strides(tensor: &PickledTensor) -> Option<Strides> {
    let mut dense = 1u64;
    let mut is_dense = true;
    for (&n, &stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        is_dense &= n == 1 || stride == dense;
        dense = dense.saturating_mul(n);
    }
    if is_dense {
        return None;
    }
    match tensor.strides[..] {
        [.., row, col] => Some(Strides { row, col }),
        [col] => Some(Strides { row: 0, col }),
        [] => None,
    }
}
