//! Repositories laid out as the Hugging Face hub serves them: a list of files by its API, files by `resolve`, small ones from
//! the hub itself, large ones from a store of another origin. What a browser may read of each answer is what is asserted by
//! tests of downloads, so headers are set as strictly as the hub and its store set them at their worst: the store names no
//! version, exposes no header and answers no preflight.

mod commit;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::json;

use crate::answer::Answer;
use crate::plan::{Asked, Fault};
use crate::request::Request;
use commit::{Commit, Entry};

/// The branch that every repository has.
const MAIN: &str = "main";
/// What the hub lets pages of other origins read.
const EXPOSED: &str = "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,\
                       Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash";

/// A repository of the hub: what is in its folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Repository {
    /// Folder of its files; folders in it are left out.
    pub folder: PathBuf,
    /// Licence of its card.
    pub license: Option<String>,
    /// Whether its files are only for people who have signed in.
    pub gated: bool,
}

/// Every version of every repository, the newest one last.
pub(crate) struct Hub {
    repositories: Mutex<BTreeMap<String, Vec<Commit>>>,
    /// Where large files lie.
    store: SocketAddr,
}

impl Hub {
    pub(crate) fn new(
        repositories: BTreeMap<String, Repository>,
        store: SocketAddr,
    ) -> io::Result<Self> {
        let hub = Self {
            repositories: Mutex::default(),
            store,
        };
        for (name, repository) in repositories {
            hub.publish(name, repository)?;
        }
        Ok(hub)
    }

    /// Another version of a repository. The ones before it can still be asked for by their commits.
    pub(crate) fn publish(&self, name: String, repository: Repository) -> io::Result<()> {
        let commit = Commit::read(&name, repository)?;
        let mut repositories = self.lock();
        repositories.entry(name).or_default().push(commit);
        Ok(())
    }

    /// What the hub answers; `None` when it has no such address.
    pub(crate) fn answer(
        &self,
        asked: &Asked,
        request: &Request,
        fault: &Fault,
    ) -> io::Result<Option<Answer>> {
        if let Some(rest) = asked.path.strip_prefix("/api/models/") {
            let (name, revision) = rest.split_once("/revision/").unwrap_or((rest, MAIN));
            let answer = match self.commit(name, revision) {
                Ok(commit) => listing(name, &commit, asked.query.as_deref() == Some("blobs=true")),
                Err(refusal) => refusal,
            };
            return Ok(Some(answer));
        }
        if let Some(rest) = asked.path.strip_prefix("/api/resolve-cache/models/") {
            return self.small_file(rest, request, fault).map(Some);
        }
        Ok(self.resolve(&asked.path))
    }

    /// What the store of large files answers.
    pub(crate) fn stored(
        &self,
        asked: &Asked,
        request: &Request,
        fault: &Fault,
    ) -> io::Result<Answer> {
        let found = asked
            .path
            .strip_prefix("/store/")
            .and_then(|rest| self.at_commit(rest));
        let Some((_, entry)) = found else {
            return Ok(Answer::words(404, "NoSuchKey"));
        };
        // Its addresses are given out by the hub, and cannot be made up.
        if asked.query.as_deref() != Some(&signature(&entry)) {
            return Ok(Answer::words(403, "AccessDenied"));
        }
        let path = fault.file.as_ref().unwrap_or(&entry.path);
        let mut answer = Answer::file(path, request, fault)?;
        answer.headers.remove("ETag");
        Ok(answer)
    }

    /// Allows pages of other origins to read an answer. Behind a redirect to a third origin a browser says that it asks for
    /// `null`, so the store can't name anybody.
    pub(crate) fn allow(answer: &mut Answer, asked: &Asked, is_store: bool) {
        let mut set = |name: &str, value: &str| {
            answer.headers.insert(name.to_owned(), value.to_owned());
        };
        if is_store {
            return set("Access-Control-Allow-Origin", "*");
        }
        let origin = asked.headers.get("origin").map_or("*", String::as_str);
        set("Access-Control-Allow-Origin", origin);
        set("Access-Control-Expose-Headers", EXPOSED);
        set("Vary", "Origin");
    }

