//! Which files a model is made of: named once, so that everything that is fetched later belongs to them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use model::convert::{Checkpoint, ConvertOptions};
use model::download::{Extent, Head, Problem, Want};
use model::hub::{Address, Choice, ChoiceKind, Hub, Listing, MAX_LISTING_BYTES, Place, Repository};
use protocol::{Fault, FaultCode, Precision};
use serde::{Deserialize, Serialize};

use super::Tools;
use crate::chosen;
use crate::fetching::{Keeper, Order, Trying, described, fetch};
use crate::precision::{embed, precision};
use crate::{Blob, Host};

/// Bytes that are read to see whether a file is one of GGUF.
const MAGIC: &[u8] = b"GGUF";

/// A file on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PinnedFile {
    /// Its name, without folders.
    pub(super) name: String,
    pub(super) url: String,
    pub(super) bytes: u64,
    /// SHA-256 that its publisher states.
    pub(super) sha256: Option<String>,
    /// What the server calls the version that was seen, where the address alone does not say which one it is.
    pub(super) version: Option<String>,
}

/// The files of a model on a server, and what it is to be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinned {
    /// The commit that the files are of; a file that lies by itself has none.
    pub(super) commit: Option<String>,
    pub(super) files: Vec<PinnedFile>,
    /// The file of the weights, or their index.
    weights: String,
    name: String,
    license: Option<String>,
    /// How embedding and head are to be stored.
    #[serde(default)]
    pub(super) precision: Precision,
}

/// What is kept of a conversion that is under way, and of one that is done, for repairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) pinned: Pinned,
    /// How far it is; absent before the first shard.
    pub(super) checkpoint: Option<Checkpoint>,
}

/// What lies at an address.
pub(crate) enum Found {
    /// A package, in this folder.
    Package(String),
    /// Something to be converted.
    Foreign(Pinned),
}

impl Pinned {
    /// Files that a person chose. What is not said of them the model is called after its weights.
    pub(crate) fn of_files(files: impl Iterator<Item = (String, u64)>, choice: &Choice) -> Self {
        let pinned = |(name, bytes)| PinnedFile {
            name,
            url: String::new(),
            bytes,
            sha256: None,
            version: None,
        };
        let name = match choice.kind {
            ChoiceKind::Gguf => stem(&choice.file),
            // `model.safetensors.index.json` has more endings than one.
            _ => choice.file.split('.').next().unwrap_or_default(),
        };
        Self {
            commit: None,
            files: files.map(pinned).collect(),
            weights: choice.file.clone(),
            name: name.to_owned(),
            license: None,
            precision: Precision::default(),
        }
    }

    /// Bytes of all files.
    pub(crate) fn source_bytes(&self) -> u64 {
        let bytes = self.files.iter().map(|file| file.bytes);
        bytes.fold(0, u64::saturating_add)
    }

    pub(super) fn file(&self, name: &str) -> Option<&PinnedFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The hashes that the publisher states, by file.
    pub(super) fn published(&self) -> BTreeMap<String, String> {
        let stated = |file: &PinnedFile| Some((file.name.clone(), file.sha256.clone()?));
        self.files.iter().filter_map(stated).collect()
    }

    /// The same as `tern convert` takes when it is told name and licence.
    pub(crate) fn options(&self) -> ConvertOptions {
        ConvertOptions {
            embed: embed(self.precision),
            license: self.license.clone(),
            file: Some(self.weights.clone()),
            ..ConvertOptions::new(&self.name)
        }
    }

    /// Whether a conversion in this precision can go on with it, whatever lies at the address now.
    pub(super) fn is_still(&self, precision: Precision) -> bool {
        self.commit.is_some() && self.precision == precision
    }

    /// Whether bytes that come later can be told to belong to those that came before.
    pub(super) fn can_go_on(&self) -> bool {
        let is_pinned = |file: &PinnedFile| self.commit.is_some() || file.version.is_some();
        self.files.iter().all(is_pinned)
    }
}

/// Asks what lies at a place.
///
/// # Errors
/// If nothing can be used there.
pub(super) async fn find<H: Host>(
    tools: &Tools<'_, H>,
    place: &Place,
    trying: Trying,
) -> Result<Found, Fault> {
    let found = match place.address() {
        Address::Package { url } => Found::Package(url.clone()),
        Address::Repository(repository) => listed(tools, place.hub(), repository).await?,
        Address::Gguf { url } => Found::Foreign(direct(tools, url, trying).await?),
        Address::Chosen { .. } => return Err(chosen::gone()),
    };
    Ok(match found {
        Found::Foreign(pinned) => Found::Foreign(Pinned {
            precision: precision(place),
            ..pinned
        }),
        package @ Found::Package(_) => package,
    })
}

