//! Is a manifest possible? Everything that later code relies on is checked here, since manifests come from anywhere.

mod tensors;

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::archive::MAX_NAME_BYTES;
use crate::checkpoint::text::{MAX_TEMPLATE_BYTES, MAX_TOKENIZER_BYTES};
use crate::error::shown;
use crate::layout::MAX_ROWS_PER_TILE;
use crate::manifest::{
    FileHash, MANIFEST_FILE, MAX_SHARD_BYTES, SCHEMA_VERSION, SuggestedSampling, TextInfo, TokenRef,
};
use crate::{Error, Manifest};

/// Longest manifest that is read.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;
/// Most shards: 512 GiB.
const MAX_SHARDS: usize = 65_536;
/// Longest name of a source's file.
const MAX_SOURCE_NAME_BYTES: usize = 128;
/// Most files that a source may list.
const MAX_SOURCE_FILES: usize = 4096;
/// Longest name, licence, token text or the like, in bytes.
const MAX_TEXT_BYTES: usize = 1024;
/// Most stop tokens.
const MAX_STOP_IDS: usize = 256;
/// Most context lengths for which memory needs are stated.
const MAX_MEMORY_NEEDS: usize = 16;

/// The error for a field.
fn fail<T>(
    field: impl Into<String>,
    expected: impl Into<String>,
    got: impl ToString,
) -> Result<T, Error> {
    Err(Error::Manifest {
        field: field.into(),
        expected: expected.into(),
        got: got.to_string(),
    })
}

