//! A package from its folder into memory: session, tokenizer, chat template.

use engine::{DeviceOptions, Executor, ModelLoader, Session, SessionConfig};
use model::Manifest;
use model::manifest::{SuggestedSampling, TextInfo};
use model::package::{read_manifest, read_shard, read_tokenizer};
use model::source::FolderSource;
use text::{ChatTemplate, Tokenizer};

use crate::args::{Device, DeviceArgs, ModelArgs};
use crate::failure::bad_input;
use crate::progress::Bar;

/// Context when neither the person nor the model says less.
const DEFAULT_CONTEXT: u32 = 4096;

/// A model that is ready to answer.
pub(crate) struct Loaded {
    /// The weights on their device, with a cache.
    pub(crate) session: Session,
    /// Tokenizer and conversation facts, when the package has them.
    pub(crate) text: Option<LoadedText>,
    /// The package's description.
    pub(crate) manifest: Manifest,
}

/// The text side of a package.
pub(crate) struct LoadedText {
    /// The tokenizer.
    pub(crate) tokenizer: Tokenizer,
    /// The chat template; absent for base models.
    template: Option<ChatTemplate>,
    /// Tokens that end an answer.
    pub(crate) stop_ids: Vec<u32>,
    /// Sampling that the model's author suggests.
    pub(crate) sampling: Option<SuggestedSampling>,
}

impl LoadedText {
    /// Reads tokenizer and chat template.
    ///
    /// # Errors
    /// When one of them is broken or the tokenizer does not fit `vocab` rows.
    pub(crate) fn new(
        info: &TextInfo,
        tokenizer_json: &[u8],
        vocab: u32,
    ) -> Result<LoadedText, text::Error> {
        let token = |token: &Option<model::manifest::TokenRef>| {
            token.as_ref().map(|token| token.text.clone())
        };
        let (bos, eos) = (token(&info.bos), token(&info.eos));
        let template = info.chat_template.as_deref();
        let template = template
            .map(|source| ChatTemplate::new(source, bos.as_deref(), eos.as_deref()))
            .transpose()?;
        Ok(LoadedText {
            tokenizer: Tokenizer::from_json(tokenizer_json, vocab)?,
            template,
            stop_ids: info.stop_ids.clone(),
            sampling: info.sampling,
        })
    }

    /// Whether there is a chat template; a base model has none and continues texts.
    pub(crate) fn has_template(&self) -> bool {
        self.template.is_some()
    }

    /// The chat template.
    ///
    /// # Errors
    /// For a base model, which has none.
    pub(crate) fn template(&self) -> anyhow::Result<&ChatTemplate> {
        let missing = "the package has no chat template (a base model?); use tern run --raw to continue a text";
        self.template.as_ref().ok_or_else(|| bad_input(missing))
    }
}

impl Loaded {
    /// Loads the package of `args`, each file compared with its hash, with a cache of `context` positions.
    ///
    /// # Errors
    /// For a package that is damaged or does not fit the device, and when there is no device.
    pub(crate) async fn open(args: &ModelArgs, context: Option<u32>) -> anyhow::Result<Loaded> {
        let source = FolderSource::new(&args.model)?;
        let manifest = read_manifest(&source)?;
        let model_context = manifest.architecture.context;
        let context = match context {
            Some(wanted) if wanted > model_context => {
                return Err(bad_input(format!(
                    "a context of {wanted} tokens is wanted, but the model defines {model_context} positions"
                )));
            }
            Some(wanted) => wanted,
            None => DEFAULT_CONTEXT.min(model_context),
        };
        let text = match (&manifest.text, read_tokenizer(&source, &manifest)?) {
            (Some(info), Some(json)) => {
                Some(LoadedText::new(info, &json, manifest.architecture.vocab)?)
            }
            _ => None,
        };
        let config = SessionConfig {
            context,
            kv: args.kv.into(),
            ..SessionConfig::default()
        };
        let mut loader = ModelLoader::new(open_executor(&args.device).await?, &manifest, &config)?;
        let progress_bar = Bar::bytes(
            "loading",
            manifest.shards.iter().map(|shard| shard.bytes).sum(),
        );
        let mut done = 0;
        for index in 0..manifest.shards.len() as u32 {
            let shard = read_shard(&source, &manifest, index)?;
            loader.push_shard(index, &shard).await?;
            done += shard.len() as u64;
            progress_bar.set(done, "");
        }
        let session = loader.finish().await?;
        log::info!(
            "{} on {}, {:?}",
            manifest.name,
            session.executor().describe(),
            session.memory()
        );
        Ok(Loaded {
            session,
            text,
            manifest,
        })
    }

    /// The error for instructions to a base model.
    pub(crate) fn no_roles() -> anyhow::Error {
        bad_input(
            "--system gives instructions, but the package has no chat template (a base model); put them into the text",
        )
    }

    /// The error of a command that needs text when the package has no tokenizer.
    pub(crate) fn no_tokenizer() -> anyhow::Error {
        bad_input(
            "the package has no tokenizer; it can only be used with token ids (tern logits, tern eval)",
        )
    }
}

/// Opens the device of `args`.
///
/// # Errors
/// When no adapter fits.
pub(crate) async fn open_executor(args: &DeviceArgs) -> anyhow::Result<Executor> {
    match (args.device, &args.adapter) {
        (Device::Cpu, Some(_)) => Err(bad_input(
            "--adapter names a GPU and does not go with --device cpu",
        )),
        (Device::Cpu, None) => Ok(Executor::cpu()),
        (Device::Gpu, adapter) => {
            let options = DeviceOptions {
                adapter: adapter.clone(),
                variant: args.variant,
                ..DeviceOptions::default()
            };
            Ok(Executor::gpu(&options).await?)
        }
    }
}
