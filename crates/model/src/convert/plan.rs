//! The plan of a conversion: made from headers alone, before any weight is read.

use super::place::Placer;
use super::step::{FloatsTransform, PackedTransform, Step, Transform};
use super::{ConvertOptions, EmbedFormat};
use crate::architecture::Role;
use crate::checkpoint::{Checkpoint, Known, Need, SourceTensor, Stop, TensorData, read_checkpoint};
use crate::manifest::TextInfo;
use crate::source::{ByteRange, Source, read_range};
use crate::validate::check_text;
use crate::{Architecture, Encoding, Error, Scale, Tensor, TernaryLayout};

/// Bytes of the source that a step over rows reads at most.
const MAX_ROWS_READ: u64 = 8 * 1024 * 1024;

/// What will be converted, how, and where every piece will lie. Only hashes and the multipliers of ternary tensors are open.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the checkpoint's format.
    pub kind: &'static str,
    /// How stored scales become multipliers.
    pub scale_convention: &'static str,
    /// Name of the model.
    pub name: String,
    /// Licence of the weights.
    pub license: Option<String>,
    /// Shape and graph.
    pub architecture: Architecture,
    /// Arrangement of ternary codes.
    pub ternary: TernaryLayout,
    /// Tokenizer and conversation facts; the tokenizer's hash is empty.
    pub text: Option<TextInfo>,
    /// Files of the source, all of which the manifest lists with their hashes.
    pub source_files: Vec<String>,
    /// The tensors with their pieces; the multipliers of ternary tensors are 0.
    pub tensors: Vec<Tensor>,
    /// Length of each shard.
    pub shard_bytes: Vec<u64>,
    /// The steps. In this order they finish one shard after the other.
    pub steps: Vec<Step>,
}

/// What [`Planner::poll`] answers.
#[derive(Debug)]
pub enum Polled {
    /// Supply this and poll again.
    Need(Need),
    /// The plan is ready.
    Ready(Box<Plan>),
}

/// Makes a plan without reading anything itself: ask with [`Planner::poll`], supply what it needs, ask again.
#[derive(Debug)]
pub struct Planner {
    options: ConvertOptions,
    known: Known,
}

impl Planner {
    /// A planner that knows nothing yet.
    pub fn new(options: &ConvertOptions) -> Planner {
        Planner {
            options: options.clone(),
            known: Known::default(),
        }
    }

