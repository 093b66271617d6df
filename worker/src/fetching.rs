//! Fetching files: what [`model::download`] decides, done with a network and a place for the bytes.
//!
//! `drive` asks, reads and waits as the state machine says; a [`Keeper`] says what becomes of the bytes: `keep` stores the
//! files of a package, in parts while they come, `hold` hands over a single file. `words` are the faults.

mod drive;
mod hold;
mod item;
mod keep;
mod words;

use model::download::{Extent, Head, Policy as Patience, Problem, Want};
use model::manifest::FileHash;
use protocol::Fault;

use crate::network::Buffer;
use crate::{Host, Inbox, Policy};

pub(crate) use hold::{described, whole};
pub(crate) use keep::Keeping;

/// A file, or a part of one, to be fetched.
pub(crate) struct Order<B> {
    pub(crate) url: String,
    pub(crate) want: Want,
    /// What is there of it from earlier: the first `want.held_bytes` bytes.
    pub(crate) held: Option<B>,
}

impl<B: Buffer> Order<B> {
    /// The order for a file whose length and hash are known.
    pub(crate) fn whole(base_url: &str, file: &FileHash, held: Option<B>) -> Self {
        Self {
            url: format!("{base_url}{}", file.file),
            want: Want {
                name: file.file.clone(),
                extent: Extent::Whole { bytes: file.bytes },
                has_hash: true,
                held_bytes: held.as_ref().map_or(0, Buffer::len),
                held_version: None,
            },
            held,
        }
    }
}

/// What becomes of the bytes. Orders are told by their number. Nothing is called for an order while a call for it runs.
pub(crate) trait Keeper {
    /// Bytes of a file.
    type Bytes;

    /// Takes the whole of an order, or says what is wrong with it. A wrong one is fetched anew.
    ///
    /// # Errors
    /// A fault that no other attempt would help against; it ends everything.
    async fn take(&self, index: usize, bytes: Self::Bytes) -> Result<Option<Problem>, Fault>;

    /// Stores bytes of an order that is not whole yet, which begin at `start` within it.
    ///
    /// # Errors
    /// As for [`Keeper::take`].
    async fn save(&self, index: usize, start: u64, bytes: Self::Bytes) -> Result<(), Fault>;

    /// Forgets what was stored of an order: it is of no use.
    ///
    /// # Errors
    /// As for [`Keeper::take`].
    async fn forget(&self, index: usize) -> Result<(), Fault>;

    /// Whether it wants [`Keeper::save`] at all.
    fn is_saving(&self) -> bool;

    /// Whether it is handed every byte once, by [`Keeper::save`] and at last by [`Keeper::take`], so that nothing is held here.
    /// While it takes its time nothing more is read.
    fn hands_over(&self) -> bool {
        false
    }

    /// A server has answered for an order.
    ///
    /// # Errors
    /// When what it says ends everything.
    fn answered(&self, _index: usize, _head: &Head) -> Result<(), Fault> {
        Ok(())
    }

    /// So many bytes came from the network, and so many are there now of orders that are not whole.
    fn progress(&self, new_bytes: u64, part_bytes: u64);

    /// An order was taken, and so many bytes are there of those that are not whole.
    fn kept(&self, index: usize, part_bytes: u64);
}

/// How long it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trying {
    /// A person waits to see something: a few times, also without a connection.
    Briefly,
    /// A download: as long as a connection may come back.
    Patiently,
}

impl Trying {
    fn patience(self, policy: &Policy) -> Patience {
        let patience = policy.download.clone();
        match self {
            Self::Patiently => patience,
            Self::Briefly => Patience {
                max_failures: policy.brief_failures,
                max_retry_after_millis: policy.brief_retry_after_millis,
                ..patience
            },
        }
    }
}

/// Fetches all of `orders`. The running request may be paused meanwhile; whoever cancels it drops this future, which ends
/// every transfer.
///
/// # Errors
/// Why a file did not come, or what the keeper says.
pub(crate) async fn fetch<H: Host, K: Keeper<Bytes = H::Bytes>>(
    host: &H,
    policy: &Policy,
    inbox: &Inbox,
    keeper: &K,
    trying: Trying,
    orders: Vec<Order<H::Buffer>>,
) -> Result<(), Fault> {
    let is_patient = trying == Trying::Patiently;
    drive::Driver::new(host, inbox, keeper, trying.patience(policy), orders)
        .run(policy.part_bytes, is_patient)
        .await
}
