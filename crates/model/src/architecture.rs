//! What a model of a given architecture consists of: its tensors with their shapes, and its memory needs.

use crate::layout::{gpu_row_bytes, padded_rows, scales_per_row};
use crate::manifest::MemoryNeed;
use crate::{Architecture, Encoding, Error, Manifest};

/// Widest row: below it the int32 sum of a ternary product is exact in f32 (128 * width < 2^24).
pub const MAX_WIDTH: u32 = 131_071;
/// Most layers.
pub const MAX_LAYERS: u32 = 1024;
/// Most rows of an embedding.
pub const MAX_VOCAB: u32 = 4 * 1024 * 1024;
/// Longest context.
pub const MAX_CONTEXT: u32 = 16 * 1024 * 1024;
/// Widest head.
pub const MAX_HEAD_DIM: u32 = 1024;

/// Context lengths for which memory needs are stated, besides the longest.
const STATED_CONTEXTS: [u32; 2] = [2048, 4096];

/// What a tensor is for, which decides how it may be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A ternary matrix.
    Projection,
    /// A vector of f32 values.
    Norm,
    /// Rows of the embedding or the head.
    Rows,
}

/// A tensor that an architecture needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Canonical name.
    pub name: String,
    /// `[n_rows, n_cols]`.
    pub shape: [u32; 2],
    /// What it is for.
    pub role: Role,
}

impl Architecture {
    /// Checks that the numbers are possible and within the limits of this crate.
    ///
    /// # Errors
    /// The first field that is not, with `prefix` before its name.
    pub fn validate(&self, prefix: &str) -> Result<(), Error> {
        let fail = |field: &str, expected: String, got: String| {
            Err(Error::Manifest {
                field: format!("{prefix}{field}"),
                expected,
                got,
            })
        };
        let bounded = [
            ("hidden", self.hidden, MAX_WIDTH),
            ("ffn", self.ffn, MAX_WIDTH),
            ("layers", self.layers, MAX_LAYERS),
            ("heads", self.heads, MAX_WIDTH),
            ("kv_heads", self.kv_heads, MAX_WIDTH),
            ("head_dim", self.head_dim, MAX_HEAD_DIM),
            ("vocab", self.vocab, MAX_VOCAB),
            ("context", self.context, MAX_CONTEXT),
        ];
        for (field, value, max) in bounded {
            if value == 0 || value > max {
                return fail(field, format!("from 1 to {max}"), value.to_string());
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return fail(
                "kv_heads",
                format!("a divisor of heads ({})", self.heads),
                self.kv_heads.to_string(),
            );
        }
        if !self.head_dim.is_multiple_of(4) {
            return fail(
                "head_dim",
                "a multiple of 4".to_string(),
                self.head_dim.to_string(),
            );
        }
        // Both factors are bounded above, so that the product fits.
        let attention_width = self.heads * self.head_dim;
        if attention_width > MAX_WIDTH {
            return fail(
                "heads * head_dim",
                format!("at most {MAX_WIDTH}"),
                attention_width.to_string(),
            );
        }
        if !(self.rms_eps > 0.0 && self.rms_eps < 1.0) {
            return fail(
                "rms_eps",
                "between 0 and 1".to_string(),
                self.rms_eps.to_string(),
            );
        }
        if !(self.rope_theta >= 1.0 && self.rope_theta.is_finite()) {
            return fail(
                "rope_theta",
                "finite and at least 1".to_string(),
                self.rope_theta.to_string(),
            );
        }
        Ok(())
    }

    /// The tensors of this architecture in the order of the computation, with their canonical names. Call
    /// [`Architecture::validate`] first.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut specs = vec![TensorSpec {
            name: "embed".into(),
            shape: [self.vocab, self.hidden],
            role: Role::Rows,
        }];
        for layer in 0..self.layers {
            specs.extend(self.layer_tensors(layer));
        }
        specs.push(TensorSpec {
            name: "final_norm".into(),
            shape: [1, self.hidden],
            role: Role::Norm,
        });
        if !self.tied {
            specs.push(TensorSpec {
                name: "lm_head".into(),
                shape: [self.vocab, self.hidden],
                role: Role::Rows,
            });
        }
        specs
    }

    fn layer_tensors(&self, layer: u32) -> impl Iterator<Item = TensorSpec> {
        let attention = self.heads * self.head_dim;
        let kv = self.kv_heads * self.head_dim;
        let (hidden, ffn) = (self.hidden, self.ffn);
        let all = [
            ("attn_norm", [1, hidden], Role::Norm),
            ("q", [attention, hidden], Role::Projection),
            ("k", [kv, hidden], Role::Projection),
            ("v", [kv, hidden], Role::Projection),
            ("attn_sub_norm", [1, attention], Role::Norm),
            ("o", [hidden, attention], Role::Projection),
            ("ffn_norm", [1, hidden], Role::Norm),
            ("gate", [ffn, hidden], Role::Projection),
            ("up", [ffn, hidden], Role::Projection),
            ("ffn_sub_norm", [1, ffn], Role::Norm),
            ("down", [hidden, ffn], Role::Projection),
        ];
        let sub_norms = self.sub_norms;
        let wanted = all
            .into_iter()
            .filter(move |(name, ..)| sub_norms || !name.ends_with("_sub_norm"));
        wanted.map(move |(name, shape, role)| TensorSpec {
            name: format!("layers.{layer}.{name}"),
            shape,
            role,
        })
    }

    /// The context lengths for which memory needs are stated: 2048 and 4096 tokens, where the model allows them, and its
    /// longest context.
    pub fn stated_contexts(&self) -> Vec<u32> {
        let shorter = STATED_CONTEXTS
            .into_iter()
            .filter(|&context| context < self.context);
        shorter.chain([self.context]).collect()
    }

    /// Bytes of the key-value cache in f16 at a context length.
    pub fn kv_bytes_f16(&self, context: u32) -> u64 {
        const BYTES_PER_VALUE: u64 = 2;
        let width = u64::from(self.kv_heads) * u64::from(self.head_dim);
        2 * BYTES_PER_VALUE * u64::from(self.layers) * width * u64::from(context)
    }
}

