//! Addresses with the server that they mean.

use super::address::{Address, Hub, split_url};
use crate::convert::EmbedFormat;
use crate::error::HubError;

/// The hub that is meant where no server is named.
pub const HUGGING_FACE: &str = "https://huggingface.co";

/// How the addresses of models begin that came out of files which a person chose.
const CHOSEN: &str = "files:";

/// What stands in front of the format of embedding and head, at the end of the address of a model that is to be converted.
const EMBED: &str = "#embed=";

/// The format that is meant where none is written.
const USUAL_EMBED: EmbedFormat = EmbedFormat::Q8;

/// The formats that an address can ask for.
const EMBEDS: [(&str, EmbedFormat); 3] = [
    ("q8", EmbedFormat::Q8),
    ("q6", EmbedFormat::Q6 { group: 64 }),
    ("q4", EmbedFormat::Q4),
];

/// Where a model lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    hub: Hub,
    address: Address,
    embed: EmbedFormat,
}

impl Place {
    /// Reads what a person wrote, as [`Hub::parse`] does for the Hugging Face hub, and besides:
    ///
    /// - `/owner/name/tree/REVISION` (or `blob`, `resolve`) on this device itself is a repository of a hub there;
    /// - the folder of a repository's files at a revision (`resolve/REVISION/`) is a package, as other folders are;
    /// - `#embed=q6` (or `q4`, `q8`) behind the address of what is to be converted is how embedding and head are stored;
    /// - a folder of a package may lack its slash;
    /// - `files:` with a SHA-256 is a model out of chosen files, as [`Place::chosen`] has it.
    ///
    /// # Errors
    /// If it is no address of a model.
    pub fn parse(text: &str) -> Result<Place, HubError> {
        let text = text.trim();
        let Some((start, name)) = text.split_once(EMBED) else {
            return Place::parse_plain(text);
        };
        let wrong = || HubError::Address {
            text: text.to_string(),
        };
        let mut known = EMBEDS.iter();
        let (_, embed) = known.find(|(known, _)| *known == name).ok_or_else(wrong)?;
        let place = Place::parse_plain(start)?;
        if place.is_foreign() {
            return Ok(place.with_embed(*embed));
        }
        Err(wrong())
    }

    fn parse_plain(text: &str) -> Result<Place, HubError> {
        let mut hub = Hub::new(HUGGING_FACE)?;
        if let Some(id) = text.strip_prefix(CHOSEN).filter(|id| is_hash(id)) {
            let id = id.to_string();
            let address = Address::Chosen { id };
            return Ok(Place::of(hub, address));
        }
        if let Ok(url) = split_url(text) {
            let parts = url.parts();
            let is_of_hub = matches!(parts[..], [_, _, "tree" | "blob" | "resolve", ..]);
            let is_folder = text.ends_with('/');
            if is_folder && matches!(parts[..], [_, _, "resolve", _]) {
                let url = text.to_string();
                let address = Address::Package { url };
                return Ok(Place::of(hub, address));
            }
            if url.is_here() && is_of_hub && !is_folder {
                hub = Hub::new(url.origin)?;
            }
        }
        let address = match hub.parse(text) {
            Err(HubError::NotAModel { .. }) if lacks_slash(&hub, text) => {
                hub.parse(&format!("{text}/"))?
            }
            other => other?,
        };
        Ok(Place::of(hub, address))
    }

    fn of(hub: Hub, address: Address) -> Place {
        Place {
            hub,
            address,
            embed: USUAL_EMBED,
        }
    }

    /// The same model with embedding and head in another format.
    #[must_use]
    pub fn with_embed(&self, embed: EmbedFormat) -> Place {
        Place {
            embed,
            ..self.clone()
        }
    }

    /// How embedding and head are stored, if the model is converted.
    pub fn embed(&self) -> EmbedFormat {
        self.embed
    }

    /// The place of a model that came out of chosen files; `id` is a SHA-256 that tells them from others, in lower-case hex.
    ///
    /// # Errors
    /// If it is no such hash.
    pub fn chosen(id: &str) -> Result<Place, HubError> {
        Place::parse(&format!("{CHOSEN}{id}"))
    }

    /// The server, where the address is of a repository.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// What lies there.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether it has to be converted, as far as that can be known without asking.
    pub fn is_foreign(&self) -> bool {
        matches!(self.address, Address::Repository(_) | Address::Gguf { .. })
    }

    /// Whether it came, or would come, out of files that a person chose: no network has it.
    pub fn is_chosen(&self) -> bool {
        matches!(self.address, Address::Chosen { .. })
    }

    /// The same place in always the same spelling, which [`Place::parse`] reads.
    pub fn key(&self) -> String {
        let key = self.plain_key();
        let is_asked = |(_, embed): &&(&str, EmbedFormat)| *embed == self.embed;
        match EMBEDS.iter().find(is_asked) {
            Some((name, embed)) if *embed != USUAL_EMBED => format!("{key}{EMBED}{name}"),
            _ => key,
        }
    }

    fn plain_key(&self) -> String {
        match &self.address {
            Address::Repository(repository) => self.hub.page_url(repository),
            Address::Gguf { url } | Address::Package { url } => url.clone(),
            Address::Chosen { id } => format!("{CHOSEN}{id}"),
        }
    }
}

fn is_hash(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(is_digit)
}

/// Whether it looks like a folder on another server.
fn lacks_slash(hub: &Hub, text: &str) -> bool {
    let Ok(url) = split_url(text) else {
        return false;
    };
    let is_whole = text.len() == url.origin.len() + url.path.len();
    let is_file = url.parts().last().is_none_or(|name| has_ending(name));
    url.origin != hub.origin() && is_whole && !is_file
}

/// Whether a name ends like a file's. Names of models have dots in numbers.
fn has_ending(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    !ending.is_empty() && ending.bytes().all(|byte| byte.is_ascii_alphabetic())
}
