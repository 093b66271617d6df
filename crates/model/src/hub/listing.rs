//! What a hub says about a repository.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::error::HubError;

/// Longest answer that is read.
pub const MAX_LISTING_BYTES: u64 = 8 << 20;
/// Most files of a repository.
const MAX_FILES: usize = 10_000;
/// Most characters of a file's name.
const MAX_FILE_NAME: usize = 255;
/// Longest file.
const MAX_FILE_BYTES: u64 = 1 << 40;
/// Longest licence that is shown.
const MAX_LICENSE: usize = 64;

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without folders.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hex, which hubs state for large files.
    pub sha256: Option<String>,
}

/// A repository at a commit: the files of its uppermost folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The commit that the revision means now. Files are fetched from it, so that they belong together.
    pub commit: String,
    /// The files by name.
    pub files: Vec<Listed>,
    /// Licence that the repository states.
    pub license: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(default)]
    gated: Gated,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    card_data: Option<Card>,
    #[serde(default)]
    tags: Vec<String>,
}

/// `false`, or how people are let in.
#[derive(Deserialize)]
#[serde(untagged)]
enum Gated {
    Flag(bool),
    How(#[allow(dead_code, reason = "any text means yes")] String),
}

impl Default for Gated {
    fn default() -> Gated {
        Gated::Flag(false)
    }
}

/// What the model card says; people write it, so any value may be of any type.
#[derive(Deserialize)]
struct Card {
    #[serde(default)]
    license: serde_json::Value,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

fn unreadable(reason: impl ToString) -> HubError {
    HubError::Listing {
        reason: reason.to_string(),
    }
}

fn is_hex(text: &str, n: usize) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == n && text.bytes().all(is_digit)
}

impl Listing {
    /// Reads the hub's answer.
    ///
    /// # Errors
    /// If it has another form, exceeds a limit, or says that the files are not for everyone.
    pub fn from_json(json: &[u8]) -> Result<Listing, HubError> {
        if json.len() as u64 > MAX_LISTING_BYTES {
            return Err(HubError::TooMuch {
                what: "bytes of file names",
                limit: MAX_LISTING_BYTES,
            });
        }
        let answer: Answer = serde_json::from_slice(json).map_err(unreadable)?;
        let is_open = matches!(answer.gated, Gated::Flag(false));
        if !is_open || answer.private || answer.disabled {
            return Err(HubError::Gated);
        }
        if !is_hex(&answer.sha, 40) {
            return Err(unreadable(format!(
                "the commit must be 40 hexadecimal digits, got {}",
                answer.sha
            )));
        }
        if answer.siblings.len() > MAX_FILES {
            return Err(HubError::TooMuch {
                what: "files",
                limit: MAX_FILES as u64,
            });
        }
        let license = license(&answer);
        let mut names = BTreeSet::new();
        let mut files = Vec::new();
        for sibling in answer.siblings {
            let Some(file) = listed(sibling)? else {
                continue;
            };
            if !names.insert(file.name.clone()) {
                return Err(unreadable(format!("{} is listed twice", file.name)));
            }
            files.push(file);
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Listing {
            commit: answer.sha,
            files,
            license,
        })
    }

    /// A file by its name.
    pub fn file(&self, name: &str) -> Option<&Listed> {
        let at = self
            .files
            .binary_search_by(|file| file.name.as_str().cmp(name));
        at.ok().map(|at| &self.files[at])
    }

    /// The hashes that the hub states, by file.
    pub fn published(&self) -> BTreeMap<String, String> {
        let stated = |file: &Listed| Some((file.name.clone(), file.sha256.clone()?));
        self.files.iter().filter_map(stated).collect()
    }
}

/// A file of the uppermost folder; those in folders are not of the model.
fn listed(sibling: Sibling) -> Result<Option<Listed>, HubError> {
    let name = sibling.rfilename;
    let is_plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\');
    if !name.chars().all(is_plain) || name.is_empty() || name.len() > MAX_FILE_NAME {
        return Ok(None);
    }
    let (bytes, sha256) = match sibling.lfs {
        // The other length may be that of the pointer which stands for the file.
        Some(lfs) if is_hex(&lfs.sha256, 64) => (lfs.size, Some(lfs.sha256)),
        Some(lfs) => {
            let reason = format!(
                "the SHA-256 of {name} must be 64 hexadecimal digits, got {}",
                lfs.sha256
            );
            return Err(unreadable(reason));
        }
        None => match sibling.size {
            Some(bytes) => (bytes, None),
            None => return Err(unreadable(format!("the length of {name} is missing"))),
        },
    };
    if bytes > MAX_FILE_BYTES {
        return Err(HubError::FileLength {
            file: name,
            bytes,
            limit: MAX_FILE_BYTES,
        });
    }
    Ok(Some(Listed {
        name,
        bytes,
        sha256,
    }))
}

/// The licence of the card, or of the tags that the hub makes of it.
fn license(answer: &Answer) -> Option<String> {
    let card = answer.card_data.as_ref().map(|card| &card.license);
    let of_card = match card {
        Some(serde_json::Value::String(text)) => Some(text.as_str()),
        Some(serde_json::Value::Array(several)) => several.first().and_then(|first| first.as_str()),
        _ => None,
    };
    let of_tags = || {
        answer
            .tags
            .iter()
            .find_map(|tag| tag.strip_prefix("license:"))
    };
    let text = of_card.or_else(of_tags)?;
    let is_usable =
        !text.is_empty() && text.len() <= MAX_LICENSE && !text.contains(char::is_control);
    is_usable.then(|| text.to_string())
}
