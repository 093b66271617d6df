//! Fingerprints of shards, noted once a load has seen their bytes with the SHA-256 that they should have, so that the next
//! load need not compute that again: it takes a browser more than a second for a large model, about half of what this worker does
//! meanwhile (docs/PERFORMANCE.md).
//!
//! SHA-256 is there against bytes that somebody else has made, and every file has to have the right one before it counts as
//! stored. What happens to it in the store is an accident, which XXH3 (128 bits; Collet, `xxHash`) finds as well.

use std::collections::BTreeMap;

use protocol::Fault;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::Shelf;
use crate::{Blob, Host};

/// How the keys of all such records begin; then the package's address follows.
const START: &str = "fingerprints/";
/// Version of the fields.
const VERSION: u32 = 1;

/// The record of a package.
#[derive(Serialize, Deserialize)]
struct Noted {
    version: u32,
    /// XXH3 of a shard, 32 hexadecimal digits, by its SHA-256.
    xxh3: BTreeMap<String, String>,
}

/// A fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u128);

impl Fingerprint {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }
}

/// Fingerprints by SHA-256. They say nothing of a package, so they stay true when it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fingerprints(BTreeMap<String, Fingerprint>);

impl Fingerprints {
    /// The fingerprint of bytes with this SHA-256.
    pub(crate) fn get(&self, sha256: &str) -> Option<Fingerprint> {
        self.0.get(sha256).copied()
    }

    /// Bytes with this SHA-256 have this fingerprint.
    pub(crate) fn insert(&mut self, sha256: &str, fingerprint: Fingerprint) {
        self.0.insert(sha256.to_owned(), fingerprint);
    }

    fn from_json(json: &[u8]) -> Result<Self, String> {
        let noted: Noted = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if noted.version != VERSION {
            return Err(format!("expected version {VERSION}, got {}", noted.version));
        }
        let parsed = noted.xxh3.into_iter().map(|(sha256, digits)| {
            let fingerprint = u128::from_str_radix(&digits, 16)?;
            Ok((sha256, Fingerprint(fingerprint)))
        });
        let parsed: Result<_, std::num::ParseIntError> = parsed.collect();
        parsed.map(Self).map_err(|error| error.to_string())
    }

    fn to_json(&self) -> Vec<u8> {
        let digits = self
            .0
            .iter()
            .map(|(sha256, Fingerprint(bits))| (sha256.clone(), format!("{bits:032x}")));
        let noted = Noted {
            version: VERSION,
            xxh3: digits.collect(),
        };
        // Strings and numbers are always representable.
        serde_json::to_vec(&noted).unwrap_or_default()
    }
}

impl<H: Host> Shelf<'_, H> {
    /// What is noted of a package's shards. A record that can't be read counts as absent: it saves time, and nothing depends on it.
    pub(crate) async fn fingerprints(&self, base_url: &str) -> Fingerprints {
        let read = match self.note(&key(base_url)).await {
            Ok(None) => return Fingerprints::default(),
            Ok(Some(bytes)) => Fingerprints::from_json(&bytes.to_vec()),
            Err(fault) => Err(fault.to_string()),
        };
        read.unwrap_or_else(|error| {
            log::warn!("the fingerprints of {base_url} are ignored: {error}");
            Fingerprints::default()
        })
    }

    /// Notes the fingerprints of a package's shards, in place of what was there.
    pub(crate) async fn put_fingerprints(
        &self,
        base_url: &str,
        fingerprints: &Fingerprints,
    ) -> Result<(), Fault> {
        let bytes = self.host().bytes(&fingerprints.to_json());
        self.put_note(&key(base_url), &bytes).await
    }

    /// Forgets those of a package.
    pub(super) async fn drop_fingerprints(&self, base_url: &str) -> Result<(), Fault> {
        self.drop_notes(&key(base_url)).await
    }

    /// Forgets all of them.
    pub(super) async fn drop_all_fingerprints(&self) -> Result<(), Fault> {
        self.drop_notes(START).await
    }
}

/// The key of a package's record. No address has a space, so none begins with another one.
fn key(base_url: &str) -> String {
    format!("{START}{base_url} ")
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, Fingerprints};

    #[test]
    fn what_is_noted_is_what_was_taken() {
        let mut prints = Fingerprints::default();
        assert_eq!(
            Fingerprints::from_json(&prints.to_json()),
            Ok(prints.clone())
        );
        let (one, none) = (Fingerprint::of(b"one"), Fingerprint::of(b""));
        assert_ne!(one, Fingerprint::of(b"onf"));
        prints.insert("aa", one);
        prints.insert("bb", none);
        let read = Fingerprints::from_json(&prints.to_json()).unwrap();
        assert_eq!(read, prints);
        assert_eq!(
            (read.get("aa"), read.get("bb"), read.get("cc")),
            (Some(one), Some(none), None)
        );
    }

    #[test]
    fn it_is_the_hash_that_it_is_called() {
        // XXH3_128bits of nothing, as the reference implementation has it.
        let expected = Fingerprint(0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
        assert_eq!(Fingerprint::of(b""), expected);
    }

    #[test]
    fn what_is_not_ours_is_refused_with_the_reason() {
        for (json, reason) in [
            ("", "EOF"),
            ("[]", "invalid"),
            (r#"{"version":2,"xxh3":{}}"#, "version 1, got 2"),
            (r#"{"version":1,"xxh3":{"aa":"xyz"}}"#, "digit"),
            (
                r#"{"version":1,"xxh3":{"aa":"123456789012345678901234567890123"}}"#,
                "large",
            ),
        ] {
            let error = Fingerprints::from_json(json.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{json}: {error}");
        }
    }
}
