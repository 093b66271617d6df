//! Addresses of models.

use crate::error::HubError;

/// Most characters of an owner or of a name.
const MAX_NAME: usize = 96;
/// Most characters of a revision.
const MAX_REVISION: usize = 128;
/// Most characters of an address.
const MAX_ADDRESS: usize = 2048;
/// Longest name of a file.
const MAX_FILE_NAME: usize = 255;
/// The revision that is meant where none is written.
const DEFAULT_REVISION: &str = "main";

/// Where a model lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A repository of the hub.
    Repository(Repository),
    /// A GGUF file on any server.
    Gguf {
        /// Its URL.
        url: String,
    },
    /// A package of this app on any server.
    Package {
        /// URL of its folder, with a slash at the end.
        url: String,
    },
    /// Files that a person chose on this device.
    Chosen {
        /// What tells them from others: a SHA-256 in lower-case hex.
        id: String,
    },
}

/// A repository of a hub at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Who published it.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// The file of the weights, if the address named one.
    pub file: Option<String>,
}

/// A server with repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// Scheme, host and port, without a slash at the end.
    origin: String,
}

/// An address taken apart.
pub(super) struct Url<'a> {
    /// Scheme, host and port.
    pub(super) origin: &'a str,
    /// From the first slash on, without query and fragment.
    pub(super) path: &'a str,
}

impl<'a> Url<'a> {
    /// The parts of the path between slashes.
    pub(super) fn parts(&self) -> Vec<&'a str> {
        self.path
            .split('/')
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// Whether it is of this device itself.
    pub(super) fn is_here(&self) -> bool {
        let host = self.origin.split_once("://").map_or("", |(_, host)| host);
        is_here(host)
    }
}

/// Whether host and port are of this device itself.
fn is_here(authority: &str) -> bool {
    match authority.strip_prefix('[') {
        Some(v6) => v6.starts_with("::1]"),
        None => matches!(authority.split(':').next(), Some("localhost" | "127.0.0.1")),
    }
}

/// Takes an address apart.
///
/// # Errors
/// If it is not https (or http on this device), has a user name, or characters that no address has.
pub(super) fn split_url(address: &str) -> Result<Url<'_>, HubError> {
    let wrong = || HubError::Address {
        text: address.to_string(),
    };
    let is_plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, '\\' | '"' | '<' | '>' | '`' | '{' | '}');
    if address.len() > MAX_ADDRESS || !address.chars().all(is_plain) {
        return Err(wrong());
    }
    let (scheme, rest) = address.split_once("://").ok_or_else(wrong)?;
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_end);
    if authority.is_empty() || authority.contains('@') {
        return Err(wrong());
    }
    match scheme {
        "https" => {}
        "http" if is_here(authority) => {}
        "http" => {
            return Err(HubError::NotSecure {
                address: address.to_string(),
            });
        }
        _ => return Err(wrong()),
    }
    let path_end = path.find(['?', '#']).unwrap_or(path.len());
    Ok(Url {
        origin: &address[..scheme.len() + 3 + host_end],
        path: &path[..path_end],
    })
}

fn check_name(part: &'static str, text: &str, limit: usize) -> Result<String, HubError> {
    let is_allowed = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '.' | '-' | '_')
            || (part == "revision" && c == '/')
    };
    let is_valid = (1..=limit).contains(&text.len())
        && text.chars().all(is_allowed)
        && !text.contains("..")
        && !text.starts_with(['.', '/'])
        && !text.ends_with('/');
    if is_valid {
        return Ok(text.to_string());
    }
    Err(HubError::Name {
        part,
        text: text.to_string(),
        limit,
    })
}

