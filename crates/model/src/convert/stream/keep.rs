//! Bytes that wait for others: in memory up to a limit, beyond it in the store.

use std::collections::{BTreeMap, BTreeSet};

use super::PackageStore;
use super::collect::{Place, Slot};

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    /// A read of a step that lacks others.
    Read(Slot),
    /// A piece, by tensor and number, of a shard that lacks others.
    Piece(usize, usize),
}

#[derive(Debug)]
struct Item {
    /// Where in the source the wait ends.
    due: Place,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Here(Vec<u8>),
    /// Its number in the store.
    Aside(u32),
}

/// The bytes that wait.
#[derive(Debug, Default)]
pub(super) struct Keep {
    items: BTreeMap<Kept, Item>,
    /// The items in memory, by the end of their wait.
    here: BTreeSet<(Place, Kept)>,
    here_bytes: u64,
    n_aside: u32,
    aside_bytes: u64,
}

impl Keep {
    /// Keeps bytes until `due`.
    pub(super) fn insert(&mut self, what: Kept, due: Place, bytes: Vec<u8>) {
        self.here_bytes += bytes.len() as u64;
        self.here.insert((due, what));
        let held = Held::Here(bytes);
        self.items.insert(what, Item { due, held });
    }

    /// Bytes in memory.
    pub(super) fn here_bytes(&self) -> u64 {
        self.here_bytes
    }

    /// Bytes that were put into the store so far.
    pub(super) fn aside_bytes(&self) -> u64 {
        self.aside_bytes
    }

    /// Puts what is needed last into the store until at most `limit` bytes are in memory.
    pub(super) async fn shrink<K: PackageStore>(
        &mut self,
        store: &mut K,
        limit: u64,
    ) -> Result<(), K::Error> {
        while self.here_bytes > limit {
            let Some((_, what)) = self.here.pop_last() else {
                return Ok(());
            };
            let Some(item) = self.items.get_mut(&what) else {
                continue;
            };
            let number = self.n_aside;
            self.n_aside += 1;
            if let Held::Here(bytes) = std::mem::replace(&mut item.held, Held::Aside(number)) {
                self.here_bytes -= bytes.len() as u64;
                self.aside_bytes += bytes.len() as u64;
                store.put_aside(number, bytes).await?;
            }
        }
        Ok(())
    }

    /// The bytes; with `is_last` they are kept no longer. Nothing if they are not kept.
    pub(super) async fn get<K: PackageStore>(
        &mut self,
        store: &mut K,
        what: Kept,
        is_last: bool,
    ) -> Result<Vec<u8>, K::Error> {
        if !is_last {
            return match self.items.get(&what).map(|item| &item.held) {
                Some(Held::Here(bytes)) => Ok(bytes.clone()),
                Some(Held::Aside(number)) => store.read_aside(*number).await,
                None => Ok(Vec::new()),
            };
        }
        let Some(item) = self.items.remove(&what) else {
            return Ok(Vec::new());
        };
        match item.held {
            Held::Here(bytes) => {
                self.here.remove(&(item.due, what));
                self.here_bytes -= bytes.len() as u64;
                Ok(bytes)
            }
            Held::Aside(number) => {
                let bytes = store.read_aside(number).await?;
                store.drop_aside(number).await?;
                Ok(bytes)
            }
        }
    }
}
