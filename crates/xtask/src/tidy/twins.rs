//! One shader, one op, one reference, one test: the same stem in four places.

use std::collections::{BTreeMap, BTreeSet};

use super::Tracked;

/// Folder and ending of each of the four places.
const PLACES: [(&str, &str); 4] = [
    ("shaders/", ".wgsl"),
    ("engine/src/ops/", ".rs"),
    ("engine/src/reference/", ".rs"),
    ("engine/tests/ops/", ".rs"),
];
/// Files in those folders that are not about one op.
const SHARED: [&str; 3] = ["mod", "common", "main"];

/// Stems that are missing somewhere.
pub(crate) fn problems(files: &[Tracked]) -> Vec<String> {
    let mut places_of: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for file in files {
        for (index, (folder, ending)) in PLACES.iter().enumerate() {
            let stem = file
                .path
                .strip_prefix(folder)
                .and_then(|name| name.strip_suffix(ending));
            if let Some(stem) = stem.filter(|stem| !stem.contains('/') && !SHARED.contains(stem)) {
                places_of.entry(stem).or_default().insert(index);
            }
        }
    }
    let missing = |stem: &str, found: &BTreeSet<usize>| -> Vec<String> {
        let all = (0..PLACES.len()).filter(|index| !found.contains(index));
        all.map(|index| format!("{}{stem}{} is missing", PLACES[index].0, PLACES[index].1))
            .collect()
    };
    places_of
        .iter()
        .flat_map(|(stem, found)| missing(stem, found))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_must_be_in_all_four_places() {
        let paths = [
            "shaders/rmsnorm.wgsl",
            "engine/src/ops/rmsnorm.rs",
            "engine/src/reference/rmsnorm.rs",
            "engine/tests/ops/rmsnorm.rs",
            "engine/tests/ops/main.rs",
            "shaders/lib/sum.wgsl",
            "shaders/rope.wgsl",
            "engine/src/ops/rope.rs",
            "engine/tests/ops/rope.rs",
        ];
        let files: Vec<Tracked> = paths
            .iter()
            .map(|path| Tracked {
                path: (*path).to_owned(),
                bytes: 0,
                text: None,
            })
            .collect();
        assert_eq!(
            problems(&files),
            ["engine/src/reference/rope.rs is missing"]
        );
    }
}
