//! From the tree of a text to elements. Each kind of node becomes an element of its own; text becomes text nodes. There is
//! no way from a model's words to markup.

use std::sync::Arc;

use app::markdown::{Alignment, Block, Inline, Item, List, Table};
use app::strings;
use leptos::ev::MouseEvent;
use leptos::prelude::*;

use super::{CopyButton, CopyStyle, Icon, Shape};
use crate::page::Page;
use crate::views::use_ui;

/// A text that does not change any more.
#[component]
pub(crate) fn Markdown(page: Page, blocks: Vec<Arc<Block>>) -> impl IntoView {
    view! { <div class="markdown">{many(page, &blocks)}</div> }
}

/// A text that grows: what is finished keeps its elements, only the last block (of the last item of a list) is made anew.
#[component]
pub(crate) fn LiveMarkdown(page: Page, blocks: Memo<Vec<Arc<Block>>>) -> impl IntoView {
    view! { <div class="markdown">{live(page, blocks)}</div> }
}

/// What an element can keep while its block grows.
#[derive(Clone, PartialEq)]
enum Kind {
    /// A block of code, by its language.
    Code(Option<String>),
    /// A list, by its first number.
    List(Option<u64>),
    /// Anything else is made anew.
    Other,
}

fn kind(block: Option<&Block>) -> Kind {
    match block {
        Some(Block::Code { language, .. }) => Kind::Code(language.clone()),
        Some(Block::List(list)) => Kind::List(list.start),
        _ => Kind::Other,
    }
}

fn live(page: Page, blocks: Memo<Vec<Arc<Block>>>) -> AnyView {
    view! {
        <For
            each=move || 0..blocks.with(Vec::len)
            key=|index| *index
            children=move |index| {
                let block = Memo::new(move |_| blocks.with(|blocks| blocks.get(index).cloned()));
                live_block(page, block)
            }
        />
    }
    .into_any()
}

fn live_block(page: Page, block: Memo<Option<Arc<Block>>>) -> impl IntoView {
    let kind = Memo::new(move |_| block.with(|block| kind(block.as_deref())));
    move || match kind.get() {
        Kind::Code(language) => {
            let text = Memo::new(move |_| {
                block.with(|block| match block.as_deref() {
                    Some(Block::Code { text, .. }) => text.clone(),
                    _ => String::new(),
                })
            });
            code(page, language, text.into()).into_any()
        }
        Kind::List(start) => live_list(page, start, block).into_any(),
        // A closure of its own: one that reads both memos misses changes of the block that leave its kind as it was.
        Kind::Other => (move || block.get().map(|block| one(page, &block))).into_any(),
    }
}

fn live_list(page: Page, start: Option<u64>, block: Memo<Option<Arc<Block>>>) -> AnyView {
    let items = Memo::new(move |_| {
        block.with(|block| match block.as_deref() {
            Some(Block::List(list)) => list.items.clone(),
            _ => Vec::new(),
        })
    });
    let each = view! {
        <For
            each=move || 0..items.with(Vec::len)
            key=|index| *index
            children=move |index| {
                let item = move || items.with(|items| items.get(index).cloned());
                let task = Memo::new(move |_| item().and_then(|item| item.task));
                let blocks = Memo::new(move |_| item().map(|item| item.blocks.clone()).unwrap_or_default());
                view! {
                    <li class:task=move || task.get().is_some()>
                        {move || task.get().map(checkbox)} {live(page, blocks)}
                    </li>
                }
            }
        />
    };
    list_element(start, each.into_any())
}

fn many(page: Page, blocks: &[Arc<Block>]) -> Vec<AnyView> {
    blocks.iter().map(|block| one(page, block)).collect()
}

fn one(page: Page, block: &Block) -> AnyView {
    match block {
        Block::Heading(level, inlines) => heading(*level, spans(inlines)),
        Block::Paragraph(inlines) => view! { <p dir="auto">{spans(inlines)}</p> }.into_any(),
        Block::Line(inlines) => view! { <span dir="auto">{spans(inlines)}</span> }.into_any(),
        Block::List(List { start, items }) => {
            let items: Vec<_> = items.iter().map(|item| list_item(page, item)).collect();
            list_element(*start, items.into_any())
        }
        Block::Table(parts) => table(parts),
        Block::Quote(blocks) => {
            view! { <blockquote dir="auto">{many(page, blocks)}</blockquote> }.into_any()
        }
        Block::Code { language, text } => {
            code(page, language.clone(), Signal::stored(text.clone())).into_any()
        }
        Block::Verbatim(text) => {
            view! { <p class="verbatim" dir="auto">{text.clone()}</p> }.into_any()
        }
        Block::Rule => view! { <hr /> }.into_any(),
    }
}