    /// `/owner/name/resolve/REVISION/FILE`: where the file is.
    fn resolve(&self, path: &str) -> Option<Answer> {
        let (name, rest) = path.strip_prefix('/')?.split_once("/resolve/")?;
        let (revision, file) = rest.rsplit_once('/')?;
        let commit = match self.commit(name, revision) {
            Ok(commit) => commit,
            Err(refusal) => return Some(refusal),
        };
        if commit.gated {
            return Some(refusal(
                401,
                "GatedRepo",
                "Access to this model is restricted.",
            ));
        }
        let Some(entry) = commit.files.get(file) else {
            return Some(refusal(404, "EntryNotFound", "Entry not found"));
        };
        let (sha, size, store) = (&commit.sha, entry.bytes.to_string(), self.store);
        let at = format!("{name}/{sha}/{}", escape(file));
        let (status, location) = if entry.is_large {
            (
                302,
                format!("http://{store}/store/{at}?{}", signature(entry)),
            )
        } else {
            (307, format!("/api/resolve-cache/models/{at}"))
        };
        let mut answer = Answer::words(status, &format!("Redirecting to {location}"));
        for (name, value) in [
            ("Location", location.as_str()),
            ("X-Repo-Commit", sha),
            ("X-Linked-Size", &size),
            ("X-Linked-ETag", &format!("\"{}\"", entry.version())),
            ("Accept-Ranges", "bytes"),
        ] {
            answer.headers.insert(name.to_owned(), value.to_owned());
        }
        Some(answer)
    }

    fn small_file(&self, rest: &str, request: &Request, fault: &Fault) -> io::Result<Answer> {
        let Some((commit, entry)) = self.at_commit(rest).filter(|(_, entry)| !entry.is_large)
        else {
            return Ok(refusal(404, "EntryNotFound", "Entry not found"));
        };
        let path = fault.file.as_ref().unwrap_or(&entry.path);
        let mut answer = Answer::file(path, request, fault)?;
        let version = format!("\"{}\"", entry.version());
        answer.headers.insert("ETag".to_owned(), version);
        answer.headers.insert("X-Repo-Commit".to_owned(), commit);
        Ok(answer)
    }

    /// `owner/name/COMMIT/FILE`: the commit and the file.
    fn at_commit(&self, rest: &str) -> Option<(String, Entry)> {
        let (start, file) = rest.rsplit_once('/')?;
        let (name, sha) = start.rsplit_once('/')?;
        let commit = self.commit(name, sha).ok()?;
        let entry = commit.files.get(file)?.clone();
        Some((commit.sha, entry))
    }

    /// The version that a revision means, or what the hub says if there is none.
    fn commit(&self, name: &str, revision: &str) -> Result<Commit, Answer> {
        let repositories = self.lock();
        let Some(commits) = repositories.get(name) else {
            // Whoever has not signed in does not learn which names there are.
            return Err(refusal(401, "RepoNotFound", "Repository not found"));
        };
        let found = match revision {
            MAIN => commits.last(),
            sha => commits.iter().find(|commit| commit.sha == sha),
        };
        let missing = || {
            refusal(
                404,
                "RevisionNotFound",
                "Invalid rev id: ".to_owned() + revision,
            )
        };
        found.cloned().ok_or_else(missing)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Commit>>> {
        self.repositories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hub's list of a repository's files. Lengths and hashes are only there for those who ask for them.
fn listing(name: &str, commit: &Commit, with_blobs: bool) -> Answer {
    let siblings = commit.files.iter().map(|(file, entry)| {
        if !with_blobs {
            return json!({ "rfilename": file });
        }
        let mut sibling =
            json!({ "rfilename": file, "blobId": entry.blob_id(), "size": entry.bytes });
        if entry.is_large {
            sibling["lfs"] =
                json!({ "sha256": entry.sha256, "size": entry.bytes, "pointerSize": 135 });
        }
        sibling
    });
    let license = commit.license.iter();
    let text = json!({
        "_id": &commit.sha[..24],
        "id": name,
        "modelId": name,
        "author": name.split('/').next(),
        "sha": commit.sha,
        "lastModified": "2025-05-01T12:00:00.000Z",
        "private": false,
        "gated": if commit.gated { json!("manual") } else { json!(false) },
        "disabled": false,
        "downloads": 0,
        "likes": 0,
        "pipeline_tag": "text-generation",
        "tags": license.clone().map(|license| format!("license:{license}")).collect::<Vec<_>>(),
        "cardData": license.map(|license| ("license", license)).collect::<BTreeMap<_, _>>(),
        "siblings": siblings.collect::<Vec<_>>(),
    });
    let mut answer = Answer::words(200, &text.to_string());
    let media_type = "application/json; charset=utf-8".to_owned();
    answer.headers.insert("Content-Type".to_owned(), media_type);
    answer
}

/// A refusal in the hub's form.
fn refusal(status: u16, code: &str, words: impl Into<String>) -> Answer {
    let words = words.into();
    let mut answer = Answer::words(status, &json!({ "error": words }).to_string());
    for (name, value) in [
        ("Content-Type", "application/json; charset=utf-8"),
        ("X-Error-Code", code),
        ("X-Error-Message", &words),
    ] {
        answer.headers.insert(name.to_owned(), value.to_owned());
    }
    answer
}

/// What stands behind `?` in an address of the store.
fn signature(entry: &Entry) -> String {
    format!("Expires=4102444800&Signature={}", &entry.sha256[..32])
}

fn escape(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let part = |byte: u8| match byte {
        byte if is_plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(part).collect()
}
