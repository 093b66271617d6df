//! Words about what a model needs and what the device has.

use protocol::{ModelOffer, Precision};

/// Summary over the memory in parts.
pub const MEMORY_DETAILS: &str = "Memory details";
/// Label of a part.
pub const MEMORY_WEIGHTS: &str = "Weights";
/// Label of a part.
pub const MEMORY_OTHER: &str = "Everything else";
/// Over the stored models that could go.
pub const ROOM_HELPS: &str = "Deleting a stored model makes room:";
/// There is none.
pub const ROOM_NO_MODELS: &str =
    "No other model is stored here. Free space on the device, or choose a smaller model.";
/// Label of the choice.
pub const PRECISION: &str = "Precision of the vocabulary";
/// What it means.
pub const PRECISION_NOTE: &str = "Fewer bits take less memory and make answers a little worse: measured with the built-in model, the loss rises by 0.3 % with 6 bits and by 5 % with 4. Larger models may lose less; that was not measured.";

/// The model fits.
#[must_use]
pub fn fits(offer: &ModelOffer) -> String {
    format!(
        "Fits this device with a context of {} tokens",
        super::count(offer.context)
    )
}

/// The model fits with a shorter memory of the conversation.
#[must_use]
pub fn fits_with_context(tokens: u32) -> String {
    format!(
        "Fits this device with a context of {} tokens: with a longer one there would not be enough memory",
        super::count(tokens)
    )
}

/// Label of the cache at a context.
#[must_use]
pub fn memory_conversation(context: u32) -> String {
    format!("Conversation of {} tokens", super::count(context))
}

/// How much room is missing.
#[must_use]
pub fn room_missing(bytes: u64) -> String {
    format!(
        "{} MB more room is needed for the download.",
        super::count(u32::try_from(bytes.div_ceil(1_000_000)).unwrap_or(u32::MAX))
    )
}

/// A precision.
#[must_use]
pub const fn precision(precision: Precision) -> &'static str {
    match precision {
        Precision::Q8 => "8 bits",
        Precision::Q6 => "6 bits",
        Precision::Q4 => "4 bits",
    }
}

/// A precision with what it does to memory; `less` bytes than the most precise one takes.
#[must_use]
pub fn precision_choice(value: Precision, less: u64) -> String {
    let name = precision(value);
    match less {
        0 => name.to_owned(),
        less => format!("{name}, {} less", super::bytes(less)),
    }
}

/// A model's name, with its precision where that is not the usual one.
#[must_use]
pub fn model_name(name: &str, model_url: &str) -> String {
    let value = match model_url.rsplit_once("#embed=") {
        Some((_, "q6")) => Precision::Q6,
        Some((_, "q4")) => Precision::Q4,
        _ => return name.to_owned(),
    };
    format!("{name} ({})", precision(value))
}

/// Label of the button that deletes a model.
#[must_use]
pub fn delete_model(name: &str) -> String {
    format!("{} {name}", super::DELETE)
}

#[cfg(test)]
mod tests {
    use protocol::Precision;

    #[test]
    fn numbers_suffice_and_precisions_are_told() {
        assert_eq!(
            super::room_missing(1_234_000_001),
            "1,235 MB more room is needed for the download."
        );
        assert_eq!(super::precision_choice(Precision::Q8, 0), "8 bits");
        assert_eq!(
            super::precision_choice(Precision::Q4, 164_000_000),
            "4 bits, 164 MB less"
        );
        for (url, name) in [
            ("https://host/m/", "One"),
            ("https://hub/a/one/tree/main#embed=q6", "One (6 bits)"),
            ("https://hub/a/one/tree/main#embed=q7", "One"),
        ] {
            assert_eq!(super::model_name("One", url), name);
        }
    }
}
