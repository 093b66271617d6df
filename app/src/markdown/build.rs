//! From the parser's events to the tree.

use std::mem;
use std::sync::Arc;

use pulldown_cmark::{CodeBlockKind, Event, OffsetIter, Options, Parser, Tag};

use super::{Alignment, Block, Inline, Item, List, MAX_BYTES, MAX_DEPTH, MAX_EVENTS, Table, bare};

/// Reads `text`, or shows it as it is when it is beyond the bounds. While the text `is_growing`, an address at its end is
/// no link yet: it would lead to where its beginning does.
pub(super) fn build(text: &str, is_growing: bool) -> Vec<Arc<Block>> {
    let verbatim = || vec![Arc::new(Block::Verbatim(text.to_owned()))];
    if text.len() > MAX_BYTES {
        return verbatim();
    }
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut builder = Builder {
        parser: Parser::new_ext(text, options).into_offset_iter(),
        events_left: MAX_EVENTS,
        task: None,
        links: 0,
        open_end: is_growing.then(|| text.trim_end_matches(['*', '`', '~', '_']).len()),
        is_at_end: false,
    };
    let blocks = builder.blocks(0);
    if builder.events_left == 0 {
        return verbatim();
    }
    blocks
}

struct Builder<'a> {
    parser: OffsetIter<'a>,
    /// How many events may still be read; 0 = too many, the tree is thrown away.
    events_left: usize,
    /// The mark of the item that is being read.
    task: Option<bool>,
    /// How many links are around what is read.
    links: usize,
    /// Where the text ends without the marks behind it, while it grows.
    open_end: Option<usize>,
    /// Whether the words that were read last stand at that end.
    is_at_end: bool,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Option<Event<'a>> {
        self.events_left = self.events_left.saturating_sub(1);
        if self.events_left == 0 {
            return None;
        }
        let (event, range) = self.parser.next()?;
        if matches!(event, Event::Text(_)) {
            self.is_at_end = self.open_end.is_some_and(|end| range.end >= end);
        }
        Some(event)
    }

    /// Blocks up to the end of their container. A container deeper than allowed leaves its blocks in this one.
    fn blocks(&mut self, depth: usize) -> Vec<Arc<Block>> {
        let mut blocks = Vec::new();
        let mut line = Vec::new();
        let mut n_flattened = 0_usize;
        while let Some(event) = self.next() {
            match event {
                Event::End(_) if n_flattened == 0 => break,
                Event::End(_) => {
                    self.end_line(&mut line, &mut blocks);
                    n_flattened -= 1;
                }
                Event::Start(tag) if is_block(&tag) => {
                    self.end_line(&mut line, &mut blocks);
                    if depth >= MAX_DEPTH && is_container(&tag) {
                        n_flattened += 1;
                    } else {
                        blocks.push(Arc::new(self.block(tag, depth + 1)));
                    }
                }
                Event::Rule => {
                    self.end_line(&mut line, &mut blocks);
                    blocks.push(Arc::new(Block::Rule));
                }
                other => self.inline(other, depth + 1, &mut line),
            }
        }
        self.end_line(&mut line, &mut blocks);
        blocks
    }

    fn block(&mut self, tag: Tag<'a>, depth: usize) -> Block {
        match tag {
            Tag::Heading { level, .. } => Block::Heading(level as u8, self.inlines(depth)),
            Tag::BlockQuote(_) => Block::Quote(self.blocks(depth)),
            Tag::CodeBlock(kind) => {
                let mut text = self.plain();
                if text.ends_with('\n') {
                    text.pop();
                }
                let language = match kind {
                    CodeBlockKind::Fenced(info) => language(&info),
                    CodeBlockKind::Indented => None,
                };
                Block::Code { language, text }
            }
            Tag::HtmlBlock => Block::Verbatim(self.plain().trim_end().to_owned()),
            Tag::List(start) => Block::List(List {
                start,
                items: self.items(depth),
            }),
            Tag::Table(alignments) => {
                Block::Table(self.table(alignments.into_iter().map(alignment).collect(), depth))
            }
            _ => Block::Paragraph(self.inlines(depth)),
        }
    }

    fn items(&mut self, depth: usize) -> Vec<Arc<Item>> {
        let mut items = Vec::new();
        while let Some(event) = self.next() {
            match event {
                Event::Start(_) => {
                    let outer = self.task.take();
                    let blocks = self.blocks(depth);
                    let task = mem::replace(&mut self.task, outer);
                    items.push(Arc::new(Item { task, blocks }));
                }
                _ => break,
            }
        }
        items
    }

    fn table(&mut self, alignments: Vec<Alignment>, depth: usize) -> Table {
        let mut table = Table {
            alignments,
            head: Vec::new(),
            rows: Vec::new(),
        };
        while let Some(event) = self.next() {
            match event {
                Event::Start(Tag::TableHead) => table.head = self.cells(depth),
                Event::Start(_) => {
                    let cells = self.cells(depth);
                    table.rows.push(cells);
                }
                _ => break,
            }
        }
        table
    }

    fn cells(&mut self, depth: usize) -> Vec<Vec<Inline>> {
        let mut cells = Vec::new();
        while let Some(Event::Start(_)) = self.next() {
            cells.push(self.inlines(depth));
        }
        cells
    }

    /// Spans up to the end of what holds them.
    fn inlines(&mut self, depth: usize) -> Vec<Inline> {
        let mut inlines = Vec::new();
        while let Some(event) = self.next() {
            if matches!(event, Event::End(_)) {
                break;
            }
            self.inline(event, depth, &mut inlines);
        }
        self.with_links(inlines)
    }

    /// Makes links of the addresses in the texts, outside of links.
    fn with_links(&mut self, inlines: Vec<Inline>) -> Vec<Inline> {
        let has_address =
            |inline: &Inline| matches!(inline, Inline::Text(text) if text.contains("://"));
        if self.links > 0 || !inlines.iter().any(has_address) {
            return inlines;
        }
        let is_at_end = self.is_at_end;
        let mut all = Vec::new();
        let last = inlines.len() - 1;
        for (at, inline) in inlines.into_iter().enumerate() {
            let parts = match &inline {
                Inline::Text(text) => bare::split(text, !(is_at_end && at == last)),
                _ => None,
            };
            match parts {
                Some(parts) => {
                    // Each is an element more, as one that the parser found.
                    self.events_left = self.events_left.saturating_sub(parts.len());
                    all.extend(parts);
                }
                None => all.push(inline),
            }
        }
        all
    }

    /// Spans outside a paragraph are a line of a list.
    fn end_line(&mut self, line: &mut Vec<Inline>, blocks: &mut Vec<Arc<Block>>) {
        if !line.is_empty() {
            let line = self.with_links(mem::take(line));
            blocks.push(Arc::new(Block::Line(line)));
        }
    }

    /// One span, and all that it holds.
    fn inline(&mut self, event: Event<'a>, depth: usize, out: &mut Vec<Inline>) {
        match event {
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                push_text(out, &text)
            }
            Event::Code(text) => out.push(Inline::Code(text.into_string())),
            Event::SoftBreak => push_text(out, "\n"),
            Event::HardBreak => out.push(Inline::Break),
            Event::TaskListMarker(is_done) => self.task = Some(is_done),
            Event::Start(Tag::Image { dest_url, .. }) => {
                let alt = self.plain();
                out.push(Inline::Image {
                    alt,
                    address: dest_url.into_string(),
                });
            }
            Event::Start(_) if depth >= MAX_DEPTH => {
                let mut inner = self.inlines_flat();
                out.append(&mut inner);
            }
            Event::Start(tag) => {
                let is_link = matches!(tag, Tag::Link { .. });
                self.links += usize::from(is_link);
                let content = self.inlines(depth + 1);
                self.links -= usize::from(is_link);
                match tag {
                    Tag::Emphasis => out.push(Inline::Emphasis(content)),
                    Tag::Strong => out.push(Inline::Strong(content)),
                    Tag::Strikethrough => out.push(Inline::Strikethrough(content)),
                    Tag::Link { dest_url, .. } => push_link(out, &dest_url, content),
                    _ => out.extend(content),
                }
            }
            _ => {}
        }
    }

    /// Everything up to the end as one text: deeper spans than allowed.
    fn inlines_flat(&mut self) -> Vec<Inline> {
        vec![Inline::Text(self.plain())]
    }

    /// The words up to the end, however deep they are.
    fn plain(&mut self) -> String {
        let mut text = String::new();
        let mut depth = 0_usize;
        while let Some(event) = self.next() {
            match event {
                Event::Start(_) => depth += 1,
                Event::End(_) if depth == 0 => break,
                Event::End(_) => depth -= 1,
                Event::Text(part)
                | Event::Code(part)
                | Event::Html(part)
                | Event::InlineHtml(part) => text += &part,
                Event::SoftBreak | Event::HardBreak => text.push('\n'),
                _ => {}
            }
        }
        text
    }
}

