//! Which part of a conversation the model gets when all of it does not fit its context.
//!
//! The policy: the system prompt and the last question always stay; of what is between, whole pairs of question and answer
//! are left out, oldest first, as few as possible, until the prompt and a reserve for the answer fit. It depends on nothing
//! but the messages, the context and the longest length of the answer, so an answer that goes on after a crash sees the
//! same prompt.

use protocol::{Fault, FaultCode, Message, Role};

/// Content bytes per token of context up to which the whole conversation is tried first.
const USUAL_BYTES_PER_TOKEN: usize = 4;

/// What is left of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fitted {
    /// Token ids of the prompt.
    pub(crate) prompt: Vec<u32>,
    /// Number of messages that were left out.
    pub(crate) left_out: usize,
}

/// Positions that are kept free for the answer: what it may need, but at most a quarter of the context.
pub(crate) fn reserve(context: u32, max_tokens: u32) -> u32 {
    let quarter = (context / 4).max(1);
    match max_tokens {
        0 => quarter,
        most => most.min(quarter),
    }
}

/// Fits `messages` into `context` tokens. `encode` makes a prompt of some of them; fewer messages make a shorter one.
///
/// # Errors
/// [`FaultCode::PromptTooLong`] when the last question does not fit even alone, and what `encode` gives.
pub(crate) fn fit(
    messages: &[Message],
    context: u32,
    max_tokens: u32,
    mut encode: impl FnMut(&[Message]) -> Result<Vec<u32>, Fault>,
) -> Result<Fitted, Fault> {
    let reserve = reserve(context, max_tokens);
    let room = context.saturating_sub(reserve) as usize;
    let n_system =
        usize::from(matches!(messages.first(), Some(first) if first.role == Role::System));
    let (system, turns) = messages.split_at(n_system);
    let starts = starts(turns);
    let mut attempt = |index: usize| -> Result<Fitted, Fault> {
        let left_out = starts[index];
        let prompt = encode(&[system, &turns[left_out..]].concat())?;
        Ok(Fitted { prompt, left_out })
    };
    let fits = |fitted: &Fitted| fitted.prompt.len() <= room;

    // The usual case: a conversation that fits.
    let content_bytes: usize = messages.iter().map(|message| message.content.len()).sum();
    if content_bytes <= USUAL_BYTES_PER_TOKEN * context as usize {
        let whole = attempt(0)?;
        if fits(&whole) {
            return Ok(whole);
        }
    }
    let last = starts.len() - 1;
    let mut best = attempt(last)?;
    if !fits(&best) {
        let needed = best.prompt.len();
        let detail = format!(
            "the last question needs {needed} tokens with the system prompt: the context of {context} holds {room} beside {reserve} for the answer"
        );
        return Err(Fault::new(FaultCode::PromptTooLong, detail));
    }
    // From the end in growing steps, then by halves: never far more is tokenised than fits, however long the past is.
    let (mut kept, mut step, mut too_many) = (last, 1, None);
    while kept > 0 {
        let index = kept.saturating_sub(step);
        let next = attempt(index)?;
        if !fits(&next) {
            too_many = Some(index);
            break;
        }
        (kept, best) = (index, next);
        step *= 2;
    }
    let mut low = too_many.unwrap_or(kept);
    while kept > low + 1 {
        let middle = low.midpoint(kept);
        let next = attempt(middle)?;
        if fits(&next) {
            (kept, best) = (middle, next);
        } else {
            low = middle;
        }
    }
    Ok(best)
}

