//! Weight buffers of a model: what exists, how large it is, and where each tensor's rows go.

use crate::exec::Executor;
use crate::ops::BufferId;
use crate::{Error, Rows};
use model::layout::{gpu_row_bytes, padded_cols, padded_rows, scales_per_row};
use model::{Architecture, Encoding, Manifest, Scale, Tensor};
use std::collections::HashMap;

/// A ternary matrix, or several stacked by rows: B2 tiles and a multiplier per row.
#[derive(Debug, Clone)]
pub(crate) struct Ternary {
    pub w: BufferId,
    pub gamma: BufferId,
    /// Rows of all parts, each padded to whole tiles.
    pub rows_padded: u32,
    pub k_padded: u32,
}

/// A run of rows of an embedding or head that fits one binding.
#[derive(Debug, Clone)]
pub(crate) struct RowPart {
    pub table: BufferId,
    pub scales: BufferId,
    pub first_row: u32,
    pub n_rows: u32,
}

/// An embedding or a head.
#[derive(Debug, Clone)]
pub(crate) struct RowTable {
    pub parts: Vec<RowPart>,
    pub rows: Rows,
    pub group: u32,
}

/// Weights of one layer.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub attn_norm: BufferId,
    pub qkv: Ternary,
    pub attn_sub_norm: Option<BufferId>,
    pub o: Ternary,
    pub ffn_norm: BufferId,
    pub gate_up: Ternary,
    pub ffn_sub_norm: Option<BufferId>,
    pub down: Ternary,
}

/// All weights.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    pub embed: RowTable,
    pub head: RowTable,
    pub layers: Vec<Layer>,
    pub final_norm: BufferId,
}

/// Where the rows of one package tensor go.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Tiles of a ternary matrix from `row_offset` (a whole number of tiles) on.
    Ternary {
        matrix: Ternary,
        row_offset: u32,
        value: f32,
    },
    /// Rows of a table.
    Rows {
        table: RowTable,
        row_bytes: u64,
        scales_per_row: u64,
    },
    /// A vector.
    Vector(BufferId),
}

/// Makes the weight buffers of a package, and the map from tensor name to its place.
pub(crate) struct Allocator<'a> {
    executor: &'a mut Executor,
    manifest: &'a Manifest,
    tensors: HashMap<&'a str, &'a Tensor>,
    targets: HashMap<String, Target>,
}

impl<'a> Allocator<'a> {
    pub(crate) fn new(executor: &'a mut Executor, manifest: &'a Manifest) -> Self {
        let tensors = manifest
            .tensors
            .iter()
            .map(|tensor| (tensor.name.as_str(), tensor))
            .collect();
        Self {
            executor,
            manifest,
            tensors,
            targets: HashMap::new(),
        }
    }

    /// Allocates everything; the buffers' contents are undefined until the shards are pushed.
    pub(crate) fn allocate(mut self) -> Result<(Weights, HashMap<String, Target>), Error> {
        let arch = &self.manifest.architecture;
        let embed = self.table("embed")?;
        let head = if arch.tied {
            embed.clone()
        } else {
            self.table("lm_head")?
        };
        let layers = (0..arch.layers)
            .map(|n| self.layer(n, arch))
            .collect::<Result<_, _>>()?;
        let final_norm = self.vector("final_norm")?;
        Ok((
            Weights {
                embed,
                head,
                layers,
                final_norm,
            },
            self.targets,
        ))
    }

    fn layer(&mut self, n: u32, arch: &Architecture) -> Result<Layer, Error> {
        let name = |part: &str| format!("layers.{n}.{part}");
        Ok(Layer {
            attn_norm: self.vector(&name("attn_norm"))?,
            qkv: self.stack(&[name("q"), name("k"), name("v")])?,
            attn_sub_norm: arch
                .sub_norms
                .then(|| self.vector(&name("attn_sub_norm")))
                .transpose()?,
            o: self.stack(&[name("o")])?,
            ffn_norm: self.vector(&name("ffn_norm"))?,
            gate_up: self.stack(&[name("gate"), name("up")])?,
            ffn_sub_norm: arch
                .sub_norms
                .then(|| self.vector(&name("ffn_sub_norm")))
                .transpose()?,
            down: self.stack(&[name("down")])?,
        })
    }

