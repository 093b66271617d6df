//! What is in a folder: a checkpoint or a package, its shape and what it needs.

use crate::architecture::{Role, gpu_tensor_bytes};
use crate::convert::{ConvertOptions, plan};
use crate::manifest::{MANIFEST_FILE, MemoryNeed, TextInfo};
use crate::package::read_manifest;
use crate::source::Source;
use crate::{Architecture, Coding, Encoding, Error, Tensor, TernaryLayout};

/// What [`inspect`] found.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// A package or a checkpoint.
    pub form: Form,
    /// Name of the model, for packages.
    pub name: Option<String>,
    /// Licence, when one is stated.
    pub license: Option<String>,
    /// Shape and graph.
    pub architecture: Architecture,
    /// How stored scales become multipliers in the original checkpoint.
    pub scale_convention: String,
    /// Values in ternary matrices.
    pub n_ternary: u64,
    /// Values in embedding and head.
    pub n_rows: u64,
    /// Values in norms.
    pub n_norms: u64,
    /// Tokenizer and conversation facts.
    pub text: Option<TextInfo>,
    /// The encoding of embedding and head, for packages as stored, for checkpoints as converted by default.
    pub embed: Option<Encoding>,
    /// Coding of ternary codes, likewise.
    pub coding: Coding,
    /// Bytes of all shards, likewise.
    pub shard_bytes: u64,
    /// Number of shards, likewise.
    pub n_shards: usize,
    /// Memory needs at some context lengths, likewise.
    pub memory: Vec<MemoryNeed>,
    /// What converting would take for granted because no file says it.
    pub notes: Vec<String>,
    /// Source files by name; for packages with their lengths.
    pub files: Vec<(String, Option<u64>)>,
}

/// What kind of folder it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A package, with its schema version.
    Package {
        /// Package format version.
        schema: u32,
    },
    /// A checkpoint that can be converted.
    Checkpoint {
        /// Name of its format.
        kind: String,
    },
}

/// Says what a source holds, from the manifest or the headers alone, and what converting a checkpoint with these options
/// would give. Nothing is hashed and no weight is read.
///
/// # Errors
/// If it is neither a package nor a checkpoint that can be converted, or not valid.
pub fn inspect(source: &dyn Source, options: &ConvertOptions) -> Result<Inspection, Error> {
    if options.file.is_none() && source.len(MANIFEST_FILE)?.is_some() {
        inspect_package(source)
    } else {
        inspect_checkpoint(source, options)
    }
}

fn inspect_package(source: &dyn Source) -> Result<Inspection, Error> {
    let manifest = read_manifest(source)?;
    let counts = Counts::of(&manifest.architecture);
    let files = manifest
        .source
        .files
        .into_iter()
        .map(|file| (file.file, Some(file.bytes)));
    Ok(Inspection {
        form: Form::Package {
            schema: manifest.schema,
        },
        name: Some(manifest.name),
        license: manifest.license,
        scale_convention: manifest.source.scale_convention,
        n_ternary: counts.ternary,
        n_rows: counts.rows,
        n_norms: counts.norms,
        text: manifest.text,
        embed: embed_encoding(&manifest.tensors),
        coding: manifest.ternary.coding,
        shard_bytes: manifest.shards.iter().map(|shard| shard.bytes).sum(),
        n_shards: manifest.shards.len(),
        memory: manifest.memory,
        notes: Vec::new(),
        files: files.collect(),
        architecture: manifest.architecture,
    })
}

fn inspect_checkpoint(source: &dyn Source, options: &ConvertOptions) -> Result<Inspection, Error> {
    let plan = plan(source, options)?;
    let counts = Counts::of(&plan.architecture);
    let weight_bytes = weight_bytes(&plan.tensors, plan.ternary);
    let need = |context| MemoryNeed {
        context,
        weight_bytes,
        kv_bytes_f16: plan.architecture.kv_bytes_f16(context),
    };
    let contexts = plan.architecture.stated_contexts();
    let mut files = Vec::new();
    for file in plan.source_files {
        let bytes = source.len(&file)?;
        files.push((file, bytes));
    }
    Ok(Inspection {
        form: Form::Checkpoint {
            kind: plan.kind.to_string(),
        },
        name: None,
        license: plan.license,
        scale_convention: plan.scale_convention.to_string(),
        n_ternary: counts.ternary,
        n_rows: counts.rows,
        n_norms: counts.norms,
        text: plan.text,
        embed: embed_encoding(&plan.tensors),
        coding: plan.ternary.coding,
        shard_bytes: plan.shard_bytes.iter().sum(),
        n_shards: plan.shard_bytes.len(),
        memory: contexts.into_iter().map(need).collect(),
        notes: plan.notes,
        files,
        architecture: plan.architecture,
    })
}

fn weight_bytes(tensors: &[Tensor], layout: TernaryLayout) -> u64 {
    tensors
        .iter()
        .map(|tensor| gpu_tensor_bytes(&tensor.encoding, tensor.shape, layout.rows_per_tile))
        .sum()
}

fn embed_encoding(tensors: &[Tensor]) -> Option<Encoding> {
    tensors
        .iter()
        .find(|tensor| tensor.name == "embed")
        .map(|tensor| tensor.encoding)
}

/// Values by what they are for.
struct Counts {
    ternary: u64,
    rows: u64,
    norms: u64,
}

impl Counts {
    fn of(architecture: &Architecture) -> Counts {
        let specs = architecture.tensors();
        let count = |role: Role| {
            let of_role = specs.iter().filter(|spec| spec.role == role);
            of_role
                .map(|spec| u64::from(spec.shape[0]) * u64::from(spec.shape[1]))
                .sum()
        };
        Counts {
            ternary: count(Role::Projection),
            rows: count(Role::Rows),
            norms: count(Role::Norm),
        }
    }
}
