//! Markdown as a model writes it, read into a tree of plain values.
//!
//! Model output is hostile until proven otherwise, so nothing here can hold markup: the tree has text, and the views make
//! elements from its types. Raw HTML stays text, images are never loaded, and only addresses that [`safe_address`] lets
//! through become links. Depth, length and number of parts are bounded: what is beyond is shown as plain text.

mod address;
mod bare;
mod build;
mod settle;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use address::safe_address;

/// Longest text that is read as Markdown, in bytes; a longer one is shown as it is.
pub const MAX_BYTES: usize = 200_000;
/// How deep containers (quotes, lists) and spans may nest; deeper ones are flattened into the deepest allowed.
pub const MAX_DEPTH: usize = 16;
/// Most parts of a text; one with more (a table of a thousand columns) is shown as it is.
pub const MAX_EVENTS: usize = 40_000;

/// A part of a text that stands on its own lines. Shared, so that what has not changed is compared and kept cheaply.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A heading of level 1 to 6.
    Heading(u8, Vec<Inline>),
    /// A paragraph.
    Paragraph(Vec<Inline>),
    /// A line of a list whose lines stand close together.
    Line(Vec<Inline>),
    /// A list.
    List(List),
    /// A table.
    Table(Table),
    /// A quotation.
    Quote(Vec<Arc<Block>>),
    /// A block of code.
    Code {
        /// First word behind the fence, as written.
        language: Option<String>,
        /// The code, without the last line break.
        text: String,
    },
    /// Text that is shown exactly as it is: raw HTML, or something too large to be read.
    Verbatim(String),
    /// A line across.
    Rule,
}

/// A list.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// First number; absent when the items have none.
    pub start: Option<u64>,
    /// Its items.
    pub items: Vec<Arc<Item>>,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Whether a task is done; absent when the item is no task.
    pub task: Option<bool>,
    /// What it holds.
    pub blocks: Vec<Arc<Block>>,
}

/// A table. Every row has as many cells as there are alignments.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// How each column is aligned.
    pub alignments: Vec<Alignment>,
    /// Cells of the head.
    pub head: Vec<Vec<Inline>>,
    /// The rows, each a list of cells.
    pub rows: Vec<Vec<Vec<Inline>>>,
}

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// As the language has it.
    Natural,
    /// To the left.
    Left,
    /// Centred.
    Centre,
    /// To the right.
    Right,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Inline {
    /// Text.
    Text(String),
    /// Code.
    Code(String),
    /// Emphasis.
    Emphasis(Vec<Inline>),
    /// Strong emphasis.
    Strong(Vec<Inline>),
    /// Struck out.
    Strikethrough(Vec<Inline>),
    /// A link to an address that [`safe_address`] let through.
    Link {
        /// The address.
        address: String,
        /// What is shown.
        content: Vec<Inline>,
    },
    /// An image, which is never loaded.
    Image {
        /// Its description.
        alt: String,
        /// Where it would be.
        address: String,
    },
    /// A line break.
    Break,
}

/// Reads a complete text.
#[must_use]
pub fn parse(text: &str) -> Vec<Arc<Block>> {
    build::build(text, false)
}

/// Reads a text that is still growing: what its last line will be is not known yet, so marks that could still become
/// anything are held back and open ones are closed. Nothing jumps when the rest arrives.
#[must_use]
pub fn parse_growing(text: &str) -> Vec<Arc<Block>> {
    build::build(&settle::settle(text), true)
}
