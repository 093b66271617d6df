//! Objects of JSON files with typed access to their keys.

use serde_json::{Map, Value};

use crate::Error;
use crate::error::shown;

/// An object of a file. `null` counts as absent, as it does for the library that wrote it.
pub(crate) struct Object<'a> {
    file: &'static str,
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// The whole file, which must be an object.
    pub(crate) fn root(file: &'static str, json: &'a Value) -> Result<Object<'a>, Error> {
        let map = json.as_object().ok_or_else(|| Error::KeyValue {
            file: file.to_string(),
            key: "the whole file".to_string(),
            expected: "an object".to_string(),
            got: shown(&json.to_string()),
        })?;
        Ok(Object {
            file,
            path: String::new(),
            map,
        })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn object(&self, key: &str) -> Result<Option<Object<'a>>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let map = value
            .as_object()
            .ok_or_else(|| self.wrong(key, "an object", value))?;
        Ok(Some(Object {
            file: self.file,
            path: format!("{}{key}.", self.path),
            map,
        }))
    }

    pub(crate) fn missing(&self, key: &str) -> Error {
        Error::KeyMissing {
            file: self.file.to_string(),
            key: format!("{}{key}", self.path),
        }
    }

    pub(crate) fn wrong(&self, key: &str, expected: &str, got: &Value) -> Error {
        Error::KeyValue {
            file: self.file.to_string(),
            key: format!("{}{key}", self.path),
            expected: expected.to_string(),
            got: shown(&got.to_string()),
        }
    }

    pub(crate) fn optional_u32(&self, key: &str) -> Result<Option<u32>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a whole number below 2^32", value))
    }

    pub(crate) fn u32(&self, key: &str) -> Result<u32, Error> {
        self.optional_u32(key)?.ok_or_else(|| self.missing(key))
    }

    pub(crate) fn optional_f64(&self, key: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        value
            .as_f64()
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a number", value))
    }

    pub(crate) fn optional_str(&self, key: &str) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a string", value))
    }

    pub(crate) fn bool(&self, key: &str) -> Result<bool, Error> {
        let Some(value) = self.get(key) else {
            return Ok(false);
        };
        value
            .as_bool()
            .ok_or_else(|| self.wrong(key, "true or false", value))
    }

    /// Token ids: absent, a number or a list of numbers.
    pub(crate) fn ids(&self, key: &str) -> Result<Vec<u32>, Error> {
        let expected = "a token id or a list of token ids";
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids = match value {
            Value::Array(values) => values.iter().map(id).collect(),
            value => id(value).map(|id| vec![id]),
        };
        ids.ok_or_else(|| self.wrong(key, expected, value))
    }

    /// Refuses a feature that would change the computation in a way this version does not know.
    pub(crate) fn must_be_off(&self, key: &str) -> Result<(), Error> {
        if self.bool(key)? {
            Err(self.wrong(key, "false", &Value::Bool(true)))
        } else {
            Ok(())
        }
    }
}

/// Token ids of `eos_token_id` and the like in a file that need not be an object.
pub(crate) fn read_ids(file: &'static str, json: &Value, key: &str) -> Result<Vec<u32>, Error> {
    match json.as_object() {
        None => Ok(Vec::new()),
        Some(map) => Object {
            file,
            path: String::new(),
            map,
        }
        .ids(key),
    }
}
