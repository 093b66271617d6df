//! Golden fixtures as sessions, and the comparison of a session with their reference values.

use super::rms_relative;
use engine::diagnostics::{Traced, trace};
use engine::{Executor, KvType, ModelLoader, Session, SessionConfig};
use fixtures::{Golden, Values};
use model::Manifest;
use std::collections::HashMap;

/// A converted fixture in memory.
pub struct Package {
    pub manifest: Manifest,
    pub shards: Vec<Vec<u8>>,
}

/// The exact configuration: f32 cache, chunks that hold the short prompts whole and split the long ones.
pub fn exact() -> SessionConfig {
    SessionConfig {
        context: 256,
        kv: KvType::F32,
        prefill_chunk: 48,
    }
}

impl Package {
    /// Loads the package on an executor.
    pub fn session(&self, executor: Executor, config: &SessionConfig) -> Session {
        pollster::block_on(async {
            let mut loader = ModelLoader::new(executor, &self.manifest, config).unwrap();
            for (i, shard) in self.shards.iter().enumerate() {
                loader
                    .push_shard(u32::try_from(i).unwrap(), shard)
                    .await
                    .unwrap();
            }
            loader.finish().await.unwrap()
        })
    }
}

/// A difference from the reference values, in words.
pub type Mismatch = String;

/// Compares every stored intermediate tensor of prompt `short`; int8 codes must be equal, floats within 1e-5 rms relative.
pub fn compare_layers(session: &mut Session, golden: &Golden, class: &str) -> Result<(), Mismatch> {
    let prompt = golden.prompt("short");
    let traced =
        pollster::block_on(trace(session, &prompt.ids)).map_err(|error| error.to_string())?;
    let context = session.context() as usize;
    let reader = Reader {
        golden,
        traced: index(traced),
        n_tokens: prompt.ids.len(),
        context,
    };
    for name in golden.tensor_names(class) {
        let expected = golden.tensor(class, &name);
        match &expected.values {
            Values::I8(codes) => {
                let got = reader.codes(&name);
                let differing = codes.iter().zip(&got).filter(|(a, b)| a != b).count();
                if differing > 0 || codes.len() != got.len() {
                    return Err(format!(
                        "{name}: {differing} of {} int8 codes differ",
                        codes.len()
                    ));
                }
            }
            Values::F32(values) => {
                let got = reader.floats(&name);
                let expected = if name == "final_norm" {
                    &values[values.len() - got.len()..]
                } else {
                    values
                };
                check(&name, expected, &got)?;
            }
        }
    }
    Ok(())
}

fn check(name: &str, expected: &[f32], got: &[f32]) -> Result<(), Mismatch> {
    if got.iter().any(|v| !v.is_finite()) {
        return Err(format!("{name}: non-finite values"));
    }
    let error = rms_relative(expected, got);
    if error > 1e-5 {
        Err(format!("{name}: rms relative error {error:.2e} above 1e-5"))
    } else {
        Ok(())
    }
}

/// Compares the logits of every prompt: stable ones within 1e-5 and equal argmax, others within their own spread.
pub fn compare_logits(session: &mut Session, golden: &Golden, class: &str) -> Result<(), Mismatch> {
    for prompt in &golden.prompts {
        let Some(stored) = prompt.classes.get(class) else {
            continue;
        };
        let expected = golden.logits(prompt, class);
        let vocab = stored.shape[1];
        let all =
            pollster::block_on(session.logits(&prompt.ids)).map_err(|error| error.to_string())?;
        let got = &all[stored.first_row * vocab..];
        if got.iter().any(|v| !v.is_finite()) {
            return Err(format!("prompt {}: non-finite logits", prompt.name));
        }
        let error = rms_relative(&expected, got);
        let limit = if prompt.kind == "stable" {
            1e-5
        } else {
            (2.0 * stored.spread).max(1e-2)
        };
        if error > limit {
            return Err(format!(
                "prompt {}: rms relative error {error:.2e} above {limit:.0e}",
                prompt.name
            ));
        }
        for (row, (logits, &best)) in got.chunks_exact(vocab).zip(&stored.argmax).enumerate() {
            let sure =
                prompt.kind == "stable" || f64::from(stored.top2_margin[row]) > limit * stored.rms;
            if sure && argmax(logits) != best {
                return Err(format!(
                    "prompt {} row {row}: argmax {} instead of {best}",
                    prompt.name,
                    argmax(logits)
                ));
            }
        }
    }
    Ok(())
}

