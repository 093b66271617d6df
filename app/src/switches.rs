//! The parameters of the page's address. Optional, and safe for anybody to use.

use protocol::{KvType, SamplingSettings, Settings};

/// Where the default model lies, relative to the page.
const DEFAULT_MODEL: &str = "models/tern-135m";
/// Length of an answer when the address does not say.
const DEFAULT_MAX_TOKENS: u32 = 1024;

/// What the address asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Switches {
    /// `model`: folder of the package, relative to the page.
    pub model: String,
    /// `start`: `1` = load the model without asking, also when it has to be downloaded.
    pub start: bool,
    /// `temperature`: 0 = greedy, for which `greedy=1` is another word. Overrides the package's suggestion.
    pub temperature: Option<f64>,
    /// `seed`: fixed seed of the sampler. Otherwise each answer gets its own.
    pub seed: Option<u32>,
    /// `max_tokens`: most tokens of an answer, 0 = as many as the context holds.
    pub max_tokens: u32,
    /// `memory`: megabytes that models may take, in place of what is assumed and was learnt.
    pub memory_megabytes: Option<u32>,
    /// `context`, `kv` (`f16`, `f32` or `i8`), `subgroups` (`0` = do not use them).
    pub settings: Settings,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            model: DEFAULT_MODEL.to_owned(),
            start: false,
            temperature: None,
            seed: None,
            max_tokens: DEFAULT_MAX_TOKENS,
            memory_megabytes: None,
            settings: Settings::default(),
        }
    }
}

impl Switches {
    /// Reads pairs of names and decoded values. Unknown names and unusable values are ignored: the address is typed by
    /// people, and the page should open whatever it holds.
    pub fn read(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut switches = Self::default();
        for (name, value) in pairs {
            switches.set(&name, &value);
        }
        switches
    }

    fn set(&mut self, name: &str, value: &str) {
        match name {
            "model" if !value.is_empty() => self.model = value.to_owned(),
            "temperature" => {
                let usable = |temperature: &f64| {
                    SamplingSettings {
                        temperature: *temperature,
                        ..Default::default()
                    }
                    .check()
                    .is_ok()
                };
                self.temperature = value.parse().ok().filter(usable);
            }
            "greedy" if value == "1" => self.temperature = Some(0.0),
            "start" => self.start = value == "1",
            "seed" => self.seed = value.parse().ok(),
            "max_tokens" => self.max_tokens = value.parse().unwrap_or(self.max_tokens),
            "context" => {
                let context = value.parse().unwrap_or(0);
                let settings = Settings {
                    context,
                    ..self.settings
                };
                if settings.check().is_ok() {
                    self.settings = settings;
                }
            }
            "memory" => self.memory_megabytes = value.parse().ok().filter(|most| *most > 0),
            "kv" if value == "f32" => self.settings.kv = KvType::F32,
            "kv" if value == "f16" => self.settings.kv = KvType::F16,
            "kv" if value == "i8" => self.settings.kv = KvType::I8,
            "subgroups" => self.settings.subgroups = value != "0",
            _ => {}
        }
    }

    /// The sampling of the next answer: the package's suggestion, changed by the address; `seed` when that has none.
    #[must_use]
    pub fn sampling(&self, suggested: Option<SamplingSettings>, seed: u32) -> SamplingSettings {
        let mut sampling = suggested.unwrap_or_default();
        match self.temperature {
            // Greedy is the model's plain best guess, so the penalty goes too.
            Some(0.0) => sampling = SamplingSettings::default(),
            Some(temperature) => sampling.temperature = temperature,
            None => {}
        }
        sampling.seed = self.seed.unwrap_or(seed);
        sampling
    }
}

#[cfg(test)]
mod tests {
    use super::{KvType, SamplingSettings, Switches};

    fn read(pairs: &[(&str, &str)]) -> Switches {
        Switches::read(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn every_switch_is_read() {
        let switches = read(&[
            ("model", "models/other"),
            ("temperature", "0.5"),
            ("seed", "7"),
            ("max_tokens", "12"),
            ("start", "1"),
            ("context", "512"),
            ("kv", "f32"),
            ("subgroups", "0"),
            ("memory", "300"),
        ]);
        assert_eq!(switches.memory_megabytes, Some(300));
        assert_eq!(switches.model, "models/other");
        assert!(switches.start);
        assert_eq!(read(&[("greedy", "1")]).temperature, Some(0.0));
        assert_eq!(
            (switches.temperature, switches.seed, switches.max_tokens),
            (Some(0.5), Some(7), 12)
        );
        assert_eq!(
            (
                switches.settings.context,
                switches.settings.kv,
                switches.settings.subgroups
            ),
            (512, KvType::F32, false)
        );
        for (value, kv) in [("f16", KvType::F16), ("i8", KvType::I8)] {
            assert_eq!(read(&[("kv", value)]).settings.kv, kv);
        }
    }

    #[test]
    fn nonsense_is_ignored() {
        let nonsense = [
            ("model", ""),
            ("temperature", "NaN"),
            ("temperature", "-1"),
            ("seed", "x"),
            ("greedy", "yes"),
            ("start", ""),
            ("max_tokens", "-1"),
            ("context", "99999999999"),
            ("context", "4000000000"),
            ("kv", "f8"),
            ("memory", "0"),
            ("memory", "much"),
            ("unknown", "1"),
        ];
        assert_eq!(read(&nonsense), Switches::default());
    }

    #[test]
    fn sampling_is_the_suggestion_changed_by_the_address() {
        let suggested = SamplingSettings {
            temperature: 0.4,
            top_p: 0.9,
            repetition_penalty: 1.1,
            ..Default::default()
        };
        assert_eq!(
            read(&[]).sampling(Some(suggested), 3),
            SamplingSettings {
                seed: 3,
                ..suggested
            }
        );
        assert_eq!(
            read(&[("temperature", "1"), ("seed", "8")]).sampling(Some(suggested), 3),
            SamplingSettings {
                temperature: 1.0,
                seed: 8,
                ..suggested
            }
        );
        assert_eq!(
            read(&[("temperature", "0")]).sampling(Some(suggested), 3),
            SamplingSettings {
                seed: 3,
                ..Default::default()
            }
        );
        assert_eq!(
            read(&[]).sampling(None, 3),
            SamplingSettings {
                seed: 3,
                ..Default::default()
            }
        );
    }
}
