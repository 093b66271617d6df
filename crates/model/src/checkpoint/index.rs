//! The index of a checkpoint in shards: which file holds which tensor.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::error::shown;

/// How the names of shards end.
pub(crate) const SUFFIX: &str = ".safetensors";

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

/// Whether a shard's name is a plain file name, which cannot lead out of the folder.
pub(crate) fn is_plain_shard_name(name: &str) -> bool {
    const MAX_NAME_BYTES: usize = 128;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.len() <= MAX_NAME_BYTES
        && name.ends_with(SUFFIX)
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
            assert!(is_plain_shard_name(name), "{name}");
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
            assert!(!is_plain_shard_name(name), "{name:?}");
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