impl Hub {
    /// A hub at an origin such as `https://huggingface.co`.
    ///
    /// # Errors
    /// If it is not an origin over https, or over http on this device.
    pub fn new(origin: &str) -> Result<Hub, HubError> {
        let origin = origin.trim_end_matches('/');
        let url = split_url(origin)?;
        if url.origin != origin {
            return Err(HubError::Address {
                text: origin.to_string(),
            });
        }
        Ok(Hub {
            origin: origin.to_string(),
        })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Reads what a person wrote: `owner/name`, `owner/name@revision`, an address of this hub, of a GGUF file, or of a package.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn parse(&self, text: &str) -> Result<Address, HubError> {
        let text = text.trim();
        if text.contains("://") {
            return self.parse_url(text);
        }
        let host = self.origin.split_once("://").map_or("", |(_, host)| host);
        if text
            .strip_prefix(host)
            .is_some_and(|rest| rest.starts_with('/'))
        {
            let scheme = &self.origin[..self.origin.len() - host.len()];
            return self.parse_url(&format!("{scheme}{text}"));
        }
        let (path, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        match path.split('/').collect::<Vec<_>>()[..] {
            [owner, name] => Repository::new(owner, name, revision).map(Address::Repository),
            _ => Err(HubError::Address {
                text: text.to_string(),
            }),
        }
    }

    fn parse_url(&self, address: &str) -> Result<Address, HubError> {
        let url = split_url(address)?;
        if url.origin == self.origin {
            return self.parse_path(url.path, address).map(Address::Repository);
        }
        if url.path.to_ascii_lowercase().ends_with(".gguf") {
            let url = address.split('#').next().unwrap_or_default().to_string();
            return Ok(Address::Gguf { url });
        }
        // A query would not survive in front of the names of a package's files.
        let is_whole = address.len() == url.origin.len() + url.path.len();
        let folder = address.strip_suffix("manifest.json").unwrap_or(address);
        if is_whole && folder.ends_with('/') {
            return Ok(Address::Package {
                url: folder.to_string(),
            });
        }
        Err(HubError::NotAModel {
            address: address.to_string(),
        })
    }

    /// `/owner/name`, and what its pages have behind that: `/tree/REVISION`, or `/blob/REVISION/FILE`.
    fn parse_path(&self, path: &str, address: &str) -> Result<Repository, HubError> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts[..] {
            [owner, name] => Repository::new(owner, name, DEFAULT_REVISION),
            [owner, name, "tree", revision] => Repository::new(owner, name, &unescape(revision)),
            [owner, name, "blob" | "resolve", revision, file] => {
                let mut repository = Repository::new(owner, name, &unescape(revision))?;
                let file = unescape(file);
                // A page of another file of the repository means the repository.
                let is_weights = file.ends_with(".gguf") && is_file_name(&file);
                repository.file = is_weights.then_some(file);
                Ok(repository)
            }
            _ => Err(HubError::NotAModel {
                address: address.to_string(),
            }),
        }
    }

    /// The page of a repository at its revision, or that of the file which was named: what [`Hub::parse`] reads back.
    pub fn page_url(&self, repository: &Repository) -> String {
        let Repository {
            owner,
            name,
            revision,
            file,
        } = repository;
        let (origin, revision) = (&self.origin, escape(revision));
        match file {
            Some(file) => format!("{origin}/{owner}/{name}/blob/{revision}/{}", escape(file)),
            None => format!("{origin}/{owner}/{name}/tree/{revision}"),
        }
    }

    /// Where the hub says what a repository holds.
    pub fn listing_url(&self, repository: &Repository) -> String {
        let Repository {
            owner,
            name,
            revision,
            ..
        } = repository;
        let revision = escape(revision);
        let origin = &self.origin;
        format!("{origin}/api/models/{owner}/{name}/revision/{revision}?blobs=true")
    }

    /// The folder of a repository's files at a commit, with a slash at the end.
    pub fn folder_url(&self, repository: &Repository, commit: &str) -> String {
        let Repository { owner, name, .. } = repository;
        let commit = escape(commit);
        format!("{}/{owner}/{name}/resolve/{commit}/", self.origin)
    }

    /// Where a file of a repository is at a commit.
    pub fn file_url(&self, repository: &Repository, commit: &str, file: &str) -> String {
        self.folder_url(repository, commit) + &escape(file)
    }
}

impl Repository {
    /// A repository at a revision.
    ///
    /// # Errors
    /// If a part is not one that a repository can have.
    pub fn new(owner: &str, name: &str, revision: &str) -> Result<Repository, HubError> {
        Ok(Repository {
            owner: check_name("owner", owner, MAX_NAME)?,
            name: check_name("name", name, MAX_NAME)?,
            revision: check_name("revision", revision, MAX_REVISION)?,
            file: None,
        })
    }
}

/// Whether this can be the name of a file in a repository's uppermost folder.
fn is_file_name(name: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\');
    name.len() <= MAX_FILE_NAME && name.chars().all(is_plain)
}

/// Reads one part of a path, as [`escape`] and browsers write it. What is no escape stays as it is.
fn unescape(part: &str) -> String {
    let hex = |byte: Option<&u8>| char::from(*byte?).to_digit(16).map(|digit| digit as u8);
    let bytes = part.as_bytes();
    let mut text = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                text.push(high << 4 | low);
                at += 3;
            }
            _ => {
                text.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(text).unwrap_or_else(|_| part.to_string())
}

/// Writes a name as one part of a path.
fn escape(name: &str) -> String {
    let mut escaped = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}
