//! An answer in the making: accepted tokens, their text, and the batches in which both are sent.

use protocol::{Event, FinishReason, Generate, RequestId, Usage};

use crate::{Decoder, Host};

/// What is known of an answer.
pub(crate) struct Answer<D> {
    id: RequestId,
    max_tokens: u32,
    accepted: Vec<u32>,
    decoder: D,
    batch_text: String,
    batch_ids: Vec<u32>,
    sequence: u32,
    sent_at: f64,
    started_at: f64,
    first_token_at: Option<f64>,
    last_token_at: f64,
    n_resumed: usize,
}

impl<D: Decoder> Answer<D> {
    /// An answer to `job` that began at `now`. Tokens that the job resumes are accepted, but not sent again.
    pub(crate) fn new(id: RequestId, job: &Generate, mut decoder: D, now: f64) -> Self {
        for &token in &job.resume {
            // Its text was sent before; the decoder may keep the first bytes of a character.
            let _sent = decoder.push(token);
        }
        Self {
            id,
            max_tokens: job.max_tokens,
            accepted: job.resume.clone(),
            decoder,
            batch_text: String::new(),
            batch_ids: Vec::new(),
            sequence: 0,
            sent_at: f64::NEG_INFINITY,
            started_at: now,
            first_token_at: None,
            last_token_at: now,
            n_resumed: job.resume.len(),
        }
    }

    pub(crate) fn accepted(&self) -> &[u32] {
        &self.accepted
    }

    /// Tokens that were made here, without resumed ones.
    pub(crate) fn n_made(&self) -> usize {
        self.accepted.len() - self.n_resumed
    }

    /// Why nothing can follow behind `n_prompt` prompt tokens in a context of `context` tokens, if so.
    pub(crate) fn limit(&self, n_prompt: usize, context: u32) -> Option<FinishReason> {
        if self.max_tokens > 0 && self.accepted.len() >= self.max_tokens as usize {
            Some(FinishReason::Length)
        } else if n_prompt + self.accepted.len() >= context as usize {
            Some(FinishReason::Context)
        } else {
            None
        }
    }

    /// Takes a token that the model made at `now`.
    pub(crate) fn push(&mut self, token: u32, now: f64) {
        self.batch_text.push_str(&self.decoder.push(token));
        self.batch_ids.push(token);
        self.accepted.push(token);
        self.first_token_at.get_or_insert(now);
        self.last_token_at = now;
    }

    /// Sends what was collected if the last batch is `batch_millis` old. Returns the milliseconds until more is due, if
    /// something waits.
    pub(crate) fn send_due(&mut self, host: &impl Host, batch_millis: u32) -> Option<u32> {
        if self.batch_ids.is_empty() {
            return None;
        }
        let age = host.now() - self.sent_at;
        if age < f64::from(batch_millis) {
            return Some((f64::from(batch_millis) - age).ceil() as u32);
        }
        self.send(host);
        None
    }

    /// Sends what was collected, and keeps the bytes of a character that is not complete: whoever goes on has them too.
    pub(crate) fn send_all(&mut self, host: &impl Host) {
        if !self.batch_ids.is_empty() {
            self.send(host);
        }
    }

    fn send(&mut self, host: &impl Host) {
        host.post(Event::Tokens {
            id: self.id,
            sequence: self.sequence,
            text: std::mem::take(&mut self.batch_text),
            ids: std::mem::take(&mut self.batch_ids),
        });
        self.sequence += 1;
        self.sent_at = host.now();
    }

    /// Sends the rest. Nothing may be pushed behind this.
    pub(crate) fn finish(&mut self, host: &impl Host) {
        self.batch_text.push_str(&self.decoder.finish());
        if !self.batch_text.is_empty() || !self.batch_ids.is_empty() {
            self.send(host);
        }
    }

    /// Counts and speed, for a prompt of `n_prompt` tokens.
    pub(crate) fn usage(&self, n_prompt: usize) -> Usage {
        let n_made = self.n_made();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let seconds =
            (self.last_token_at - self.first_token_at.unwrap_or(self.last_token_at)) / 1000.0;
        Usage {
            prompt_tokens: count(n_prompt),
            answer_tokens: count(self.accepted.len()),
            first_token_millis: self.first_token_at.map_or(0.0, |at| at - self.started_at),
            tokens_per_second: if n_made >= 2 && seconds > 0.0 {
                (n_made - 1) as f64 / seconds
            } else {
                0.0
            },
            context_tokens: count(n_prompt + self.accepted.len()),
        }
    }
}
