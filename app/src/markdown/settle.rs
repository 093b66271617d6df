//! A text that is still growing, made so that the reader sees nothing that the next token takes back.

use std::borrow::Cow;

/// Holds back the marks at the end of `text` whose meaning is still open, and closes spans that are.
pub(super) fn settle(text: &str) -> Cow<'_, str> {
    let fence = open_fence(text);
    let (before, line) = text.split_at(text.rfind('\n').map_or(0, |at| at + 1));
    if let Some(fence) = fence {
        let mark = line.trim();
        let may_close = !mark.is_empty() && mark.chars().all(|c| c == fence.mark);
        let is_opening = fence.start == before.len();
        return Cow::Borrowed(if may_close || is_opening {
            before
        } else {
            text
        });
    }
    if let Some(table) = unfinished_table(text) {
        return Cow::Borrowed(table);
    }
    if is_only_marks(line.trim()) {
        return Cow::Borrowed(before);
    }
    close_spans(before, line)
}

/// A block of code without its end.
struct Fence {
    mark: char,
    length: usize,
    /// Where its first line starts.
    start: usize,
}

fn open_fence(text: &str) -> Option<Fence> {
    let mut open: Option<Fence> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'));
        let length = mark.map_or(0, |mark| trimmed.chars().take_while(|c| *c == mark).count());
        match (&open, mark) {
            (None, Some(mark))
                if length >= 3 && !trimmed.get(length..).is_some_and(|rest| rest.contains('`')) =>
            {
                open = Some(Fence {
                    mark,
                    length,
                    start,
                });
            }
            (Some(fence), Some(mark))
                if mark == fence.mark && length >= fence.length && length == trimmed.len() =>
            {
                open = None;
            }
            _ => {}
        }
        start += line.len();
    }
    open
}

/// What stands before a table whose second line is not complete yet; before that it would be shown as text.
fn unfinished_table(text: &str) -> Option<&str> {
    let mut start = text.len();
    let mut n_lines = 0;
    for line in text.split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('|') {
            break;
        }
        start -= line.len();
        n_lines += 1;
    }
    let is_open = n_lines == 1 || (n_lines == 2 && !text.ends_with('\n'));
    is_open.then(|| text.get(..start)).flatten()
}

/// Whether a line could still become a heading, a list, a rule, a quote, a fence, or text.
fn is_only_marks(line: &str) -> bool {
    let is_mark = |c: char| {
        matches!(
            c,
            '-' | '=' | '*' | '_' | '#' | '>' | '`' | '~' | '+' | '|' | ' '
        )
    };
    let number = line.strip_suffix(['.', ')']).unwrap_or(line);
    let is_number =
        !number.is_empty() && number.len() <= 3 && number.bytes().all(|b| b.is_ascii_digit());
    !line.is_empty() && (line.chars().all(is_mark) || is_number)
}

/// Closes code and emphasis of the last line, and shows the words of a link without its half address.
fn close_spans<'a>(before: &'a str, line: &'a str) -> Cow<'a, str> {
    let open = Spans::open_at_the_end_of(line);
    if open.code {
        let cut = line.trim_end_matches('`');
        // The mark alone opens nothing yet.
        if !Spans::open_at_the_end_of(cut).code {
            return Cow::Owned(format!("{before}{cut}"));
        }
        return Cow::Owned(format!("{before}{line}`"));
    }
    if open.strong || open.emphasis || line.ends_with('*') {
        let cut = line.trim_end().trim_end_matches('*');
        // Behind a space the marks cannot close anything, so they open what has no words yet.
        let is_bare = cut.len() < line.len() && (cut.is_empty() || cut.ends_with(' '));
        let open_now = Spans::open_at_the_end_of(cut);
        return if is_bare || open_now.strong || open_now.emphasis {
            Cow::Owned(format!("{before}{}{}", cut.trim_end(), open_now.ends()))
        } else {
            Cow::Owned(format!("{before}{line}"))
        };
    }
    let link = line
        .rfind("](")
        .filter(|at| !line.get(*at..).is_some_and(|rest| rest.contains(')')))
        .and_then(|end| Some((line.get(..end)?.rfind('[')?, end)));
    if let Some((start, end)) = link {
        let head = line.get(..start).unwrap_or_default().trim_end_matches('!');
        let words = line.get(start + 1..end).unwrap_or_default();
        return Cow::Owned(format!("{before}{head}{words}"));
    }
    Cow::Owned(format!("{before}{line}"))
}

/// Spans that a line leaves open.
#[derive(Default)]
struct Spans {
    code: bool,
    strong: bool,
    emphasis: bool,
}

impl Spans {
    fn open_at_the_end_of(line: &str) -> Self {
        let mut open = Self::default();
        let mut before = ' ';
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if !open.code => drop(chars.next()),
                '`' => open.code = !open.code,
                '*' if !open.code && chars.next_if_eq(&'*').is_some() => open.strong = !open.strong,
                '*' if !open.code => {
                    let opens = before == ' ' && chars.peek().is_some_and(|next| *next != ' ');
                    let closes = open.emphasis && before != ' ';
                    open.emphasis = opens || (open.emphasis && !closes);
                }
                _ => {}
            }
            before = c;
        }
        open
    }

    const fn ends(&self) -> &'static str {
        match (self.strong, self.emphasis) {
            (true, true) => "***",
            (true, false) => "**",
            (false, true) => "*",
            (false, false) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::settle;

    #[test]
    fn open_marks_are_held_back_or_closed() {
        for (text, shown) in [
            ("", ""),
            ("Hello", "Hello"),
            ("Hello\n-", "Hello\n"),
            ("Hello\n1.", "Hello\n"),
            ("Hello\n## ", "Hello\n"),
            ("The year 2024", "The year 2024"),
            ("a **bold", "a **bold**"),
            ("a **bold ", "a **bold**"),
            ("a **bold*", "a **bold**"),
            ("a **", "a"),
            ("a *", "a"),
            ("an *idea", "an *idea*"),
            ("an *idea*", "an *idea*"),
            ("2 * 3", "2 * 3"),
            ("a **bold** word", "a **bold** word"),
            ("run `ls", "run `ls`"),
            ("run `", "run "),
            ("run `ls` now", "run `ls` now"),
            ("`a**b", "`a**b`"),
            ("see [the page](https://exa", "see the page"),
            (
                "see [the page](https://example.org)",
                "see [the page](https://example.org)",
            ),
            ("x\n``", "x\n"),
            ("x\n```ru", "x\n"),
            ("x\n```rust\nfn", "x\n```rust\nfn"),
            ("x\n```rust\nfn\n``", "x\n```rust\nfn\n"),
            ("x\n```rust\nfn\n```", "x\n```rust\nfn\n"),
            ("x\n```rust\nfn\n```\n", "x\n```rust\nfn\n```\n"),
            ("x\n```rust\nfn\n```\n* ", "x\n```rust\nfn\n```\n"),
            ("x\n\n| a | b |", "x\n\n"),
            ("x\n\n| a | b |\n|--", "x\n\n"),
            ("x\n\n| a | b |\n|--|--|\n", "x\n\n| a | b |\n|--|--|\n"),
            (r"a \** b", r"a \** b"),
        ] {
            assert_eq!(settle(text), shown, "{text:?}");
        }
    }
}
