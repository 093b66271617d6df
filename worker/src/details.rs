//! Everything that the store knows of a model.

use std::collections::HashMap;

use model::manifest::{FileHash, SourceInfo};
use model::{Architecture, Encoding, Manifest};
use protocol::{
    ByteCount, Fault, FaultCode, HashOrigin, MemoryAt, ModelDetails, ModelShape, Outcome,
    PackageFile, PartBytes, SourceFile, is_of_files,
};

use crate::load::{self, Package};
use crate::race::{First, first};
use crate::repacking::{Origin, origin};
use crate::runtime::Runtime;
use crate::store::{Shelf, distinct_files, sum};
use crate::{Blob as _, Engine, Host, TextLoader};

/// The fault of a model of which nothing is stored that says what it is.
fn unknown(key: &str) -> Fault {
    let detail = format!("no manifest of {key} is stored: it is written when a model is there");
    Fault::new(FaultCode::NotFound, detail)
}

impl<H: Host, E: Engine, T: TextLoader> Runtime<H, E, T> {
    /// Says what is known of a stored model.
    pub(crate) async fn describe_model(&self, model_url: &str) -> Result<Outcome, Fault> {
        let described = async {
            let key = load::key(model_url);
            let opened = Shelf::open(&self.host, &self.policy).await?;
            let shelf = opened.map_err(|_| unknown(&key))?;
            let stored = shelf.manifest_file(&key).await?;
            let (file, bytes) = stored.ok_or_else(|| unknown(&key))?;
            let manifest = Manifest::from_json(&bytes.to_vec())
                .map_err(|error| Fault::new(FaultCode::BadModel, error.to_string()))?;
            let package = Package {
                base_url: key,
                manifest,
            };
            let origin = origin(&shelf, &package.base_url).await?;
            let files = files(&shelf, &package, &file).await?;
            Ok(details(&package, &file, origin.as_ref(), files))
        };
        match first(described, self.inbox.cancelled()).await {
            First::Left(details) => details.map(Outcome::ModelDescribed),
            First::Right(()) => Ok(Outcome::Cancelled),
        }
    }
}

/// The files of a package, the manifest first, and which of them are stored.
async fn files<H: Host>(
    shelf: &Shelf<'_, H>,
    package: &Package,
    manifest: &FileHash,
) -> Result<Vec<PackageFile>, Fault> {
    let stored = shelf.hashes(&package.base_url).await?;
    let all = std::iter::once(manifest).chain(distinct_files(&package.manifest));
    let file = |file: &FileHash| PackageFile {
        name: file.file.clone(),
        bytes: ByteCount::saturating(file.bytes),
        sha256: file.sha256.clone(),
        is_stored: stored.contains(&file.sha256),
    };
    Ok(all.map(file).collect())
}

fn details(
    package: &Package,
    manifest_file: &FileHash,
    origin: Option<&Origin>,
    files: Vec<PackageFile>,
) -> ModelDetails {
    let Package { base_url, manifest } = package;
    let memory = |context| {
        let need = manifest.memory_need(context);
        MemoryAt {
            context,
            weight_bytes: ByteCount::saturating(need.weight_bytes),
            kv_bytes: ByteCount::saturating(need.kv_bytes_f16),
        }
    };
    // Whoever made a package has stated its hashes. One out of an archive is called after its manifest.
    let is_converted = is_of_files(base_url) || load::foreign(base_url).is_some();
    let is_package = !is_converted || base_url.ends_with(&manifest_file.sha256);
    let contexts = manifest.architecture.stated_contexts();
    ModelDetails {
        model_url: base_url.clone(),
        name: manifest.name.clone(),
        license: manifest.license.clone(),
        kind: manifest.source.kind.clone(),
        revision: origin
            .map(|origin| origin.commit.clone())
            .unwrap_or_else(|| revision(base_url)),
        sources: sources(&manifest.source, origin, is_package),
        shape: shape(&manifest.architecture),
        parts: parts(manifest),
        memory: contexts.into_iter().map(memory).collect(),
        complete: files.iter().all(|file| file.is_stored),
        files,
    }
}

/// The files that a model was made of, each with who says what its hash is.
fn sources(source: &SourceInfo, origin: Option<&Origin>, is_package: bool) -> Vec<SourceFile> {
    let published: HashMap<&str, bool> = origin
        .iter()
        .flat_map(|origin| &origin.published)
        .map(|(name, is_published)| (name.as_str(), *is_published))
        .collect();
    let origin_of = |name: &str| match (published.get(name), is_package && origin.is_none()) {
        (Some(true), _) => HashOrigin::Published,
        (_, true) => HashOrigin::Stated,
        _ => HashOrigin::Computed,
    };
    let file = |file: &FileHash| SourceFile {
        name: file.file.clone(),
        bytes: ByteCount::saturating(file.bytes),
        sha256: file.sha256.clone(),
        origin: origin_of(&file.file),
    };
    source.files.iter().map(file).collect()
}

/// The commit that the address of a folder on a hub names.
fn revision(base_url: &str) -> Option<String> {
    let (_, rest) = base_url.split_once("/resolve/")?;
    let name = rest.split('/').next()?;
    let is_commit = name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| name.to_owned())
}

fn shape(architecture: &Architecture) -> ModelShape {
    ModelShape {
        family: architecture.family.clone(),
        layers: architecture.layers,
        hidden: architecture.hidden,
        ffn: architecture.ffn,
        heads: architecture.heads,
        kv_heads: architecture.kv_heads,
        head_dim: architecture.head_dim,
        vocab: architecture.vocab,
        context: architecture.context,
        tied: architecture.tied,
    }
}

/// Bytes in the shards, by what they are.
fn parts(manifest: &Manifest) -> PartBytes {
    let bytes_of = |is_meant: fn(&str, &Encoding) -> bool| {
        let tensors = manifest.tensors.iter();
        let meant = tensors.filter(|tensor| is_meant(&tensor.name, &tensor.encoding));
        let pieces = meant.flat_map(|tensor| &tensor.pieces);
        ByteCount::saturating(sum(pieces.map(|piece| piece.bytes)))
    };
    let tokenizer = manifest.text.as_ref().map(|text| text.tokenizer.bytes);
    PartBytes {
        codes: bytes_of(|_, encoding| is_ternary(encoding)),
        tables: bytes_of(|name, encoding| is_table(name) && !is_ternary(encoding)),
        norms: bytes_of(|name, encoding| !is_table(name) && !is_ternary(encoding)),
        tokenizer: ByteCount::saturating(tokenizer.unwrap_or(0)),
    }
}

fn is_table(name: &str) -> bool {
    matches!(name, "embed" | "lm_head")
}

const fn is_ternary(encoding: &Encoding) -> bool {
    matches!(encoding, Encoding::Ternary { .. })
}

#[cfg(test)]
mod tests {
    use super::revision;

    #[test]
    fn a_folder_on_a_hub_names_its_commit() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let folder = format!("https://huggingface.co/terns/one/resolve/{commit}/");
        assert_eq!(revision(&folder).as_deref(), Some(commit));
        for other in [
            "https://host/models/m/",
            "https://huggingface.co/terns/one/resolve/main/",
            "https://host/resolve",
        ] {
            assert_eq!(revision(other), None, "{other}");
        }
    }
}