    fn tensor(&self, name: &str) -> Result<&'a Tensor, Error> {
        self.tensors
            .get(name)
            .copied()
            .ok_or_else(|| Error::Package {
                what: format!("tensor {name} is missing"),
            })
    }

    fn vector(&mut self, name: &str) -> Result<BufferId, Error> {
        let tensor = self.tensor(name)?;
        if tensor.encoding != Encoding::F32 {
            return Err(unexpected(name, "f32 values"));
        }
        let buffer = self.executor.create_buffer(
            name,
            u64::from(tensor.shape[0]) * u64::from(tensor.shape[1]) * 4,
        )?;
        self.targets.insert(name.to_owned(), Target::Vector(buffer));
        Ok(buffer)
    }

    fn stack(&mut self, names: &[String]) -> Result<Ternary, Error> {
        let tile = self.manifest.ternary.rows_per_tile as usize;
        let mut parts = Vec::new();
        let mut rows_padded = 0;
        let mut k_padded = 0;
        for name in names {
            let tensor = self.tensor(name)?;
            let Encoding::Ternary { scale } = tensor.encoding else {
                return Err(unexpected(name, "ternary codes"));
            };
            let Scale::Tensor { value } = scale else {
                return Err(unexpected(
                    name,
                    "one scale for the whole tensor (scales per group are not supported yet)",
                ));
            };
            parts.push((name, rows_padded, value));
            rows_padded += to_u32(padded_rows(tensor.shape[0] as usize, tile));
            k_padded = to_u32(padded_cols(tensor.shape[1] as usize));
        }
        let bytes = u64::from(rows_padded) * u64::from(k_padded) / 4;
        let w = self.executor.create_buffer(&names[0], bytes)?;
        let gamma = self
            .executor
            .create_buffer(&names[0], u64::from(rows_padded) * 4)?;
        let matrix = Ternary {
            w,
            gamma,
            rows_padded,
            k_padded,
        };
        for (name, row_offset, value) in parts {
            let target = Target::Ternary {
                matrix: matrix.clone(),
                row_offset,
                value,
            };
            self.targets.insert(name.clone(), target);
        }
        Ok(matrix)
    }

    fn table(&mut self, name: &str) -> Result<RowTable, Error> {
        let tensor = self.tensor(name)?;
        let (rows, group) = match tensor.encoding {
            Encoding::F16 => (Rows::F16, 0),
            Encoding::Q8 => (Rows::Q8, 0),
            Encoding::Q6 { group } => (Rows::Q6, group),
            Encoding::Q4 { group } => (Rows::Q4, group),
            Encoding::Ternary { .. } | Encoding::F32 => {
                return Err(unexpected(name, "f16, q8, q6 or q4 rows"));
            }
        };
        let n_cols = tensor.shape[1] as usize;
        let row_bytes = gpu_row_bytes(&tensor.encoding, n_cols) as u64;
        let scales = scales_per_row(&tensor.encoding, n_cols) as u64;
        let n_rows = tensor.shape[0];
        let per_part = u32::try_from(self.executor.max_binding_bytes() / row_bytes.max(scales * 4))
            .unwrap_or(u32::MAX);
        if per_part == 0 {
            let limit = self.executor.max_binding_bytes();
            return Err(Error::Limit {
                what: name.to_owned(),
                needed: row_bytes,
                limit,
                name: "storage buffer bytes",
            });
        }
        let mut parts = Vec::new();
        let mut first_row = 0;
        while first_row < n_rows {
            let in_part = per_part.min(n_rows - first_row);
            parts.push(RowPart {
                table: self
                    .executor
                    .create_buffer(name, u64::from(in_part) * row_bytes)?,
                scales: self
                    .executor
                    .create_buffer(name, u64::from(in_part) * scales * 4)?,
                first_row,
                n_rows: in_part,
            });
            first_row += in_part;
        }
        let table = RowTable { parts, rows, group };
        let target = Target::Rows {
            table: table.clone(),
            row_bytes,
            scales_per_row: scales,
        };
        self.targets.insert(name.to_owned(), target);
        Ok(table)
    }
}

fn unexpected(name: &str, expected: &str) -> Error {
    Error::Package {
        what: format!("tensor {name} must hold {expected}"),
    }
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).expect("the manifest was validated: sizes fit u32")
}