async fn listed<H: Host>(
    tools: &Tools<'_, H>,
    hub: &Hub,
    repository: &Repository,
) -> Result<Found, Fault> {
    let name = format!("{}/{}", repository.owner, repository.name);
    let url = hub.listing_url(repository);
    let Tools {
        host,
        policy,
        inbox,
        ..
    } = *tools;
    let answer = described(host, policy, inbox, url, &name, MAX_LISTING_BYTES).await;
    let answer = answer.map_err(|fault| match fault.code {
        // The hub does not tell strangers which names there are.
        FaultCode::Refused => Fault::new(
            FaultCode::Refused,
            format!("{name} does not exist, or is only for people who have signed in and accepted its terms"),
        ),
        FaultCode::NotFound => Fault::new(
            FaultCode::NotFound,
            format!("{name} has no revision {}", repository.revision),
        ),
        _ => fault,
    })?;
    let listing = Listing::from_json(&answer.to_vec()).map_err(|error| unusable(&error))?;
    let choices = listing.choices().map_err(|error| unusable(&error))?;
    let is_meant = |choice: &Choice| {
        repository
            .file
            .as_ref()
            .is_none_or(|file| *file == choice.file)
    };
    let choice = choices.into_iter().find(is_meant).ok_or_else(|| {
        let file = repository.file.as_deref().unwrap_or_default();
        Fault::new(FaultCode::NotFound, format!("{name} has no file {file}"))
    })?;
    if choice.kind == ChoiceKind::Package {
        return Ok(Found::Package(hub.folder_url(repository, &listing.commit)));
    }
    let pinned = |file: &String| {
        let listed = listing.file(file)?;
        Some(PinnedFile {
            name: file.clone(),
            url: hub.file_url(repository, &listing.commit, file),
            bytes: listed.bytes,
            sha256: listed.sha256.clone(),
            version: None,
        })
    };
    let model = match choice.kind {
        ChoiceKind::Gguf => stem(&choice.file).to_owned(),
        _ => repository.name.clone(),
    };
    Ok(Found::Foreign(Pinned {
        files: choice.files.iter().filter_map(pinned).collect(),
        commit: Some(listing.commit.clone()),
        weights: choice.file,
        name: model,
        precision: Precision::default(),
        license: listing.license.clone(),
    }))
}

/// The fault of a hub's answer that is of no use.
fn unusable(error: &model::HubError) -> Fault {
    let code = match error {
        model::HubError::Gated => FaultCode::Refused,
        _ => FaultCode::Unsupported,
    };
    Fault::new(code, error.to_string())
}

/// A name without its ending.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// A file that lies by itself: its first bytes, and what the server says of it.
async fn direct<H: Host>(tools: &Tools<'_, H>, url: &str, trying: Trying) -> Result<Pinned, Fault> {
    let path = url.split('?').next().unwrap_or(url);
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    let probe = Probe::default();
    let order = Order {
        url: url.to_owned(),
        want: Want {
            name: name.clone(),
            extent: Extent::Part {
                start: 0,
                bytes: MAGIC.len() as u64,
            },
            has_hash: false,
            held_bytes: 0,
            held_version: None,
        },
        held: None,
    };
    let Tools {
        host,
        policy,
        inbox,
        ..
    } = *tools;
    fetch(host, policy, inbox, &probe, trying, vec![order]).await?;
    let (head, bytes) = (probe.head.take(), probe.bytes.take());
    if bytes != MAGIC {
        let detail = format!("{name} is no GGUF file");
        return Err(Fault::new(FaultCode::Unsupported, detail));
    }
    let bytes = head.total_bytes.ok_or_else(|| {
        let detail = format!(
            "the server of {name} does not say how long it is: it has to let pages of other sites read Content-Range"
        );
        Fault::new(FaultCode::Unsupported, detail)
    })?;
    Ok(Pinned {
        commit: None,
        weights: name.clone(),
        license: None,
        precision: Precision::default(),
        files: vec![PinnedFile {
            url: url.to_owned(),
            bytes,
            sha256: None,
            version: head.version,
            name: name.clone(),
        }],
        name: stem(&name).to_owned(),
    })
}

/// Looks at the beginning of a file.
struct Probe<B> {
    head: RefCell<Head>,
    bytes: RefCell<Vec<u8>>,
    kind: std::marker::PhantomData<B>,
}

impl<B> Default for Probe<B> {
    fn default() -> Self {
        Self {
            head: RefCell::default(),
            bytes: RefCell::default(),
            kind: std::marker::PhantomData,
        }
    }
}

impl<B: Blob> Keeper for Probe<B> {
    type Bytes = B;

    async fn take(&self, _: usize, bytes: B) -> Result<Option<Problem>, Fault> {
        *self.bytes.borrow_mut() = bytes.to_vec();
        Ok(None)
    }

    async fn save(&self, _: usize, _: u64, _: B) -> Result<(), Fault> {
        Ok(())
    }

    async fn forget(&self, _: usize) -> Result<(), Fault> {
        Ok(())
    }

    fn is_saving(&self) -> bool {
        false
    }

    fn answered(&self, _: usize, head: &Head) -> Result<(), Fault> {
        *self.head.borrow_mut() = head.clone();
        Ok(())
    }

    fn progress(&self, _: u64, _: u64) {}

    fn kept(&self, _: usize, _: u64) {}
}
