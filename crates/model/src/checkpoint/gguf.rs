//! GGUF files: one file with metadata, tokenizer and tensors.

mod architecture;
mod container;
mod metadata;
mod tensors;
mod text;
mod types;

use super::known::{Known, Stop};
use super::{Checkpoint, MasterRule, Overrides};
use crate::Error;
use container::{Header, MAX_HEADER_BYTES};

/// Bytes of the file that are read first. A header with a tokenizer takes some megabytes.
const FIRST_WINDOW: u64 = 256 * 1024;

/// Reads a GGUF file.
///
/// # Errors
/// If its header is damaged, or it holds something that cannot be converted exactly.
pub(super) fn read(known: &Known, file: &str, overrides: &Overrides) -> Result<Checkpoint, Stop> {
    let Header { metadata, tensors } = read_header(known, file)?;
    let mut notes = Vec::new();
    let graph = architecture::read(&metadata, &tensors, overrides, &mut notes)?;
    let found = tensors::match_tensors(&graph, &tensors, file, overrides, &mut notes)?;
    let text = text::read(&metadata, &graph, &mut notes)?;
    let (text, tokenizer) = text.map_or((None, None), |made| (Some(made.info), Some(made.json)));
    let masters = if graph.is_bitnet {
        MasterRule::Detect
    } else {
        // A Llama graph may be an ordinary model, which rounding would ruin.
        MasterRule::Ternary
    };
    Ok(Checkpoint {
        kind: "gguf",
        architecture: graph.architecture,
        convention: if found.has_masters {
            "floats"
        } else {
            "multiply"
        },
        masters: overrides.masters.unwrap_or(masters),
        tensors: found.tensors,
        text,
        tokenizer,
        license: metadata.text("general.license")?.map(str::to_string),
        files: vec![file.to_string()],
        notes,
    })
}

/// Reads the header with a window that grows until it holds all of it.
fn read_header<'k>(known: &'k Known, file: &'k str) -> Result<Header<'k>, Stop> {
    let file_bytes = known.len(file)?.unwrap_or(0);
    let mut window = FIRST_WINDOW;
    loop {
        let n = window.min(file_bytes);
        match container::parse(file, known.bytes(file, 0, n)?, file_bytes) {
            Ok(header) => return Ok(header),
            Err(container::Stop::Error(error)) => return Err(error.into()),
            Err(container::Stop::More) if n < file_bytes && window < MAX_HEADER_BYTES => {
                window *= 4;
            }
            Err(container::Stop::More) => {
                return Err(Error::HeaderLength {
                    file: file.to_string(),
                    header_bytes: n,
                    file_bytes,
                    limit: MAX_HEADER_BYTES,
                }
                .into());
            }
        }
    }
}