/// Position of the largest logit, the first of equals.
pub fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = i;
        }
    }
    u32::try_from(best).unwrap()
}

fn index(traced: Vec<Traced>) -> HashMap<String, Vec<Vec<u8>>> {
    traced
        .into_iter()
        .map(|step| (step.label, step.written))
        .collect()
}

/// Finds stored tensors among what the dispatches wrote.
struct Reader<'a> {
    golden: &'a Golden,
    traced: HashMap<String, Vec<Vec<u8>>>,
    n_tokens: usize,
    context: usize,
}

impl Reader<'_> {
    fn bytes(&self, label: &str, buffer: usize) -> &[u8] {
        &self
            .traced
            .get(label)
            .unwrap_or_else(|| panic!("no dispatch {label}"))[buffer]
    }

    fn f32(&self, label: &str, buffer: usize, n: usize) -> Vec<f32> {
        bytemuck::pod_collect_to_vec(&self.bytes(label, buffer)[..n * 4])
    }

    /// `lN.site` -> (`layers.N.`, layer, site).
    fn split(name: &str) -> (String, u32, &str) {
        let (layer, site) = name[1..].split_once('.').unwrap();
        (format!("layers.{layer}."), layer.parse().unwrap(), site)
    }

    /// Int8 codes without their padding.
    fn codes(&self, name: &str) -> Vec<i8> {
        let arch = &self.golden.arch;
        let (prefix, _, site) = Self::split(name);
        let width = match site {
            "attn_in" | "ffn_in" => arch.hidden,
            "attn_out" => arch.heads * arch.head_dim,
            "ffn_mid" => arch.ffn,
            _ => panic!("unknown int8 tensor {name}"),
        } as usize;
        let q = self.bytes(&format!("{prefix}{site}"), 0);
        let row = width.next_multiple_of(64);
        let rows = q.chunks_exact(row).take(self.n_tokens);
        rows.flat_map(|row| bytemuck::cast_slice::<u8, i8>(&row[..width]).to_vec())
            .collect()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let arch = &self.golden.arch;
        let (hidden, n) = (arch.hidden as usize, self.n_tokens);
        let heads = (arch.heads * arch.head_dim) as usize;
        match name {
            "embed" => return self.f32("embed", 0, n * hidden),
            "final_norm" => return self.f32("final_norm", 0, hidden),
            _ => {}
        }
        let (prefix, _, site) = Self::split(name);
        let at = |label: &str| format!("{prefix}{label}");
        if let Some(norm) = site.strip_suffix("_amax") {
            return self
                .f32(&at(norm), 1, 2 * n)
                .chunks_exact(2)
                .map(|row| row[0])
                .collect();
        }
        match site {
            "q" => self.f32(&at("rope_kv"), 0, n * heads),
            "k" => self.cache(&at("rope_kv"), 1),
            "v" => self.cache(&at("rope_kv"), 2),
            "attn" => self.f32(&at("attention"), 0, n * heads),
            "ffn_inner" => self.f32(&at("gate_up"), 0, n * arch.ffn as usize),
            "resid_mid" => self.f32(&at("o"), 0, n * hidden),
            "resid" => self.f32(&at("down"), 0, n * hidden),
            _ => panic!("unknown tensor {name}"),
        }
    }

    /// `[kv_heads, context, head_dim]` -> `[n_tokens, kv_heads, head_dim]`.
    fn cache(&self, label: &str, buffer: usize) -> Vec<f32> {
        let arch = &self.golden.arch;
        let (kv_heads, d) = (arch.kv_heads as usize, arch.head_dim as usize);
        let all = self.f32(label, buffer, kv_heads * self.context * d);
        let mut out = Vec::new();
        for t in 0..self.n_tokens {
            for head in 0..kv_heads {
                let from = (head * self.context + t) * d;
                out.extend_from_slice(&all[from..from + d]);
            }
        }
        out
    }
}