    /// Goes as far as what was supplied allows.
    ///
    /// # Errors
    /// If the options or the checkpoint are not valid.
    pub fn poll(&self) -> Result<Polled, Error> {
        match read_checkpoint(&self.known) {
            Ok(checkpoint) => {
                make_plan(checkpoint, &self.options).map(|plan| Polled::Ready(Box::new(plan)))
            }
            Err(Stop::Need(need)) => Ok(Polled::Need(need)),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// Supplies the length of a file, `None` if there is no such file.
    pub fn supply_length(&mut self, file: &str, bytes: Option<u64>) {
        self.known.supply_length(file, bytes);
    }

    /// Supplies bytes from `range.offset` on; more than was needed is welcome.
    pub fn supply_bytes(&mut self, range: &ByteRange, bytes: Vec<u8>) {
        self.known.supply_bytes(range, bytes);
    }
}

/// Makes a plan from a source that can be read at once.
///
/// # Errors
/// If the source cannot be read, or the options or the checkpoint are not valid.
pub fn plan(source: &dyn Source, options: &ConvertOptions) -> Result<Plan, Error> {
    let mut planner = Planner::new(options);
    loop {
        match planner.poll()? {
            Polled::Ready(plan) => return Ok(*plan),
            Polled::Need(Need::Length { file }) => planner.supply_length(&file, source.len(&file)?),
            Polled::Need(Need::Bytes(range)) => {
                planner.supply_bytes(&range, read_range(source, &range)?)
            }
        }
    }
}

fn check_options(options: &ConvertOptions) -> Result<(), Error> {
    let fail = |field: &str, expected: &str, got: String| {
        Err(Error::Manifest {
            field: field.to_string(),
            expected: expected.to_string(),
            got,
        })
    };
    if !options.rows_per_tile.is_power_of_two() || options.rows_per_tile > 64 {
        return fail(
            "ternary.rows_per_tile",
            "a power of two from 1 to 64",
            options.rows_per_tile.to_string(),
        );
    }
    check_text("name", &options.name)?;
    check_text("license", options.license.as_deref().unwrap_or_default())?;
    match options.embed {
        EmbedFormat::Q6 { group } if group != 32 && group != 64 => {
            fail("group", "32 or 64", group.to_string())
        }
        _ => Ok(()),
    }
}

fn make_plan(checkpoint: Checkpoint, options: &ConvertOptions) -> Result<Plan, Error> {
    check_options(options)?;
    let ternary = TernaryLayout {
        rows_per_tile: options.rows_per_tile,
        coding: options.coding,
    };
    let mut placer = Placer::new(ternary);
    let (mut tensors, mut steps) = (Vec::new(), Vec::new());
    for (spec, source) in checkpoint
        .architecture
        .tensors()
        .iter()
        .zip(&checkpoint.tensors)
    {
        let encoding = match spec.role {
            Role::Projection => Encoding::Ternary {
                scale: Scale::Tensor { value: 0.0 },
            },
            Role::Norm => Encoding::F32,
            Role::Rows => options.embed.encoding(),
        };
        let pieces = placer.place(&encoding, source.shape, max_rows(source))?;
        let tensor = Tensor {
            name: source.name.clone(),
            shape: source.shape,
            encoding,
            pieces,
        };
        steps.extend(steps_for(&tensor, tensors.len(), source, ternary));
        tensors.push(tensor);
    }
    Ok(Plan {
        kind: checkpoint.kind,
        scale_convention: checkpoint.convention.name(),
        name: options.name.clone(),
        license: options.license.clone().or(checkpoint.license),
        architecture: checkpoint.architecture,
        ternary,
        text: checkpoint.text,
        source_files: checkpoint.files,
        tensors,
        shard_bytes: placer.shard_bytes,
        steps,
    })
}

/// Rows that one step may read: floats in bounded runs, packed codes whole, since each byte belongs to rows far apart.
fn max_rows(source: &SourceTensor) -> u32 {
    match &source.data {
        TensorData::Floats { dtype, .. } => {
            let row_bytes = u64::from(source.shape[1]) * dtype.bytes();
            (MAX_ROWS_READ / row_bytes).clamp(1, u64::from(u32::MAX)) as u32
        }
        TensorData::HuggingFacePacked { .. } => u32::MAX,
    }
}

fn steps_for(
    tensor: &Tensor,
    index: usize,
    source: &SourceTensor,
    layout: TernaryLayout,
) -> Vec<Step> {
    match &source.data {
        TensorData::HuggingFacePacked {
            codes,
            scale,
            scale_dtype,
            convention,
        } => {
            let transform = PackedTransform {
                source_name: source.source_name.clone(),
                shape: source.shape,
                scale_dtype: *scale_dtype,
                convention: *convention,
                layout,
                pieces: tensor.pieces.clone(),
            };
            vec![Step {
                tensor: index,
                first_piece: 0,
                reads: vec![codes.clone(), scale.clone()],
                transform: Transform::HuggingFacePacked(transform),
            }]
        }
        TensorData::Floats { range, dtype } => {
            let row_bytes = u64::from(source.shape[1]) * dtype.bytes();
            let step = |(first_piece, piece): (usize, &crate::Piece)| Step {
                tensor: index,
                first_piece,
                reads: vec![ByteRange {
                    file: range.file.clone(),
                    offset: range.offset + u64::from(piece.first_row) * row_bytes,
                    bytes: u64::from(piece.n_rows) * row_bytes,
                }],
                transform: Transform::Floats(FloatsTransform {
                    source_name: source.source_name.clone(),
                    n_cols: source.shape[1],
                    dtype: *dtype,
                    encoding: tensor.encoding,
                    first_row: piece.first_row,
                }),
            };
            tensor.pieces.iter().enumerate().map(step).collect()
        }
    }
}
