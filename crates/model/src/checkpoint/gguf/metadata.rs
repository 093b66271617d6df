//! Metadata: keys with typed values, read on demand.

use std::collections::HashMap;

use crate::Error;
use crate::error::shown;

/// Type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unsigned(u8),
    Signed(u8),
    Float(u8),
    Bool,
    Text,
    Array,
}

impl Kind {
    pub(super) fn from_id(id: u32) -> Option<Kind> {
        Some(match id {
            0 => Kind::Unsigned(1),
            1 => Kind::Signed(1),
            2 => Kind::Unsigned(2),
            3 => Kind::Signed(2),
            4 => Kind::Unsigned(4),
            5 => Kind::Signed(4),
            6 => Kind::Float(4),
            7 => Kind::Bool,
            8 => Kind::Text,
            9 => Kind::Array,
            10 => Kind::Unsigned(8),
            11 => Kind::Signed(8),
            12 => Kind::Float(8),
            _ => return None,
        })
    }

    /// Bytes of a value; the fewest where it has no fixed number.
    pub(super) fn bytes(self) -> u64 {
        match self {
            Kind::Unsigned(n) | Kind::Signed(n) | Kind::Float(n) => u64::from(n),
            Kind::Bool => 1,
            Kind::Text => 8,
            Kind::Array => 12,
        }
    }

    /// The value of a scalar, whose bytes are as many as its type has.
    pub(super) fn read<'a>(self, bytes: &[u8]) -> Value<'a> {
        let mut wide = [0; 8];
        let n = bytes.len().min(8);
        wide[..n].copy_from_slice(&bytes[..n]);
        let unsigned = u64::from_le_bytes(wide);
        match self {
            Kind::Signed(_) => {
                let shift = 64 - 8 * n as u32;
                Value::Integer(i128::from((unsigned << shift) as i64 >> shift))
            }
            Kind::Float(4) => Value::Float(f64::from(f32::from_bits(unsigned as u32))),
            Kind::Float(_) => Value::Float(f64::from_bits(unsigned)),
            Kind::Bool => Value::Bool(unsigned != 0),
            Kind::Unsigned(_) | Kind::Text | Kind::Array => Value::Integer(i128::from(unsigned)),
        }
    }
}

/// A value. Arrays keep their bytes, whose form was checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Integer(i128),
    Float(f64),
    Bool(bool),
    Text(&'a str),
    Array {
        kind: Kind,
        count: u64,
        bytes: &'a [u8],
    },
}

impl Value<'_> {
    fn shown(&self) -> String {
        match self {
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Text(text) => shown(text),
            Value::Array { count, .. } => format!("an array of {count}"),
        }
    }
}

/// All keys of a file.
#[derive(Debug)]
pub(super) struct Metadata<'a> {
    file: &'a str,
    values: HashMap<&'a str, Value<'a>>,
}

impl<'a> Metadata<'a> {
    pub(super) fn new(file: &'a str) -> Metadata<'a> {
        Metadata {
            file,
            values: HashMap::new(),
        }
    }

    pub(super) fn insert(&mut self, key: &'a str, value: Value<'a>) -> Result<(), Error> {
        match self.values.insert(key, value) {
            None => Ok(()),
            Some(_) => Err(self.wrong(key, "given once", "a second value")),
        }
    }

    /// The error for a value.
    pub(super) fn wrong(&self, key: &str, expected: &str, got: &str) -> Error {
        Error::KeyValue {
            file: self.file.to_string(),
            key: shown(key),
            expected: expected.to_string(),
            got: got.to_string(),
        }
    }

    /// The error for a key that is not there.
    pub(super) fn missing(&self, key: &str) -> Error {
        Error::KeyMissing {
            file: self.file.to_string(),
            key: key.to_string(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        self.values.get(key).copied()
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(self.wrong(key, expected, &value.shown())),
            },
        }
    }

    pub(super) fn u64(&self, key: &str) -> Result<Option<u64>, Error> {
        self.typed(key, "a whole number", |value| match value {
            Value::Integer(value) => u64::try_from(value).ok(),
            _ => None,
        })
    }

    pub(super) fn u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.typed(key, "a whole number below 2^32", |value| match value {
            Value::Integer(value) => u32::try_from(value).ok(),
            _ => None,
        })
    }

    pub(super) fn needed_u32(&self, key: &str) -> Result<u32, Error> {
        self.u32(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn f64(&self, key: &str) -> Result<Option<f64>, Error> {
        self.typed(key, "a number", |value| match value {
            Value::Float(value) => Some(value),
            Value::Integer(value) => Some(value as f64),
            _ => None,
        })
    }

    pub(super) fn needed_f64(&self, key: &str) -> Result<f64, Error> {
        self.f64(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.typed(key, "true or false", |value| match value {
            Value::Bool(value) => Some(value),
            _ => None,
        })
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, Error> {
        self.typed(key, "a string", |value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    /// An array of strings.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>, Error> {
        self.typed(key, "an array of strings in UTF-8", |value| match value {
            Value::Array {
                kind: Kind::Text,
                bytes,
                ..
            } => split_texts(bytes),
            _ => None,
        })
    }

    /// An array of numbers.
    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, Error> {
        self.typed(key, "an array of numbers", |value| match value {
            Value::Array { kind, bytes, .. } if !matches!(kind, Kind::Text | Kind::Array) => {
                let number = |chunk: &[u8]| match kind.read(chunk) {
                    Value::Integer(value) => value as f64,
                    Value::Float(value) => value,
                    Value::Bool(value) => f64::from(u8::from(value)),
                    Value::Text(_) | Value::Array { .. } => f64::NAN,
                };
                let size = kind.bytes() as usize;
                Some(bytes.chunks_exact(size).map(number).collect())
            }
            _ => None,
        })
    }
}

fn split_texts(mut bytes: &[u8]) -> Option<Vec<&str>> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        texts.push(std::str::from_utf8(rest.get(..length)?).ok()?);
        bytes = &rest[length..];
    }
    Some(texts)
}
