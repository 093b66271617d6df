//! Whether prefill and single steps choose alike, which tells of a kernel that is wrong where no check against the CPU looks.

use super::kernels::gpu;
use super::run::{CHECK_TOKENS, prefill_all, prompt};
use crate::{Error, Session};

/// Tokens after a prompt that both paths must choose alike; fewer where each takes seconds.
const CHECK_DECODED: u32 = 8;
const CHECK_DECODED_SOFTWARE: u32 = 2;

/// How many tokens are chosen by both.
fn n_decoded(session: &Session) -> Result<u32, Error> {
    let software = gpu(&session.executor)?.device().is_software();
    Ok(if software {
        CHECK_DECODED_SOFTWARE
    } else {
        CHECK_DECODED
    })
}

/// Whether prefill and single steps lead to the same greedy tokens.
pub(super) async fn same_tokens(session: &mut Session) -> Result<bool, Error> {
    let n_decoded = n_decoded(session)?;
    let n_tokens = CHECK_TOKENS
        .min(session.context().saturating_sub(n_decoded + 8))
        .max(1);
    let tokens = prompt(session, n_tokens);
    let mut answers = Vec::new();
    for by_prefill in [true, false] {
        session.truncate(0);
        if by_prefill {
            prefill_all(session, &tokens).await?;
        } else {
            session.replay(&tokens).await?;
        }
        let mut answer = Vec::new();
        for _ in 0..n_decoded {
            answer.push(session.next_token().await?);
        }
        answers.push(answer);
    }
    session.truncate(0);
    Ok(answers[0] == answers[1])
}

/// Whether single steps behind `context` tokens lead to the greedy token that prefill of all of them leads to.
pub(super) async fn agree_at(session: &mut Session, context: u32) -> Result<bool, Error> {
    let n_decoded = n_decoded(session)?;
    let mut tokens = prompt(session, context);
    prefill_all(session, &tokens).await?;
    for _ in 0..n_decoded {
        tokens.push(session.next_token().await?);
    }
    let last = session.next_token().await?;
    session.truncate(0);
    prefill_all(session, &tokens).await?;
    let agree = session.next_token().await? == last;
    session.truncate(context);
    Ok(agree)
}