/// Headings of an answer stand below the page's only first one, the chat's title, whatever the model wrote; their look tells
/// the level.
fn heading(level: u8, content: Vec<AnyView>) -> AnyView {
    match level {
        1 => view! { <h2 class="level-1" dir="auto">{content}</h2> }.into_any(),
        2 => view! { <h3 class="level-2" dir="auto">{content}</h3> }.into_any(),
        3 => view! { <h4 class="level-3" dir="auto">{content}</h4> }.into_any(),
        4 => view! { <h5 class="level-4" dir="auto">{content}</h5> }.into_any(),
        _ => view! { <h6 class="level-4" dir="auto">{content}</h6> }.into_any(),
    }
}

fn list_element(start: Option<u64>, items: AnyView) -> AnyView {
    match start {
        Some(start) => view! { <ol start=start.to_string()>{items}</ol> }.into_any(),
        None => view! { <ul>{items}</ul> }.into_any(),
    }
}

fn list_item(page: Page, item: &Item) -> AnyView {
    view! {
        <li class:task=item.task.is_some()>{item.task.map(checkbox)} {many(page, &item.blocks)}</li>
    }
    .into_any()
}

fn checkbox(is_done: bool) -> AnyView {
    view! { <input type="checkbox" disabled=true checked=is_done aria-label=strings::TASK /> }
        .into_any()
}

fn table(parts: &Table) -> AnyView {
    let class = |column: usize| match parts.alignments.get(column) {
        Some(Alignment::Centre) => "centre",
        Some(Alignment::Right) => "right",
        _ => "left",
    };
    let head: Vec<_> = parts
        .head
        .iter()
        .enumerate()
        .map(|(column, cell)| view! { <th scope="col" class=class(column) dir="auto">{spans(cell)}</th> })
        .collect();
    let row = |cells: &Vec<Vec<Inline>>| {
        let cells: Vec<_> = cells
            .iter()
            .enumerate()
            .map(|(column, cell)| view! { <td class=class(column) dir="auto">{spans(cell)}</td> })
            .collect();
        view! { <tr>{cells}</tr> }
    };
    let rows: Vec<_> = parts.rows.iter().map(row).collect();
    view! {
        <div class="table" tabindex="0" role="group" aria-label=strings::TABLE>
            <table>
                <thead>
                    <tr>{head}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn code(page: Page, language: Option<String>, text: Signal<String>) -> impl IntoView {
    let label = language.unwrap_or_else(|| strings::CODE.to_owned());
    view! {
        <figure class="code">
            <figcaption>
                <span>{label.clone()}</span>
                <CopyButton
                    page
                    label=strings::COPY_CODE
                    style=CopyStyle::Word
                    text=move || text.get_untracked()
                />
            </figcaption>
            <pre tabindex="0" role="group" aria-label=label>
                <code>{move || text.get()}</code>
            </pre>
        </figure>
    }
}

fn spans(inlines: &[Inline]) -> Vec<AnyView> {
    inlines.iter().map(span).collect()
}

fn span(inline: &Inline) -> AnyView {
    match inline {
        Inline::Text(text) => text.clone().into_any(),
        Inline::Code(text) => view! { <code>{text.clone()}</code> }.into_any(),
        Inline::Emphasis(inner) => view! { <em>{spans(inner)}</em> }.into_any(),
        Inline::Strong(inner) => view! { <strong>{spans(inner)}</strong> }.into_any(),
        Inline::Strikethrough(inner) => view! { <del>{spans(inner)}</del> }.into_any(),
        Inline::Link { address, content } => link(address.clone(), spans(content)),
        Inline::Image { alt, address } => image(alt, address),
        Inline::Break => view! { <br /> }.into_any(),
    }
}

/// A link asks before it opens. Its address is shown by the browser's own means, too.
fn link(address: String, content: Vec<AnyView>) -> AnyView {
    let ui = use_ui();
    let asked = address.clone();
    let ask = move |event: MouseEvent| {
        event.prevent_default();
        ui.link.set(Some(asked.clone()));
    };
    let ask_too = ask.clone();
    view! {
        <a
            href=address.clone()
            title=address
            target="_blank"
            rel="noreferrer noopener"
            on:click=ask
            on:auxclick=ask_too
        >
            {content}
        </a>
    }
    .into_any()
}

/// A picture is named, never loaded: its address alone could carry words of the conversation away.
fn image(alt: &str, address: &str) -> AnyView {
    let name = if alt.trim().is_empty() {
        strings::IMAGE.to_owned()
    } else {
        alt.to_owned()
    };
    view! {
        <span class="picture">
            <Icon shape=Shape::Link />
            <span>{name}</span>
            <span class="faint">{address.to_owned()}</span>
        </span>
    }
    .into_any()
}
