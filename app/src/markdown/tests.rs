//! What a model may write, and what must not come of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Alignment, Block, Inline, MAX_BYTES, MAX_DEPTH, parse, parse_growing};

fn text(words: &str) -> Inline {
    Inline::Text(words.to_owned())
}

fn only(source: &str) -> Block {
    let blocks = parse(source);
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    (*blocks[0]).clone()
}

/// All links of a tree, and all of its words.
fn walk(blocks: &[Arc<Block>], links: &mut Vec<String>, words: &mut String) {
    for block in blocks {
        match &**block {
            Block::Heading(_, inlines) | Block::Paragraph(inlines) | Block::Line(inlines) => {
                walk_inlines(inlines, links, words);
            }
            Block::Quote(inner) => walk(inner, links, words),
            Block::List(list) => {
                for item in &list.items {
                    walk(&item.blocks, links, words);
                }
            }
            Block::Table(table) => {
                for cell in table.head.iter().chain(table.rows.iter().flatten()) {
                    walk_inlines(cell, links, words);
                }
            }
            Block::Code { text, .. } | Block::Verbatim(text) => *words += text,
            Block::Rule => {}
        }
        words.push('\n');
    }
}

fn walk_inlines(inlines: &[Inline], links: &mut Vec<String>, words: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(text) | Inline::Code(text) => *words += text,
            Inline::Emphasis(inner) | Inline::Strong(inner) | Inline::Strikethrough(inner) => {
                walk_inlines(inner, links, words);
            }
            Inline::Link { address, content } => {
                links.push(address.clone());
                walk_inlines(content, links, words);
            }
            Inline::Image { alt, address } => *words += &format!("{alt} {address}"),
            Inline::Break => words.push('\n'),
        }
    }
}

fn links_and_words(source: &str) -> (Vec<String>, String) {
    let (mut links, mut words) = (Vec::new(), String::new());
    walk(&parse(source), &mut links, &mut words);
    (links, words)
}

fn depth(blocks: &[Arc<Block>]) -> usize {
    let deepest = blocks.iter().map(|block| match &**block {
        Block::Quote(inner) => 1 + depth(inner),
        Block::List(list) => {
            1 + list
                .items
                .iter()
                .map(|item| depth(&item.blocks))
                .max()
                .unwrap_or(0)
        }
        _ => 1,
    });
    deepest.max().unwrap_or(0)
}

#[test]
fn each_kind_of_block_is_read() {
    assert_eq!(only("## Two"), Block::Heading(2, vec![text("Two")]));
    assert_eq!(only("a\nb"), Block::Paragraph(vec![text("a\nb")]));
    assert_eq!(only("---"), Block::Rule);
    assert_eq!(
        only("```rust,ignore\nfn main() {}\n```"),
        Block::Code {
            language: Some("rust".to_owned()),
            text: "fn main() {}".to_owned()
        }
    );
    let Block::List(list) = only("3. a\n4. b\n   - [x] done\n   - [ ] open") else {
        panic!("a list");
    };
    assert_eq!((list.start, list.items.len()), (Some(3), 2));
    assert_eq!(*list.items[0].blocks[0], Block::Line(vec![text("a")]));
    let Block::List(tasks) = &*list.items[1].blocks[1] else {
        panic!("a nested list");
    };
    let marks: Vec<_> = tasks.items.iter().map(|item| item.task).collect();
    assert_eq!(marks, [Some(true), Some(false)]);
    assert_eq!(list.items[1].task, None);
    let Block::Table(table) = only("| a | b |\n|:-:|--:|\n| 1 | 2 |\n| 3 |") else {
        panic!("a table");
    };
    assert_eq!(table.alignments, [Alignment::Centre, Alignment::Right]);
    assert_eq!(table.head, [vec![text("a")], vec![text("b")]]);
    assert_eq!(table.rows[0], [vec![text("1")], vec![text("2")]]);
    assert_eq!(table.rows[1], [vec![text("3")], vec![]]);
}

#[test]
fn each_kind_of_span_is_read() {
    assert_eq!(
        only("a *b* **c** ~~d~~ `e` [f](https://example.org)  \n<https://g.example> &amp;"),
        Block::Paragraph(vec![
            text("a "),
            Inline::Emphasis(vec![text("b")]),
            text(" "),
            Inline::Strong(vec![text("c")]),
            text(" "),
            Inline::Strikethrough(vec![text("d")]),
            text(" "),
            Inline::Code("e".to_owned()),
            text(" "),
            Inline::Link {
                address: "https://example.org".to_owned(),
                content: vec![text("f")]
            },
            Inline::Break,
            Inline::Link {
                address: "https://g.example".to_owned(),
                content: vec![text("https://g.example")]
            },
            text(" &"),
        ])
    );
}

#[test]
fn an_address_without_marks_becomes_a_link_that_shows_it() {
    for (source, addresses) in [
        (
            "see https://a.example/b_c_d.",
            &["https://a.example/b_c_d"][..],
        ),
        (
            "**https://a.example** *(http://b.example)*",
            &["https://a.example", "http://b.example"],
        ),
        (
            "- https://a.example\n- x https://b.example y",
            &["https://a.example", "https://b.example"],
        ),
        (
            "| a |\n|---|\n| https://a.example |",
            &["https://a.example"],
        ),
        // Neither inside a link nor inside code, and never to another place than the words say.
        (
            "[https://a.example](https://b.example)",
            &["https://b.example"],
        ),
        (
            "[**https://a.example**](https://b.example)",
            &["https://b.example"],
        ),
        ("`https://a.example`\n\n    https://b.example", &[]),
        (
            "<img src=https://a.example/x.png> javascript:https://b.example",
            &[],
        ),
    ] {
        let (links, words) = links_and_words(source);
        assert_eq!(links, addresses, "{source}");
        assert!(words.contains("a.example"), "{source} became {words}");
    }
    let growing = |text: &str| {
        let mut links = Vec::new();
        walk(&parse_growing(text), &mut links, &mut String::new());
        links
    };
    assert_eq!(
        growing("- https://a.org\n- see https://a.or"),
        ["https://a.org"]
    );
    assert_eq!(growing("- **https://a.or"), [""; 0]);
    assert_eq!(growing("see https://a.org "), ["https://a.org"]);
}