impl Manifest {
    /// Parses `manifest.json` and validates it.
    ///
    /// # Errors
    /// If it is longer than 64 MiB, not JSON of the right form, of another schema version, or [`Manifest::validate`] refuses it.
    pub fn from_json(json: &[u8]) -> Result<Manifest, Error> {
        #[derive(serde::Deserialize)]
        struct Version {
            schema: u64,
        }
        if json.len() as u64 > MAX_MANIFEST_BYTES {
            let expected = format!("at most {MAX_MANIFEST_BYTES}");
            return Err(Error::FileLength {
                file: MANIFEST_FILE.to_string(),
                expected,
                got: json.len() as u64,
            });
        }
        let invalid = |source| Error::Json {
            file: MANIFEST_FILE.to_string(),
            source,
        };
        // First the version alone: a manifest of another version may have any other form.
        let version: Version = serde_json::from_slice(json).map_err(invalid)?;
        if version.schema != u64::from(SCHEMA_VERSION) {
            return fail(
                "schema",
                format!("{SCHEMA_VERSION}, the version that this program reads"),
                version.schema,
            );
        }
        let manifest: Manifest = serde_json::from_slice(json).map_err(invalid)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Checks that the manifest is possible: every number within its limits, exactly the tensors that the architecture needs
    /// with their shapes, each row in exactly one piece, pieces inside their shards and apart from each other, plain file
    /// names, and memory needs that agree with the tensors. After this, sums and products of its numbers cannot overflow.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        if self.schema != SCHEMA_VERSION {
            return fail("schema", SCHEMA_VERSION.to_string(), self.schema);
        }
        check_text("name", &self.name)?;
        if let Some(license) = &self.license {
            check_text("license", license)?;
        }
        self.validate_source()?;
        self.architecture.validate("architecture.")?;
        check_text("architecture.family", &self.architecture.family)?;
        let rows_per_tile = self.ternary.rows_per_tile;
        if !rows_per_tile.is_power_of_two() || rows_per_tile > MAX_ROWS_PER_TILE {
            return fail(
                "ternary.rows_per_tile",
                "a power of two from 1 to 64",
                rows_per_tile,
            );
        }
        if let Some(text) = &self.text {
            self.validate_text(text)?;
        }
        self.validate_shards()?;
        self.validate_tensors()?;
        self.validate_places()?;
        self.validate_memory()
    }

    fn validate_source(&self) -> Result<(), Error> {
        check_text("source.kind", &self.source.kind)?;
        check_text("source.scale_convention", &self.source.scale_convention)?;
        let n_files = self.source.files.len();
        if n_files > MAX_SOURCE_FILES {
            return fail(
                "source.files",
                format!("at most {MAX_SOURCE_FILES} files"),
                n_files,
            );
        }
        for (index, file) in self.source.files.iter().enumerate() {
            let field = format!("source.files[{index}]");
            check_file(&field, file, MAX_SOURCE_NAME_BYTES, 0..=u64::MAX)?;
        }
        Ok(())
    }

    fn validate_text(&self, text: &TextInfo) -> Result<(), Error> {
        let (file, allowed) = (&text.tokenizer, 1..=MAX_TOKENIZER_BYTES);
        check_file("text.tokenizer", file, MAX_NAME_BYTES, allowed)?;
        if let Some(template) = text
            .chat_template
            .as_ref()
            .filter(|text| text.len() as u64 > MAX_TEMPLATE_BYTES)
        {
            return fail(
                "text.chat_template",
                format!("at most {MAX_TEMPLATE_BYTES} bytes"),
                template.len(),
            );
        }
        let vocab = self.architecture.vocab;
        let check_token = |field: &str, token: &Option<TokenRef>| match token {
            None => Ok(()),
            Some(token) if token.id >= vocab => {
                fail(format!("{field}.id"), format!("below {vocab}"), token.id)
            }
            Some(token) => check_text(&format!("{field}.text"), &token.text),
        };
        check_token("text.bos", &text.bos)?;
        check_token("text.eos", &text.eos)?;
        if text.stop_ids.len() > MAX_STOP_IDS {
            return fail(
                "text.stop_ids",
                format!("at most {MAX_STOP_IDS} ids"),
                text.stop_ids.len(),
            );
        }
        if let Some(id) = text.stop_ids.iter().find(|id| **id >= vocab) {
            return fail("text.stop_ids", format!("below {vocab}"), id);
        }
        if let Some(sampling) = &text.sampling {
            let check = |field: &str, value: f32, allowed: RangeInclusive<f32>| {
                if allowed.contains(&value) {
                    return Ok(());
                }
                let expected = format!("from {} to {}", allowed.start(), allowed.end());
                fail(format!("text.sampling.{field}"), expected, value)
            };
            check(
                "temperature",
                sampling.temperature,
                SuggestedSampling::TEMPERATURE,
            )?;
            check("top_p", sampling.top_p, SuggestedSampling::TOP_P)?;
            check(
                "repetition_penalty",
                sampling.repetition_penalty,
                SuggestedSampling::REPETITION_PENALTY,
            )?;
        }
        Ok(())
    }

    fn validate_shards(&self) -> Result<(), Error> {
        if self.shards.is_empty() || self.shards.len() > MAX_SHARDS {
            return fail(
                "shards",
                format!("from 1 to {MAX_SHARDS} shards"),
                self.shards.len(),
            );
        }
        let mut names = HashSet::from([MANIFEST_FILE]);
        names.extend(self.text.as_ref().map(|text| text.tokenizer.file.as_str()));
        for (index, shard) in self.shards.iter().enumerate() {
            let field = format!("shards[{index}]");
            check_file(&field, shard, MAX_NAME_BYTES, 1..=MAX_SHARD_BYTES)?;
            if !names.insert(&shard.file) {
                return fail(format!("{field}.file"), "a name of its own", &shard.file);
            }
        }
        Ok(())
    }

    fn validate_memory(&self) -> Result<(), Error> {
        if self.memory.len() > MAX_MEMORY_NEEDS {
            return fail(
                "memory",
                format!("at most {MAX_MEMORY_NEEDS} entries"),
                self.memory.len(),
            );
        }
        let longest = self.architecture.context;
        for (index, need) in self.memory.iter().enumerate() {
            let field = format!("memory[{index}]");
            if need.context == 0 || need.context > longest {
                return fail(
                    format!("{field}.context"),
                    format!("from 1 to {longest}"),
                    need.context,
                );
            }
            let expected = self.memory_need(need.context);
            if *need != expected {
                return fail(
                    field,
                    format!("{expected:?}, which the tensors need"),
                    format!("{need:?}"),
                );
            }
        }
        Ok(())
    }
}

/// Text of a length that a page can show.
pub(crate) fn check_text(field: &str, text: &str) -> Result<(), Error> {
    if text.len() > MAX_TEXT_BYTES {
        return fail(field, format!("at most {MAX_TEXT_BYTES} bytes"), text.len());
    }
    Ok(())
}

/// A file inside the package folder: a name that cannot lead out of it and is safe in a URL, a length, a hash.
fn check_file(
    field: &str,
    file: &FileHash,
    max_name_bytes: usize,
    allowed: RangeInclusive<u64>,
) -> Result<(), Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = &file.file;
    if name.is_empty()
        || name.len() > max_name_bytes
        || name.starts_with('.')
        || !name.chars().all(is_plain)
    {
        let expected = format!(
            "a plain file name of at most {max_name_bytes} letters, digits, dots, hyphens and underscores"
        );
        return fail(format!("{field}.file"), expected, shown(name));
    }
    if !allowed.contains(&file.bytes) {
        return fail(
            format!("{field}.bytes"),
            format!("from {} to {}", allowed.start(), allowed.end()),
            file.bytes,
        );
    }
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if file.sha256.len() != 64 || !file.sha256.bytes().all(is_hex) {
        return fail(
            format!("{field}.sha256"),
            "64 lower-case hexadecimal digits",
            shown(&file.sha256),
        );
    }
    Ok(())
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
