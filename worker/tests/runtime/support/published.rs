//! Repositories on the hub, as the network in memory has them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use fixtures::{TempDir, write_repositories};
use model::convert::{ConvertOptions, EmbedFormat, MemorySink, convert};
use model::source::MemorySource;
use serde_json::json;

use super::World;
use super::world::hex;

/// Bytes above which the hub states a file's hash.
const LARGE_BYTES: usize = 100_000;
const HUB: &str = "https://huggingface.co";

/// The files of a repository.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) name: String,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// All repositories that the fixtures make, by name.
pub(crate) fn repositories() -> BTreeMap<String, Published> {
    let folder = TempDir::new("repositories");
    let names = write_repositories(folder.path());
    let read = |name: String| {
        let files = std::fs::read_dir(folder.path().join(&name)).unwrap();
        let files = files.map(|entry| {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        });
        let published = Published {
            name: name.clone(),
            files: files.collect(),
        };
        (name, published)
    };
    names.into_iter().map(read).collect()
}

impl Published {
    /// What the person is asked to write, and where it lies.
    pub(crate) fn key(&self) -> String {
        format!("{HUB}/{}/tree/main", self.name)
    }

    pub(crate) fn listing_url(&self) -> String {
        format!("{HUB}/api/models/{}/revision/main?blobs=true", self.name)
    }

    /// Puts it on the hub, as the newest commit.
    pub(crate) fn serve(&self, world: &World, commit: char, gated: bool) {
        let commit: String = std::iter::repeat_n(commit, 40).collect();
        let sibling = |(name, bytes): (&String, &Vec<u8>)| {
            let mut sibling = json!({ "rfilename": name, "size": bytes.len() });
            if bytes.len() > LARGE_BYTES {
                sibling["lfs"] = json!({ "sha256": hex(bytes), "size": bytes.len() });
            }
            sibling
        };
        let listing = json!({
            "sha": commit,
            "gated": gated,
            "cardData": { "license": "mit" },
            "siblings": self.files.iter().map(sibling).collect::<Vec<_>>(),
        });
        let mut files = world.network.files.borrow_mut();
        files.insert(self.listing_url(), serde_json::to_vec(&listing).unwrap());
        for (name, bytes) in &self.files {
            let url = format!("{HUB}/{}/resolve/{commit}/{name}", self.name);
            files.insert(url, bytes.clone());
        }
    }

    /// What `tern convert` makes of it, by file.
    pub(crate) fn converted(
        &self,
        weights: Option<&str>,
        license: Option<&str>,
    ) -> BTreeMap<String, Vec<u8>> {
        self.converted_as(weights, license, EmbedFormat::Q8)
    }

    /// What `tern convert --license mit --embed EMBED` makes of it, by file.
    pub(crate) fn converted_with(&self, embed: EmbedFormat) -> BTreeMap<String, Vec<u8>> {
        self.converted_as(None, Some("mit"), embed)
    }

    fn converted_as(
        &self,
        weights: Option<&str>,
        license: Option<&str>,
        embed: EmbedFormat,
    ) -> BTreeMap<String, Vec<u8>> {
        let source = MemorySource::new(self.files.clone());
        let own = self.name.rsplit('/').next().unwrap();
        let name = weights.map_or(own, |file| file.rsplit_once('.').unwrap().0);
        let options = ConvertOptions {
            license: license.map(str::to_owned),
            file: weights.map(str::to_owned),
            embed,
            ..ConvertOptions::new(name)
        };
        let mut sink = MemorySink::default();
        let go_on = &mut |_: &model::convert::Progress<'_>| ControlFlow::Continue(());
        convert(&source, &mut sink, &options, go_on).unwrap();
        sink.into_source().unwrap().files().clone()
    }
}

/// Asserts that exactly this package is stored, whole, and nothing else but the note about its conversion.
pub(crate) fn assert_converted(world: &World, key: &str, package: &BTreeMap<String, Vec<u8>>) {
    let journal = world.disk.journal.borrow();
    let records = world.disk.records.borrow();
    let mut stored = BTreeMap::new();
    let mut n_records = 0;
    for entry in journal.values() {
        assert_eq!(entry.package, key);
        let parts: Vec<&Vec<u8>> = entry.record_keys().map(|key| &records[&key]).collect();
        n_records += parts.len();
        let bytes: Vec<u8> = parts.into_iter().flatten().copied().collect();
        assert_eq!(
            (bytes.len() as u64, hex(&bytes)),
            (entry.bytes, entry.sha256.clone())
        );
        stored.insert(entry.file.clone(), bytes);
    }
    assert!(stored.keys().eq(package.keys()), "{:?}", stored.keys());
    for (name, bytes) in package {
        assert!(stored[name] == *bytes, "{name} differs");
    }
    let notes: Vec<&String> = records
        .keys()
        .filter(|key| key.starts_with("repacking/"))
        .collect();
    assert_eq!(notes, [&format!("repacking/{key} ")]);
    let keys = world.disk.record_keys();
    assert_eq!(keys.len(), n_records + 1, "something is left: {keys:?}");
    assert_eq!(world.disk.packages.borrow()[key].total_bytes, {
        let bytes: BTreeMap<String, u64> = package
            .values()
            .map(|bytes| (hex(bytes), bytes.len() as u64))
            .collect();
        bytes.values().sum::<u64>()
    });
}
