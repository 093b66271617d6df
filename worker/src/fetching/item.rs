//! An order under way.

use std::collections::VecDeque;

use model::download::Attempt;

use super::Order;
use crate::Host;
use crate::network::Buffer;

/// What the keeper has still to do for an order.
pub(super) enum Work<B> {
    /// Store bytes that begin at `start`.
    Save { start: u64, bytes: B },
    /// Forget what is stored.
    Forget,
    /// Take the whole.
    Take(B),
}

/// An order under way.
pub(super) struct Item<H: Host> {
    pub(super) url: String,
    pub(super) name: String,
    /// Whether a hash tells which bytes are the right ones.
    pub(super) has_hash: bool,
    /// Its length, as far as that is known.
    pub(super) bytes: u64,
    /// What is there of it; nothing before it is begun and behind its end.
    pub(super) buffer: Option<H::Buffer>,
    /// Bytes that are stored, or on their way there.
    pub(super) saved: u64,
    /// Bytes that were handed over and are here no more.
    pub(super) gone: u64,
    /// A body that is not read on before the keeper has taken what is there.
    pub(super) parked: Option<(Attempt, H::Body)>,
    /// To be done in this order, one after the other.
    pub(super) work: VecDeque<Work<H::Bytes>>,
    pub(super) is_kept: bool,
}

impl<H: Host> Item<H> {
    pub(super) fn new(order: Order<H::Buffer>) -> Self {
        Self {
            url: order.url,
            name: order.want.name,
            has_hash: order.want.has_hash,
            bytes: order.want.extent.bytes().unwrap_or(0),
            saved: order.want.held_bytes,
            buffer: order.held,
            gone: 0,
            parked: None,
            work: VecDeque::new(),
            is_kept: false,
        }
    }

    /// Throws away what is there, and has the keeper forget what it has.
    pub(super) fn forget(&mut self) {
        if let Some(buffer) = &mut self.buffer {
            buffer.clear();
        }
        self.gone = 0;
        self.work.retain(|work| matches!(work, Work::Forget));
        if std::mem::take(&mut self.saved) > 0 {
            self.work.push_back(Work::Forget);
        }
    }
}
