//! What a tokenizer puts around every text: the `post_processor` entry of `tokenizer.json`, read into two lists of ids.
//!
//! It is read here and not run by the tokenizer crate because that one panics on a template that names a token it does
//! not define.

use serde_json::Value;

use crate::Error;

/// Ids in front of a text and behind it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) prefix: Vec<u32>,
    pub(crate) suffix: Vec<u32>,
}

impl Framing {
    /// Reads a `post_processor`.
    pub(crate) fn new(processor: &Value) -> Result<Framing, Error> {
        let mut framing = None;
        read(processor, &mut framing)?;
        Ok(framing.unwrap_or_default())
    }

    /// The largest id, if there is one.
    pub(crate) fn max_id(&self) -> Option<u32> {
        self.prefix.iter().chain(&self.suffix).copied().max()
    }
}

fn broken(detail: impl Into<String>) -> Error {
    Error::TokenizerJson {
        detail: format!("post_processor: {}", detail.into()),
    }
}

fn read(processor: &Value, framing: &mut Option<Framing>) -> Result<(), Error> {
    let found = match processor["type"].as_str() {
        // `ByteLevel` only trims offsets, which nobody reads here.
        Some("ByteLevel") => return Ok(()),
        None if processor.is_null() => return Ok(()),
        Some("Sequence") => {
            let steps = processor["processors"]
                .as_array()
                .ok_or_else(|| broken("a Sequence without processors"))?;
            for step in steps {
                if step["type"] == "Sequence" {
                    return Err(broken("a Sequence in a Sequence"));
                }
                read(step, framing)?;
            }
            return Ok(());
        }
        Some("TemplateProcessing") => template(processor)?,
        Some("BertProcessing" | "RobertaProcessing") => Framing {
            prefix: vec![id(&processor["cls"][1])?],
            suffix: vec![id(&processor["sep"][1])?],
        },
        Some(other) => return Err(broken(format!("unknown type {other}"))),
        None => return Err(broken("no type")),
    };
    match framing.replace(found) {
        None => Ok(()),
        Some(_) => Err(broken("more than one processor that adds tokens")),
    }
}

fn id(value: &Value) -> Result<u32, Error> {
    value
        .as_u64()
        .and_then(|id| u32::try_from(id).ok())
        .ok_or_else(|| broken(format!("{value} is no token id")))
}

/// The `single` template: special tokens around exactly one sequence A.
fn template(processor: &Value) -> Result<Framing, Error> {
    let mut framing = Framing::default();
    let mut seen_text = false;
    for piece in processor["single"]
        .as_array()
        .ok_or_else(|| broken("no template for a single text"))?
    {
        if let Some(name) = piece["SpecialToken"]["id"].as_str() {
            let ids = processor["special_tokens"][name]["ids"]
                .as_array()
                .ok_or_else(|| {
                    broken(format!(
                        "the template names {name}, which special_tokens does not define"
                    ))
                })?;
            let side = if seen_text {
                &mut framing.suffix
            } else {
                &mut framing.prefix
            };
            for value in ids {
                side.push(id(value)?);
            }
        } else if piece["Sequence"]["id"] == "A" && !seen_text {
            seen_text = true;
        } else {
            return Err(broken(format!(
                "unexpected piece {piece} in the template for a single text"
            )));
        }
    }
    if seen_text {
        Ok(framing)
    } else {
        Err(broken(
            "the template for a single text does not hold the text",
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn special(name: &str) -> Value {
        json!({"SpecialToken": {"id": name, "type_id": 0}})
    }

    #[test]
    fn known_processors_give_their_ids() {
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let tokens = json!({"<s>": {"id": "<s>", "ids": [1, 5], "tokens": ["<s>", "x"]}, "</s>": {"ids": [2]}});
        let template = json!({"type": "TemplateProcessing", "single": [special("<s>"), text, special("</s>")],
            "pair": [], "special_tokens": tokens});
        let both = Framing {
            prefix: vec![1, 5],
            suffix: vec![2],
        };
        assert_eq!(Framing::new(&template).unwrap(), both);
        let byte_level = json!({"type": "ByteLevel", "add_prefix_space": true});
        let sequence = json!({"type": "Sequence", "processors": [byte_level, template]});
        assert_eq!(Framing::new(&sequence).unwrap(), both);
        assert_eq!(Framing::new(&Value::Null).unwrap(), Framing::default());
        let roberta = json!({"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]});
        assert_eq!(
            Framing::new(&roberta).unwrap(),
            Framing {
                prefix: vec![0],
                suffix: vec![2]
            }
        );
    }

    #[test]
    fn others_are_refused() {
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let template = |single: Value| json!({"type": "TemplateProcessing", "single": single, "special_tokens": {}});
        let once = template(json!([text]));
        for processor in [
            json!({"type": "Sequence", "processors": [once, once]}),
            json!({"type": "Sequence", "processors": [{"type": "Sequence", "processors": []}]}),
            template(json!([])),
            template(json!([text, text])),
            template(json!([{"Sequence": {"id": "B", "type_id": 0}}])),
            template(json!([special("<s>"), text])),
            json!({"type": "Unheard"}),
            json!(3),
            json!({"type": "BertProcessing", "sep": ["x", -1], "cls": ["x", 1]}),
        ] {
            assert!(
                matches!(Framing::new(&processor), Err(Error::TokenizerJson { .. })),
                "{processor}"
            );
        }
    }
}