/// Where the kept part may start: at the beginning, and at each question behind it.
fn starts(turns: &[Message]) -> Vec<usize> {
    let questions = turns
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, message)| message.role == Role::User)
        .map(|(index, _)| index);
    std::iter::once(0).chain(questions).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::cell::Cell;

    use super::{Fitted, fit, reserve};
    use proptest::prelude::*;
    use protocol::{Fault, FaultCode, Message, Role};

    /// A template of two tokens a message, and a token a byte; ids tell what was kept.
    fn encode(messages: &[Message]) -> Result<Vec<u32>, Fault> {
        let tokens = messages.iter().flat_map(|message| {
            let role = 1000 + message.role as u32;
            [role, role]
                .into_iter()
                .chain(message.content.bytes().map(u32::from))
        });
        Ok(tokens.collect())
    }

    fn conversation(lengths: &[usize], system: Option<usize>) -> Vec<Message> {
        let text = |n: usize| "x".repeat(n);
        let system = system.map(|n| Message::new(Role::System, text(n)));
        let turns = lengths.iter().enumerate().map(|(index, &n)| {
            let role = if index % 2 == 0 {
                Role::User
            } else {
                Role::Assistant
            };
            Message::new(role, text(n))
        });
        system.into_iter().chain(turns).collect()
    }

    #[test]
    fn the_oldest_pairs_go_first() {
        // Lengths of question, answer, question, ...; system prompt; context; longest answer; messages left out.
        type Case = (&'static [usize], Option<usize>, u32, u32, Result<usize, ()>);
        let cases: [Case; 13] = [
            (&[8], None, 40, 0, Ok(0)),
            (&[28], None, 40, 0, Ok(0)),
            (&[29], None, 40, 0, Err(())),
            (&[29], None, 40, 9, Ok(0)),
            (&[30], None, 40, 9, Err(())),
            (&[18], Some(8), 40, 0, Ok(0)),
            (&[19], Some(8), 40, 0, Err(())),
            (&[8, 8, 8], None, 40, 0, Ok(0)),
            (&[9, 8, 8], None, 40, 0, Ok(2)),
            (&[8, 8, 8, 8, 8], None, 40, 0, Ok(2)),
            (&[1, 1, 8, 8, 8], None, 40, 0, Ok(2)),
            (&[8, 8, 1, 1, 8], Some(8), 40, 0, Ok(2)),
            (&[1, 1, 1, 1, 1, 1, 28], None, 40, 0, Ok(6)),
        ];
        for (lengths, system, context, max_tokens, expected) in cases {
            let messages = conversation(lengths, system);
            let fitted = fit(&messages, context, max_tokens, encode);
            let got = fitted
                .as_ref()
                .map(|fitted| fitted.left_out)
                .map_err(|_| ());
            assert_eq!(
                got, expected,
                "{lengths:?} {system:?} {context} {max_tokens}"
            );
            if let Err(fault) = fitted {
                assert_eq!(fault.code, FaultCode::PromptTooLong);
                assert!(fault.detail.contains("of 40 holds 3"), "{fault}");
            }
        }
    }

    #[test]
    fn the_reserve_is_at_most_a_quarter() {
        for (context, max_tokens, expected) in [
            (4096, 0, 1024),
            (4096, 256, 256),
            (4096, 4000, 1024),
            (3, 0, 1),
            (3, 9, 1),
        ] {
            assert_eq!(reserve(context, max_tokens), expected);
        }
    }

    #[test]
    fn a_very_long_past_costs_no_more_than_the_context() {
        let messages = conversation(&[20; 20_001], Some(10));
        let n_encoded = Cell::new(0);
        let fitted = fit(&messages, 400, 0, |kept| {
            let tokens = encode(kept)?;
            n_encoded.set(n_encoded.get() + tokens.len());
            Ok(tokens)
        })
        .unwrap();
        assert_eq!(fitted.prompt.len(), 12 + 22 * 13, "300 fit, a pair is 44");
        assert!(n_encoded.get() < 400 * 10, "{} tokens", n_encoded.get());
    }

    proptest! {
        #[test]
        fn what_is_left_is_a_suffix_of_whole_pairs_and_as_long_as_possible(
            mut lengths in proptest::collection::vec(0usize..60, 1..40),
            system in proptest::option::of(0usize..30),
            context in 4u32..600,
            max_tokens in prop_oneof![Just(0u32), 1u32..400],
        ) {
            if lengths.len() % 2 == 0 {
                lengths.pop();
            }
            let messages = conversation(&lengths, system);
            let n_system = usize::from(system.is_some());
            let room = (context - reserve(context, max_tokens)) as usize;
            let keep = |left_out: usize| {
                encode(&[&messages[..n_system], &messages[n_system + left_out..]].concat()).unwrap()
            };
            match fit(&messages, context, max_tokens, encode) {
                Ok(Fitted { prompt, left_out }) => {
                    prop_assert_eq!(left_out % 2, 0);
                    prop_assert_eq!(&prompt, &keep(left_out));
                    prop_assert!(prompt.len() <= room);
                    prop_assert!(left_out == 0 || keep(left_out - 2).len() > room);
                }
                Err(fault) => {
                    prop_assert_eq!(fault.code, FaultCode::PromptTooLong);
                    prop_assert!(keep(lengths.len() - 1).len() > room);
                }
            }
        }
    }
}