const fn is_block(tag: &Tag<'_>) -> bool {
    !matches!(
        tag,
        Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::Link { .. }
            | Tag::Image { .. }
    )
}

const fn is_container(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::BlockQuote(_) | Tag::List(_) | Tag::Item)
}

fn push_text(out: &mut Vec<Inline>, text: &str) {
    match out.last_mut() {
        Some(Inline::Text(last)) => last.push_str(text),
        _ => out.push(Inline::Text(text.to_owned())),
    }
}

/// A link, or its words with the address behind them when it may not be one.
fn push_link(out: &mut Vec<Inline>, address: &str, content: Vec<Inline>) {
    // `<a@example.org>` comes without its scheme.
    let mail = format!("mailto:{address}");
    let is_mail = !address.contains(':') && address.contains('@') && !address.contains('/');
    let candidate = if is_mail { mail.as_str() } else { address };
    match super::safe_address(candidate) {
        Some(address) => out.push(Inline::Link {
            address: address.to_owned(),
            content,
        }),
        None => {
            for inline in content {
                match inline {
                    Inline::Text(text) => push_text(out, &text),
                    other => out.push(other),
                }
            }
            if !address.is_empty() {
                push_text(out, &format!(" ({address})"));
            }
        }
    }
}

/// The first word behind a fence, if it looks like the name of a language.
fn language(info: &str) -> Option<String> {
    let word = info.split([' ', ',', '{', '\t']).next()?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '+' | '#' | '-' | '.' | '_');
    (!word.is_empty() && word.len() <= 24 && word.chars().all(is_name)).then(|| word.to_owned())
}

const fn alignment(alignment: pulldown_cmark::Alignment) -> Alignment {
    match alignment {
        pulldown_cmark::Alignment::None => Alignment::Natural,
        pulldown_cmark::Alignment::Left => Alignment::Left,
        pulldown_cmark::Alignment::Center => Alignment::Centre,
        pulldown_cmark::Alignment::Right => Alignment::Right,
    }
}
