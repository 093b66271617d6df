//! Every message as JSON. A change here is a change of the protocol: raise `PROTOCOL_VERSION` and `docs/PROTOCOL.md`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod details;
mod events;
mod names;
mod outcomes;
mod requests;

use protocol::{ByteCount, RequestId};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) const ID: RequestId = RequestId(7);

/// Writes `value`, compares with `expected`, reads it back. Returns the message's name.
pub(crate) fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
    expected: &str,
) -> String {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value);
    match serde_json::from_str(&json).unwrap() {
        serde_json::Value::String(name) => name,
        serde_json::Value::Object(object) => object.keys().next().unwrap().clone(),
        other => panic!("a message is a name or an object with one key, got {other}"),
    }
}

pub(crate) fn bytes(n: u64) -> ByteCount {
    ByteCount::new(n).unwrap()
}
