//! What the keeper is given to do.

use model::download::{Attempt, Event};

use super::super::Keeper;
use super::super::item::Work;
use super::{Done, Driver, Key, Task};
use crate::Host;
use crate::network::Buffer;

/// Bytes that may wait for a keeper that is handed all of them. Beyond them nothing is read: the server waits then.
const MAX_WAITING_BYTES: u64 = 1 << 20;

impl<'a, H: Host, K: Keeper<Bytes = H::Bytes>> Driver<'a, H, K> {
    /// Whether so much waits for the keeper that no more should come.
    pub(super) fn is_full(&self, index: usize) -> bool {
        let buffer = self.items[index].buffer.as_ref();
        let is_busy = self.tasks.iter().any(|(key, _)| *key == Key::Keeper(index));
        let waits = buffer.is_some_and(|buffer| buffer.len() >= MAX_WAITING_BYTES);
        self.keeper.hands_over() && is_busy && waits
    }

    /// Stores what has come of files that take long. One part of a file is on its way at a time: what comes meanwhile goes
    /// with the next one, so that a slow database makes parts larger instead of waiting ones more. A pause stores all.
    pub(super) fn save_parts(&mut self, part_bytes: u64) {
        if !self.keeper.is_saving() {
            return;
        }
        let hands_over = self.keeper.hands_over();
        let least = if self.machine.is_paused() {
            1
        } else {
            part_bytes
        };
        for (index, item) in self.items.iter_mut().enumerate() {
            let is_busy = self.tasks.iter().any(|(key, _)| *key == Key::Keeper(index));
            let Some(buffer) = item.buffer.as_mut() else {
                continue;
            };
            let (start, end) = (item.saved, item.gone + buffer.len());
            if is_busy || !item.work.is_empty() || end.saturating_sub(start) < least {
                continue;
            }
            item.saved = end;
            let bytes = if hands_over {
                item.gone = end;
                std::mem::replace(buffer, self.host.buffer(least)).finish()
            } else {
                buffer.tail(start)
            };
            item.work.push_back(Work::Save { start, bytes });
        }
    }

    /// A server whose body is not read can't be blamed for being silent: the keeper takes its time.
    pub(super) fn excuse_parked(&mut self) {
        let parked = self.items.iter().filter_map(|item| item.parked.as_ref());
        let attempts: Vec<Attempt> = parked.map(|(attempt, _)| *attempt).collect();
        for attempt in attempts {
            self.tell(Event::Came(attempt, 0));
        }
    }

    /// Gives the keeper what it has to do, one piece of work an order at a time.
    pub(super) fn put_keeper_to_work(&mut self) {
        for (index, item) in self.items.iter_mut().enumerate() {
            let key = Key::Keeper(index);
            if item.work.is_empty() || self.tasks.iter().any(|(other, _)| *other == key) {
                continue;
            }
            let Some(work) = item.work.pop_front() else {
                continue;
            };
            let keeper = self.keeper;
            let task: Task<'a, H> = match work {
                Work::Save { start, bytes } => Box::pin(async move {
                    let end = start + crate::Blob::len(&bytes);
                    Done::Saved(keeper.save(index, start, bytes).await.map(|()| end))
                }),
                Work::Forget => {
                    Box::pin(async move { Done::Forgotten(keeper.forget(index).await) })
                }
                Work::Take(bytes) => {
                    Box::pin(async move { Done::Taken(keeper.take(index, bytes).await) })
                }
            };
            self.tasks.push((key, task));
        }
    }
}
