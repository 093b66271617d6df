//! The index of a checkpoint in shards: which file holds which tensor.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::Error;
use crate::error::shown;

/// Longest index that is read.
pub(crate) const MAX_INDEX_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Deserialize)]
pub(crate) struct Index {
    weight_map: WeightMap,
}

impl Index {
    /// The file of each tensor.
    pub(crate) fn into_files(self) -> HashMap<String, String> {
        self.weight_map.0
    }
}

/// `weight_map`, with a name that occurs twice as an error.
struct WeightMap(HashMap<String, String>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<WeightMap, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = WeightMap;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of file names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
                let mut files = HashMap::new();
                while let Some((tensor, file)) = map.next_entry::<String, String>()? {
                    if files.contains_key(&tensor) {
                        return Err(A::Error::custom(format!(
                            "weight_map names tensor {} twice",
                            shown(&tensor)
                        )));
                    }
                    files.insert(tensor, file);
                }
                Ok(WeightMap(files))
            }
        }
        deserializer.deserialize_map(MapVisitor)
    }
}

/// The shards that an index names, in alphabetical order.
///
/// # Errors
/// If a name is no plain file name that ends in `suffix`.
pub(crate) fn check_shard_names(
    index: &str,
    weight_map: &HashMap<String, String>,
    suffix: &'static str,
) -> Result<Vec<String>, Error> {
    let mut files: Vec<String> = weight_map.values().cloned().collect();
    files.sort();
    files.dedup();
    match files.iter().find(|name| !is_plain_shard_name(name, suffix)) {
        None => Ok(files),
        Some(name) => Err(Error::ShardName {
            file: index.to_string(),
            name: shown(name),
            suffix,
        }),
    }
}

/// Crosses off a tensor that was found in `file`.
///
/// # Errors
/// If the index places it elsewhere.
pub(crate) fn take_from_index(
    weight_map: &mut HashMap<String, String>,
    tensor: &str,
    file: &str,
) -> Result<(), Error> {
    let expected = weight_map.remove(tensor);
    if expected.as_deref() == Some(file) {
        return Ok(());
    }
    Err(Error::ShardIndex {
        tensor: shown(tensor),
        expected: expected.map_or("no file".to_string(), |name| shown(&name)),
        got: format!("it is in {file}"),
    })
}

/// What is left of an index when every shard has been read.
///
/// # Errors
/// If anything is.
pub(crate) fn rest_of_index(weight_map: HashMap<String, String>) -> Result<(), Error> {
    match weight_map.into_iter().min() {
        None => Ok(()),
        Some((tensor, file)) => Err(Error::ShardIndex {
            tensor: shown(&tensor),
            expected: shown(&file),
            got: "that file does not hold it".to_string(),
        }),
    }
}

/// Whether a shard's name is a plain file name, which cannot lead out of the folder.
fn is_plain_shard_name(name: &str, suffix: &str) -> bool {
    const MAX_NAME_BYTES: usize = 128;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.len() <= MAX_NAME_BYTES
        && name.ends_with(suffix)
        && !name.starts_with('.')
        && !name.contains("..")
        && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        for name in ["model-00001-of-00002.safetensors", "a.b_c.safetensors"] {
            assert!(is_plain_shard_name(name, ".safetensors"), "{name}");
        }
        for name in [
            "../model.safetensors",
            "..\\model.safetensors",
            "a/b.safetensors",
            "/etc/x.safetensors",
            "c:x.safetensors",
            ".safetensors",
            "a..safetensors",
            "a\0.safetensors",
            "model.bin",
            "",
        ] {
            assert!(!is_plain_shard_name(name, ".safetensors"), "{name:?}");
        }
    }

    #[test]
    fn a_tensor_listed_twice_is_an_error() {
        let parse = |json: &str| {
            serde_json::from_str::<Index>(json)
                .map(Index::into_files)
                .map_err(|e| e.to_string())
        };
        let files = parse(r#"{"metadata": {"total_size": 1}, "weight_map": {"a": "x", "b": "x"}}"#);
        assert_eq!(files.map(|files| files.len()), Ok(2));
        let error = parse(r#"{"weight_map": {"a": "x", "a": "y"}}"#);
        assert!(error.is_err_and(|error| error.contains("names tensor a twice")));
    }
}
