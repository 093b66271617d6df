//! Special tokens inside what a person wrote: they must stay text whatever the chat template does around them.
//!
//! While the template runs, each such text is one private-use character. The rendered prompt is split at the special
//! tokens that the template itself wrote, and only then do the placeholders become text again.

use std::collections::{HashMap, HashSet};

use crate::Error;

/// The texts of a tokenizer's special tokens, by first character, longest first.
#[derive(Debug, Default)]
pub(crate) struct SpecialTexts {
    by_first: HashMap<char, Vec<String>>,
}

impl SpecialTexts {
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a str>) -> SpecialTexts {
        let mut by_first: HashMap<char, Vec<String>> = HashMap::new();
        for text in texts {
            if let Some(first) = text.chars().next() {
                by_first.entry(first).or_default().push(text.to_owned());
            }
        }
        for group in by_first.values_mut() {
            group.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        }
        SpecialTexts { by_first }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.by_first.values().flatten().map(String::as_str)
    }

    /// The longest special text that `text` starts with.
    fn at_start(&self, text: &str) -> Option<&str> {
        let group = self.by_first.get(&text.chars().next()?)?;
        group
            .iter()
            .map(String::as_str)
            .find(|special| text.starts_with(special))
    }

    /// Byte positions inside `text` such that no piece between them holds a whole special text.
    pub(crate) fn cuts(&self, text: &str) -> Vec<usize> {
        let occurrences = text
            .char_indices()
            .filter(|(start, _)| self.at_start(&text[*start..]).is_some());
        occurrences
            .map(|(start, first)| start + first.len_utf8())
            .filter(|cut| *cut < text.len())
            .collect()
    }

    /// Length in bytes of the longest end of `text` that is the beginning of a special text.
    fn partial_end(&self, text: &str) -> usize {
        let starts = self.iter().flat_map(|special| {
            special
                .char_indices()
                .skip(1)
                .map(|(cut, _)| &special[..cut])
        });
        starts
            .filter(|start| text.ends_with(start))
            .map(str::len)
            .max()
            .unwrap_or(0)
    }

    /// Length in bytes of the longest beginning of `text` that is the end of a special text.
    fn partial_start(&self, text: &str) -> usize {
        let ends = self.iter().flat_map(|special| {
            special
                .char_indices()
                .skip(1)
                .map(|(cut, _)| &special[cut..])
        });
        ends.filter(|end| text.starts_with(end))
            .map(str::len)
            .max()
            .unwrap_or(0)
    }
}

/// Placeholders of one rendering.
pub(crate) struct Shield<'a> {
    specials: &'a SpecialTexts,
    /// Private-use characters that occur nowhere in the template, the messages or the special tokens.
    free: Box<dyn Iterator<Item = char> + 'a>,
    placeholders: HashMap<String, char>,
    originals: HashMap<char, String>,
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{F0000}'..='\u{FFFFD}')
}

impl<'a> Shield<'a> {
    /// `texts`: the template and everything else whose private-use characters must be left alone.
    pub(crate) fn new<'t>(
        specials: &'a SpecialTexts,
        texts: impl Iterator<Item = &'t str>,
    ) -> Shield<'a> {
        let own = specials.iter().flat_map(str::chars);
        let used: HashSet<char> = texts
            .flat_map(str::chars)
            .chain(own)
            .filter(|c| is_private(*c))
            .collect();
        let free = Box::new(('\u{F0000}'..='\u{FFFFD}').filter(move |c| !used.contains(c)));
        Shield {
            specials,
            free,
            placeholders: HashMap::new(),
            originals: HashMap::new(),
        }
    }

    /// A character that occurs nowhere.
    pub(crate) fn mark(&mut self) -> Option<char> {
        self.free.next()
    }

    /// `content` with a placeholder for every special text, and for the beginning of one at its end or the end of one
    /// at its start, which the template's own text could complete.
    pub(crate) fn shield(&mut self, content: &str) -> Result<String, Error> {
        let mut shielded = String::with_capacity(content.len());
        let mut rest = content;
        while let Some(c) = rest.chars().next() {
            match self.specials.at_start(rest) {
                Some(special) => {
                    shielded.push(self.placeholder(special)?);
                    rest = &rest[special.len()..];
                }
                None => {
                    shielded.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        // Templates trim contents, so the edges are those of the trimmed text.
        let end = shielded.trim_end().len();
        let partial = self.specials.partial_end(&shielded[..end]);
        self.replace(&mut shielded, end - partial..end)?;
        let start = shielded.len() - shielded.trim_start().len();
        let partial = self.specials.partial_start(&shielded[start..]);
        self.replace(&mut shielded, start..start + partial)?;
        Ok(shielded)
    }

    fn replace(&mut self, text: &mut String, range: std::ops::Range<usize>) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let placeholder = self.placeholder(&text[range.clone()])?;
        text.replace_range(range, placeholder.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn placeholder(&mut self, text: &str) -> Result<char, Error> {
        if let Some(c) = self.placeholders.get(text) {
            return Ok(*c);
        }
        let c = self.free.next().ok_or(Error::Placeholders)?;
        // A partial text may itself hold placeholders; it is put back in one go.
        self.originals.insert(c, self.restore(text));
        self.placeholders.insert(text.to_owned(), c);
        Ok(c)
    }

    /// `text` with the originals in place of the placeholders.
    pub(crate) fn restore(&self, text: &str) -> String {
        let mut restored = String::with_capacity(text.len());
        for c in text.chars() {
            match self.originals.get(&c) {
                Some(original) => restored.push_str(original),
                None => restored.push(c),
            }
        }
        restored
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn specials() -> SpecialTexts {
        SpecialTexts::new(["<|end|>", "<s>", "<|end|>more", "[]"].into_iter())
    }

    #[test]
    fn no_special_text_survives_and_all_of_it_comes_back() {
        let specials = specials();
        for content in [
            "a<|end|>b<s>",
            "<|end|>more",
            "<<|end|>|end|>",
            "  <|en  ",
            "|> x <",
            "<|end|",
            "<",
            "",
            "\u{F0000}<s>\u{F0001}",
            "[[]]",
        ] {
            let mut shield = Shield::new(&specials, [content].into_iter());
            let shielded = shield.shield(content).unwrap();
            for around in [
                format!("<|end{shielded}|end|>"),
                format!("<{shielded}>"),
                format!("[{shielded}]"),
            ] {
                let found: Vec<_> = around
                    .char_indices()
                    .filter(|(at, _)| specials.at_start(&around[*at..]).is_some())
                    .collect();
                assert!(
                    found.is_empty() || content.is_empty(),
                    "{content:?} in {around:?}"
                );
            }
            assert_eq!(shield.restore(&shielded), content);
        }
    }

    #[test]
    fn cuts_leave_no_special_text_whole() {
        let specials = specials();
        let text = "x<|end|>more<s>[]<s";
        let mut start = 0;
        for cut in specials.cuts(text).into_iter().chain([text.len()]) {
            let piece = &text[start..cut];
            assert!(
                piece
                    .char_indices()
                    .all(|(at, _)| specials.at_start(&piece[at..]).is_none()),
                "{piece}"
            );
            start = cut;
        }
        assert_eq!(specials.cuts(text), [2, 13, 16]);
    }

    #[test]
    fn running_out_of_placeholders_is_an_error() {
        let specials = specials();
        let all: String = ('\u{F0000}'..='\u{FFFFD}').collect();
        let mut shield = Shield::new(&specials, [all.as_str()].into_iter());
        assert!(matches!(shield.shield("<s>"), Err(Error::Placeholders)));
    }
}
