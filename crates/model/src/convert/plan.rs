//! The plan of a conversion: made from headers alone, before any weight is read.

use super::place::Placer;
use super::step::{
    CodesTransform, MastersTransform, PackedTransform, RowsTransform, Step, Transform, chunks,
};
use super::{ConvertOptions, EmbedFormat};
use crate::architecture::Role;
use crate::checkpoint::{
    Checkpoint, Known, MasterRule, Need, Rows, SourceTensor, Stop, TensorData, read_checkpoint,
};
use crate::manifest::TextInfo;
use crate::source::{ByteRange, Source, read_range};
use crate::validate::check_text;
use crate::{Architecture, Encoding, Error, Piece, Scale, Tensor, TernaryLayout};

/// Bytes of the source that a step over rows reads at most.
const MAX_ROWS_READ: u64 = 8 * 1024 * 1024;
/// Bytes of the source that a step over a float matrix reads at once. Small, so that it is still in a processor's cache when
/// it has been widened, and the second reading finds the first one's pages.
const MAX_CHUNK_READ: u64 = 1024 * 1024;

/// What will be converted, how, and where every piece will lie. Only hashes and the multipliers of ternary tensors are open.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the checkpoint's format.
    pub kind: &'static str,
    /// How multipliers come from what is stored.
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
    /// The tokenizer file, where it is not copied from the source but made from what the source says.
    pub tokenizer: Option<Vec<u8>>,
    /// What was taken for granted because no file says it, for people.
    pub notes: Vec<String>,
    /// Files of the source, all of which the manifest lists with their hashes.
    pub source_files: Vec<String>,
    /// The tensors with their pieces; the multipliers of ternary tensors are 0.
    pub tensors: Vec<Tensor>,
    /// Length of each shard.
    pub shard_bytes: Vec<u64>,
    /// The steps. In this order they finish one shard after the other.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The pieces that a step makes: one of rows, or all of a matrix.
    pub(super) fn made_by(&self, step: &Step) -> &[Piece] {
        let pieces = &self.tensors[step.tensor].pieces[step.first_piece..];
        match step.transform {
            Transform::Rows(_) => &pieces[..1],
            Transform::HuggingFacePacked(_) | Transform::Codes(_) | Transform::Masters(_) => pieces,
        }
    }
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
        let options = &self.options;
        match read_checkpoint(&self.known, options.file.as_deref(), &options.overrides) {
            Ok(checkpoint) => {
                make_plan(checkpoint, &self.options).map(|plan| Polled::Ready(Box::new(plan)))
            }
            Err(Stop::Need(need)) => Ok(Polled::Need(need)),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// Supplies the names of all files; none where they cannot be listed.
    pub fn supply_files(&mut self, files: Vec<String>) {
        self.known.supply_files(files);
    }

    /// Supplies the length of a file, `None` if there is no such file.
    pub fn supply_length(&mut self, file: &str, bytes: Option<u64>) {
        self.known.supply_length(file, bytes);
    }

    /// What was supplied of a range before, from its beginning on: headers are asked for again when they turn out to be longer.
    pub fn held(&self, range: &ByteRange) -> &[u8] {
        self.known.held(range)
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
            Polled::Need(Need::Files) => planner.supply_files(source.files()?),
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
    let maker = StepMaker {
        layout: ternary,
        masters: checkpoint.masters,
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
        let max_rows = match spec.role {
            Role::Projection => u32::MAX,
            Role::Norm | Role::Rows => max_rows(source)?,
        };
        let pieces = placer.place(&encoding, source.shape, max_rows)?;
        let tensor = Tensor {
            name: source.name.clone(),
            shape: source.shape,
            encoding,
            pieces,
        };
        steps.extend(maker.steps(&tensor, tensors.len(), source)?);
        tensors.push(tensor);
    }
    Ok(Plan {
        kind: checkpoint.kind,
        scale_convention: checkpoint.convention,
        name: options.name.clone(),
        license: options.license.clone().or(checkpoint.license),
        architecture: checkpoint.architecture,
        ternary,
        text: checkpoint.text,
        tokenizer: checkpoint.tokenizer,
        notes: checkpoint.notes,
        source_files: checkpoint.files,
        tensors,
        shard_bytes: placer.shard_bytes,
        steps,
    })
}

/// Rows that one piece may have: those of float tensors in bounded runs.
fn max_rows(source: &SourceTensor) -> Result<u32, Error> {
    match &source.data {
        TensorData::Rows(rows) => {
            let per_piece = MAX_ROWS_READ / row_bytes(source, rows)?.max(1);
            Ok(per_piece.clamp(1, u64::from(u32::MAX)) as u32)
        }
        TensorData::HuggingFacePacked { .. } | TensorData::Codes { .. } => Ok(u32::MAX),
    }
}

/// Bytes of one stored row.
fn row_bytes(source: &SourceTensor, rows: &Rows) -> Result<u64, Error> {
    let n_cols = u64::from(source.shape[1]);
    rows.coding
        .row_bytes(n_cols)
        .ok_or_else(|| Error::TensorShape {
            tensor: source.source_name.clone(),
            expected: "rows of whole blocks".to_string(),
            got: format!("{:?}", source.shape),
        })
}

/// The bytes of some rows; of a tensor with strides, all.
fn rows_range(rows: &Rows, row_bytes: u64, first_row: u32, n_rows: u32) -> ByteRange {
    match rows.strides {
        Some(_) => rows.range.clone(),
        None => ByteRange {
            file: rows.range.file.clone(),
            offset: rows.range.offset + u64::from(first_row) * row_bytes,
            bytes: u64::from(n_rows) * row_bytes,
        },
    }
}

/// Makes the steps of tensors.
struct StepMaker {
    layout: TernaryLayout,
    masters: MasterRule,
}

impl StepMaker {
    fn steps(
        &self,
        tensor: &Tensor,
        index: usize,
        source: &SourceTensor,
    ) -> Result<Vec<Step>, Error> {
        let whole = |reads, transform| Step {
            tensor: index,
            first_piece: 0,
            reads,
            transform,
        };
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
                    layout: self.layout,
                    pieces: tensor.pieces.clone(),
                };
                let reads = vec![codes.clone(), scale.clone()];
                Ok(vec![whole(reads, Transform::HuggingFacePacked(transform))])
            }
            TensorData::Codes {
                codes,
                blocks,
                scale,
            } => {
                let per_row = u64::from(source.shape[1]) / 4;
                let chunks = chunks(&tensor.pieces, self.layout, MAX_CHUNK_READ / per_row.max(1));
                let transform = CodesTransform {
                    source_name: source.source_name.clone(),
                    shape: source.shape,
                    blocks: *blocks,
                    has_scale: scale.is_some(),
                    order: source.order,
                    layout: self.layout,
                    pieces: tensor.pieces.clone(),
                    chunks,
                };
                let blocks = transform
                    .chunks
                    .iter()
                    .map(|chunk| transform.range(codes, chunk));
                let reads = scale.iter().cloned().chain(blocks).collect();
                Ok(vec![whole(reads, Transform::Codes(transform))])
            }
            TensorData::Rows(rows) => match tensor.encoding {
                Encoding::Ternary { .. } => {
                    let (reads, transform) = self.masters(tensor, source, rows)?;
                    Ok(vec![whole(reads, Transform::Masters(transform))])
                }
                _ => rows_steps(tensor, index, source, rows),
            },
        }
    }

    fn masters(
        &self,
        tensor: &Tensor,
        source: &SourceTensor,
        rows: &Rows,
    ) -> Result<(Vec<ByteRange>, MastersTransform), Error> {
        let row_bytes = row_bytes(source, rows)?;
        let chunks = chunks(
            &tensor.pieces,
            self.layout,
            MAX_CHUNK_READ / row_bytes.max(1),
        );
        let reads = match rows.strides {
            Some(_) => vec![rows.range.clone()],
            None => {
                let once = chunks.iter().map(|chunk| {
                    let (first_row, n_rows) =
                        source.order.source_rows(chunk.first_row, chunk.n_rows);
                    rows_range(rows, row_bytes, first_row, n_rows)
                });
                once.clone().chain(once).collect()
            }
        };
        let transform = MastersTransform {
            source_name: source.source_name.clone(),
            shape: source.shape,
            coding: rows.coding,
            strides: rows.strides,
            order: source.order,
            rule: self.masters,
            layout: self.layout,
            pieces: tensor.pieces.clone(),
            chunks,
        };
        Ok((reads, transform))
    }
}

/// One step for each piece.
fn rows_steps(
    tensor: &Tensor,
    index: usize,
    source: &SourceTensor,
    rows: &Rows,
) -> Result<Vec<Step>, Error> {
    let row_bytes = row_bytes(source, rows)?;
    let step = |(first_piece, piece): (usize, &crate::Piece)| Step {
        tensor: index,
        first_piece,
        reads: vec![rows_range(rows, row_bytes, piece.first_row, piece.n_rows)],
        transform: Transform::Rows(RowsTransform {
            source_name: source.source_name.clone(),
            n_cols: source.shape[1],
            coding: rows.coding,
            strides: rows.strides,
            encoding: tensor.encoding,
            first_row: piece.first_row,
            n_rows: piece.n_rows,
        }),
    };
    Ok(tensor.pieces.iter().enumerate().map(step).collect())
}
