//! Settings, versioned, with defaults for whatever is absent.

use serde::{Deserialize, Serialize};

/// Settings of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Version of these fields, 1.
    pub version: u32,
    /// Context length in tokens; 0 = the engine's default for the model.
    pub context: u32,
    /// Element type of the key-value cache.
    pub kv: KvType,
    /// Tokens that one chunk of prefill reads; 0 = the engine's default.
    pub prefill_chunk: u32,
    /// Whether subgroup operations may be used where the device has them.
    pub subgroups: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: Self::VERSION,
            context: 0,
            kv: KvType::F16,
            prefill_chunk: 0,
            subgroups: true,
        }
    }
}

impl Settings {
    /// The version that this build writes and reads.
    pub const VERSION: u32 = 1;
    /// The engine's default context of a model that has that much, in tokens.
    pub const USUAL_CONTEXT: u32 = 4096;
    /// The largest context that may be asked for.
    pub const MAX_CONTEXT: u32 = 1 << 20;
    /// The largest prefill chunk that may be asked for.
    pub const MAX_PREFILL_CHUNK: u32 = 1024;

    /// Checks every field.
    ///
    /// # Errors
    /// [`SettingsError`] naming the first field out of range.
    pub fn check(&self) -> Result<(), SettingsError> {
        in_range(
            "version",
            f64::from(self.version),
            f64::from(Self::VERSION),
            f64::from(Self::VERSION),
        )?;
        in_range(
            "context",
            f64::from(self.context),
            0.0,
            f64::from(Self::MAX_CONTEXT),
        )?;
        in_range(
            "prefill_chunk",
            f64::from(self.prefill_chunk),
            0.0,
            f64::from(Self::MAX_PREFILL_CHUNK),
        )
    }
}

/// Element type of the key-value cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KvType {
    /// 32-bit floats, for exact comparisons.
    F32,
    /// 16-bit floats.
    #[default]
    F16,
    /// Signed bytes with a scale per position and head: half the memory of 16-bit floats, and other answers than theirs.
    I8,
}

/// How tokens are chosen. The default is greedy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplingSettings {
    /// Temperature; 0 = greedy.
    pub temperature: f64,
    /// Choose among this many best tokens; 0 = off.
    pub top_k: u32,
    /// Choose among the best tokens that together have this probability; 1 = off.
    pub top_p: f64,
    /// Leave out tokens below this part of the best token's probability; 0 = off.
    pub min_p: f64,
    /// Penalty on tokens that occurred lately; 1 = off.
    pub repetition_penalty: f64,
    /// How many of the latest tokens the penalty looks at, at most [`SamplingSettings::MAX_WINDOW`].
    pub repetition_window: u32,
    /// Seed. Same seed, same conversation, same device and variant: same answer.
    pub seed: u32,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window: 64,
            seed: 0,
        }
    }
}

impl SamplingSettings {
    /// The longest window of the repetition penalty: the sampler looks at no more tokens.
    pub const MAX_WINDOW: u32 = 256;

    /// Checks every field.
    ///
    /// # Errors
    /// [`SettingsError`] naming the first field out of range; NaN is out of every range.
    pub fn check(&self) -> Result<(), SettingsError> {
        in_range("temperature", self.temperature, 0.0, 10.0)?;
        in_range("top_k", f64::from(self.top_k), 0.0, f64::from(1 << 20))?;
        in_range("top_p", self.top_p, f64::from(f32::MIN_POSITIVE), 1.0)?;
        in_range("min_p", self.min_p, 0.0, 1.0)?;
        in_range("repetition_penalty", self.repetition_penalty, 0.01, 100.0)?;
        in_range(
            "repetition_window",
            f64::from(self.repetition_window),
            0.0,
            f64::from(Self::MAX_WINDOW),
        )
    }
}

fn in_range(field: &'static str, got: f64, least: f64, most: f64) -> Result<(), SettingsError> {
    if got >= least && got <= most {
        Ok(())
    } else {
        Err(SettingsError {
            field,
            got,
            least,
            most,
        })
    }
}

/// A setting out of range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("setting {field} out of range: expected {least} to {most}, got {got}")]
pub struct SettingsError {
    /// Name of the field.
    pub field: &'static str,
    /// Its value.
    pub got: f64,
    /// Smallest allowed value.
    pub least: f64,
    /// Largest allowed value.
    pub most: f64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{SamplingSettings, Settings};

    #[test]
    fn defaults_are_in_range_and_fill_absent_fields() {
        assert_eq!(Settings::default().check(), Ok(()));
        assert_eq!(SamplingSettings::default().check(), Ok(()));
        assert_eq!(
            serde_json::from_str::<Settings>("{}").unwrap(),
            Settings::default()
        );
        assert_eq!(
            serde_json::from_str::<SamplingSettings>(r#"{"temperature":0.5}"#).unwrap(),
            SamplingSettings {
                temperature: 0.5,
                ..SamplingSettings::default()
            }
        );
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let check = |change: fn(&mut SamplingSettings), field: &str| {
            let mut sampling = SamplingSettings::default();
            change(&mut sampling);
            assert_eq!(sampling.check().unwrap_err().field, field);
        };
        check(|s| s.temperature = -0.1, "temperature");
        check(|s| s.temperature = f64::NAN, "temperature");
        check(|s| s.top_k = u32::MAX, "top_k");
        check(|s| s.top_p = 0.0, "top_p");
        check(|s| s.top_p = 1.5, "top_p");
        check(|s| s.min_p = f64::INFINITY, "min_p");
        check(|s| s.repetition_penalty = 0.0, "repetition_penalty");
        check(
            |s| s.repetition_window = SamplingSettings::MAX_WINDOW + 1,
            "repetition_window",
        );
        assert_eq!(
            Settings {
                version: 2,
                ..Settings::default()
            }
            .check()
            .unwrap_err()
            .field,
            "version"
        );
        assert_eq!(
            Settings {
                context: u32::MAX,
                ..Settings::default()
            }
            .check()
            .unwrap_err()
            .field,
            "context"
        );
        assert_eq!(
            Settings {
                prefill_chunk: 4096,
                ..Settings::default()
            }
            .check()
            .unwrap_err()
            .field,
            "prefill_chunk"
        );
    }
}