/// Bytes of one tensor on the GPU: codes with padded columns (ternary: and rows), scales as f32.
pub fn gpu_tensor_bytes(encoding: &Encoding, shape: [u32; 2], rows_per_tile: u32) -> u64 {
    let (n_rows, n_cols) = (shape[0] as usize, shape[1] as usize);
    let stored_rows = match encoding {
        Encoding::Ternary { .. } => padded_rows(n_rows, rows_per_tile as usize),
        _ => n_rows,
    };
    stored_rows as u64 * gpu_row_bytes(encoding, n_cols) as u64
        + n_rows as u64 * scales_per_row(encoding, n_cols) as u64 * 4
}

impl Manifest {
    /// Bytes of all weights on the GPU.
    pub fn weight_bytes(&self) -> u64 {
        let bytes = |tensor: &crate::Tensor| {
            gpu_tensor_bytes(&tensor.encoding, tensor.shape, self.ternary.rows_per_tile)
        };
        self.tensors.iter().map(bytes).sum()
    }

    /// Memory needs at one context length.
    pub fn memory_need(&self, context: u32) -> MemoryNeed {
        let kv_bytes_f16 = self.architecture.kv_bytes_f16(context);
        MemoryNeed {
            context,
            weight_bytes: self.weight_bytes(),
            kv_bytes_f16,
        }
    }

    /// Memory needs at the context lengths of [`Architecture::stated_contexts`].
    pub(crate) fn stated_memory_needs(&self) -> Vec<MemoryNeed> {
        self.architecture
            .stated_contexts()
            .into_iter()
            .map(|context| self.memory_need(context))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Scale};

    fn bitnet_2b_4t() -> Architecture {
        Architecture {
            family: "bitnet".into(),
            hidden: 2560,
            ffn: 6912,
            layers: 30,
            heads: 20,
            kv_heads: 5,
            head_dim: 128,
            vocab: 128_256,
            context: 4096,
            rms_eps: 1e-5,
            rope_theta: 500_000.0,
            activation: Activation::Relu2,
            sub_norms: true,
            tied: true,
        }
    }

    /// formats: 2,412,820,480 parameters, of which 2,084,044,800 are ternary and 440,320 belong to norms.
    #[test]
    fn parameters_of_2b_4t_are_the_published_number() {
        let architecture = bitnet_2b_4t();
        assert!(architecture.validate("").is_ok());
        let count = |role: Role| -> u64 {
            let specs = architecture.tensors();
            let of_role = specs.iter().filter(|spec| spec.role == role);
            of_role
                .map(|spec| u64::from(spec.shape[0]) * u64::from(spec.shape[1]))
                .sum()
        };
        let counts = (
            count(Role::Projection),
            count(Role::Norm),
            count(Role::Rows),
        );
        assert_eq!(counts, (2_084_044_800, 440_320, 328_335_360));
        assert_eq!(counts.0 + counts.1 + counts.2, 2_412_820_480);
    }

    /// formats, section 6: 521.0 MB at 2 bits, 78.6 MB of f16 cache for each 1024 tokens.
    #[test]
    fn memory_of_2b_4t_is_the_published_number() {
        let architecture = bitnet_2b_4t();
        let ternary = Encoding::Ternary {
            scale: Scale::Tensor { value: 1.0 },
        };
        let specs = architecture.tensors();
        let projections = specs.iter().filter(|spec| spec.role == Role::Projection);
        let bytes: u64 = projections
            .map(|spec| gpu_tensor_bytes(&ternary, spec.shape, 16))
            .sum();
        assert_eq!(bytes, 521_011_200);
        assert_eq!(architecture.kv_bytes_f16(1024), 78_643_200);
    }

    #[test]
    fn impossible_architectures_are_refused_by_field() {
        let check = |change: fn(&mut Architecture), expected: &str| {
            let mut architecture = bitnet_2b_4t();
            change(&mut architecture);
            let error = architecture
                .validate("architecture.")
                .map_err(|error| error.to_string());
            assert_eq!(
                error,
                Err(format!("manifest.json: architecture.{expected}"))
            );
        };
        check(|a| a.hidden = 0, "hidden must be from 1 to 131071, got 0");
        check(
            |a| a.layers = 1025,
            "layers must be from 1 to 1024, got 1025",
        );
        check(
            |a| a.kv_heads = 3,
            "kv_heads must be a divisor of heads (20), got 3",
        );
        check(
            |a| a.head_dim = 126,
            "head_dim must be a multiple of 4, got 126",
        );
        check(
            |a| a.heads = 131_070,
            "heads * head_dim must be at most 131071, got 16776960",
        );
        check(
            |a| a.rms_eps = f32::NAN,
            "rms_eps must be between 0 and 1, got NaN",
        );
        check(
            |a| a.rope_theta = f64::INFINITY,
            "rope_theta must be finite and at least 1, got inf",
        );
    }
}
