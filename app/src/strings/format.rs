//! Numbers as people read them.

use protocol::{ModelOffer, Usage};

use crate::SAVING_TOKENS_PER_SECOND;

/// Megabytes or gigabytes, with as many digits as matter.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes >= 999.5 {
        format!("{:.1} GB", megabytes / 1e3)
    } else if megabytes >= 99.5 {
        format!("{megabytes:.0} MB")
    } else if bytes == 0 {
        "0 MB".to_owned()
    } else {
        format!("{:.1} MB", megabytes.max(0.1))
    }
}

/// What saving energy means.
#[must_use]
pub fn saving_energy() -> String {
    format!(
        "While energy is saved, an answer has at most {SAVING_TOKENS_PER_SECOND} tokens a second, about twice as fast as people read. The graphics processor rests in between."
    )
}

/// How far a download is.
#[must_use]
pub fn downloaded(done: u64, total: u64) -> String {
    format!("{} of {}", bytes(done), bytes(total))
}

/// The button that begins the download of an offer.
#[must_use]
pub fn download(offer: &protocol::ModelOffer) -> &'static str {
    if matches!(offer.fit, protocol::Fit::TooLarge { .. }) {
        super::DOWNLOAD_ANYWAY
    } else if offer.stored_bytes.get() > 0 {
        super::DOWNLOAD_REST
    } else {
        super::DOWNLOAD
    }
}

/// How much of a download that was stopped is there.
#[must_use]
pub fn already_here(stored: u64, all: u64) -> String {
    format!("{} already downloaded.", downloaded(stored, all))
}

/// Speed and time left of a download.
#[must_use]
pub fn rate(bytes_per_second: f64, seconds_left: f64) -> String {
    let speed = bytes(bytes_per_second.max(0.0) as u64);
    format!("{speed}/s, {} left", duration(seconds_left))
}

/// A time that is only estimated.
fn duration(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 360_000.0).ceil() as u64;
    match seconds {
        0..=90 => format!("{seconds} s"),
        91..=5_400 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

/// A whole number with separators between thousands.
#[must_use]
pub fn count(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Speed of an answer, short.
#[must_use]
pub fn speed(usage: &Usage) -> Option<String> {
    let mut parts = Vec::new();
    if usage.tokens_per_second > 0.0 {
        parts.push(format!("{:.1} tokens/s", usage.tokens_per_second));
    }
    if usage.first_token_millis > 0.0 {
        parts.push(format!(
            "first word after {:.1} s",
            usage.first_token_millis / 1e3
        ));
    }
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// How much of the context is in use.
#[must_use]
pub fn context_use(used: u32, total: u32) -> String {
    format!("{} of {} tokens", count(used), count(total))
}

/// What a download brings and takes.
#[must_use]
pub fn offer(name: &str, download_bytes: u64) -> String {
    format!("{name}, {}", bytes(download_bytes))
}

/// A number of tokens.
#[must_use]
pub fn tokens(number: u32) -> String {
    format!("{} tokens", count(number))
}

/// The memory that a model takes while it runs.
#[must_use]
pub fn memory(offer: &ModelOffer) -> String {
    bytes(offer.weight_bytes.get() + offer.kv_bytes.get() + offer.other_bytes.get())
}

/// A value of a setting.
#[must_use]
pub fn setting(value: f64, is_whole: bool) -> String {
    if is_whole {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use protocol::Usage;

    #[test]
    fn sizes_have_the_digits_that_matter() {
        for (bytes, text) in [
            (0, "0 MB"),
            (1, "0.1 MB"),
            (37_400_000, "37.4 MB"),
            (870_400_000, "870 MB"),
            (999_600_000, "1.0 GB"),
            (2_150_000_000, "2.1 GB"),
        ] {
            assert_eq!(super::bytes(bytes), text);
        }
        assert_eq!(
            super::downloaded(1_000_000, 37_400_000),
            "1.0 MB of 37.4 MB"
        );
    }

    #[test]
    fn times_are_rounded_up() {
        for (seconds, text) in [
            (0.2, "1 s"),
            (90.0, "90 s"),
            (91.0, "2 min"),
            (6_000.0, "2 h"),
        ] {
            assert_eq!(super::duration(seconds), text);
        }
        assert_eq!(super::rate(4_200_000.0, 8.1), "4.2 MB/s, 9 s left");
        assert_eq!(super::rate(f64::NAN, f64::NAN), "0 MB/s, 0 s left");
    }

    #[test]
    fn counts_have_separators() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(super::count(number), text);
        }
    }

    #[test]
    fn speed_says_only_what_is_known() {
        assert_eq!(super::speed(&Usage::default()), None);
        let usage = Usage {
            tokens_per_second: 12.34,
            first_token_millis: 840.0,
            ..Usage::default()
        };
        assert_eq!(
            super::speed(&usage).as_deref(),
            Some("12.3 tokens/s · first word after 0.8 s")
        );
    }
}