#[test]
fn markup_stays_text() {
    for source in [
        "<script>alert(1)</script>",
        "<img src=http://evil.example/a.png onerror=alert(1)>",
        "a <b onclick=alert(1)>bold</b> word",
        "<svg/onload=alert(1)>",
        "<!-- <img src=x> -->",
        "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
        "| <img src=x> |\n|--|\n| <script>x</script> |",
    ] {
        let (links, words) = links_and_words(source);
        assert_eq!(links, [""; 0], "{source}");
        let tag = source.find('<').map(|at| &source[at..=at + 3]).unwrap();
        assert!(words.contains(tag), "{source} became {words}");
    }
}

#[test]
fn hostile_links_stay_text_and_show_their_address() {
    for source in [
        "[x](javascript:alert(1))",
        "[x](JAVASCRIPT:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](data:text/html,hi)",
        "[x](<java\tscript:alert(1)>)",
        "<javascript:alert(1)>",
        "[x][1]\n\n[1]: javascript:alert(1)",
        "[x](//evil.example/a)",
        "[x](/settings)",
    ] {
        let (links, words) = links_and_words(source);
        assert_eq!(links, [""; 0], "{source}");
        assert!(words.contains('('), "{source} became {words}");
    }
}

#[test]
fn images_are_named_not_loaded() {
    assert_eq!(
        only("![a *cat*](http://evil.example/?q=secret)"),
        Block::Paragraph(vec![Inline::Image {
            alt: "a cat".to_owned(),
            address: "http://evil.example/?q=secret".to_owned()
        }])
    );
    // An image inside a link is still no image.
    let (links, words) = links_and_words("[![a](http://b.example)](https://c.example)");
    assert_eq!(links, ["https://c.example"]);
    assert!(words.contains("http://b.example"), "{words}");
}

#[test]
fn depth_is_bounded_and_no_word_is_lost() {
    for source in [
        format!("{}end", ">".repeat(10_000)),
        format!("{}end", "> - ".repeat(5_000)),
        format!("{}end", "- ".repeat(10_000)),
        (0..400)
            .map(|n| format!("{}- end\n", " ".repeat(2 * n)))
            .collect(),
    ] {
        let blocks = parse(&source);
        assert!(depth(&blocks) <= MAX_DEPTH + 2, "{}", depth(&blocks));
        assert!(links_and_words(&source).1.contains("end"));
    }
    let spans = format!("{}end{}", "*a **b ".repeat(500), "** *".repeat(500));
    assert!(links_and_words(&spans).1.contains("end"));
}

#[test]
fn time_is_bounded() {
    for source in [
        "a".repeat(5_000_000),
        "> ".repeat(MAX_BYTES / 2),
        "[".repeat(MAX_BYTES),
        "*".repeat(MAX_BYTES),
        "[a](".repeat(MAX_BYTES / 4),
        "<a ".repeat(MAX_BYTES / 3),
        "`".repeat(MAX_BYTES),
        "https://".repeat(MAX_BYTES / 8),
        ",https://a.b".repeat(MAX_BYTES / 12),
        format!("https://a.b{}", ")".repeat(MAX_BYTES - 11)),
        "- a\n".repeat(MAX_BYTES / 4),
        // A thousand columns, a thousand rows: a million cells out of a few kilobytes.
        format!(
            "{}\n{}\n{}",
            "|a".repeat(20_000),
            "|-".repeat(20_000),
            "|\n".repeat(20_000)
        ),
    ] {
        let start = Instant::now();
        let _parsed = links_and_words(&source);
        // Far above what it takes (milliseconds), far below what a quadratic reader would need.
        assert!(start.elapsed() < Duration::from_secs(5), "{:.20}", source);
    }
}

#[test]
fn only_the_last_block_changes_while_a_text_grows() {
    let whole = "# Title\n\nA **bold** claim with `code`.\n\n- one\n- two\n  1. three\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nfn main() {}\n```\n\nSee https://example.org/a or the [end](https://example.org).";
    let mut before: Vec<Arc<Block>> = Vec::new();
    for (at, _) in whole.char_indices().skip(1) {
        let now = parse_growing(&whole[..at]);
        let settled = before.len().saturating_sub(1);
        assert!(now.len() >= settled, "{:?}", &whole[..at]);
        assert_eq!(now[..settled], before[..settled], "{:?}", &whole[..at]);
        before = now;
    }
}

#[test]
fn no_mark_of_a_growing_text_is_shown() {
    let whole = "# T\n\nSome **bold** and `code` here.\n\n* one\n* two\n\n1. a\n2. b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n~~~\nlet a = 1;\n~~~\n";
    for (at, _) in whole.char_indices() {
        let (_, mut words) = (Vec::<String>::new(), String::new());
        walk(&parse_growing(&whole[..at]), &mut Vec::new(), &mut words);
        let marks = words.chars().filter(|c| "*#|`~".contains(*c)).count();
        assert_eq!(marks, 0, "{:?} shows {words:?}", &whole[..at]);
    }
}
