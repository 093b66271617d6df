//! Files of a package on their way into the store.

use std::cell::{Cell, RefCell};

use model::download::Problem;
use model::manifest::FileHash;
use protocol::{Fault, FaultCode, LoadStage};

use super::hold::{compared, handed_over};
use super::{Keeper, Order, Trying, fetch};
use crate::network::Buffer;
use crate::progress::Meter;
use crate::store::{Shelf, sum};
use crate::{Host, Inbox, Policy};

/// Stores the files of a package: in parts while they come, each as a whole when its hash is right.
pub(crate) struct Keeping<'a, 'm, H: Host> {
    host: &'a H,
    shelf: &'a Shelf<'a, H>,
    base_url: &'a str,
    /// The files, all different, and how many of each the package has.
    files: Vec<(&'a FileHash, usize)>,
    meter: RefCell<Option<&'a mut Meter<'m, H>>>,
    /// Bytes of the files that are not stored yet.
    missing_bytes: Cell<u64>,
    /// Whether parts are stored. Where that fails, the whole file may still be.
    keeps_parts: Cell<bool>,
    /// The file that came last, for whoever fetches only one.
    last: RefCell<Option<H::Bytes>>,
    is_handing_over: bool,
}

impl<'a, 'm, H: Host> Keeping<'a, 'm, H> {
    pub(crate) fn new(
        host: &'a H,
        shelf: &'a Shelf<'a, H>,
        base_url: &'a str,
        files: Vec<(&'a FileHash, usize)>,
        meter: Option<&'a mut Meter<'m, H>>,
    ) -> Self {
        let missing_bytes = sum(files.iter().map(|(file, _)| file.bytes));
        Self {
            host,
            shelf,
            base_url,
            files,
            meter: RefCell::new(meter),
            missing_bytes: Cell::new(missing_bytes),
            keeps_parts: Cell::new(true),
            last: RefCell::new(None),
            is_handing_over: false,
        }
    }

    /// The orders for all files, with what an earlier visit has left of them. Never of more files than are fetched at a time:
    /// it is held in memory.
    ///
    /// # Errors
    /// The store's fault.
    pub(crate) async fn orders(&self, policy: &Policy) -> Result<Vec<Order<H::Buffer>>, Fault> {
        let parts = self.shelf.parts().await?;
        let mut room = policy.download.parallel.max(1);
        let mut orders = Vec::new();
        for (file, _) in &self.files {
            let own = || parts.iter().filter(|part| part.sha256 == file.sha256);
            let mut held = None;
            if room > 0 && own().next().is_some() {
                let begun = self.shelf.begun(file, own()).await?;
                if begun.is_empty() {
                    self.shelf.drop_parts(own()).await?;
                } else {
                    held = Some(begun);
                    room -= 1;
                }
            }
            orders.push(Order::whole(self.base_url, file, held));
        }
        let used = |sha256: &str| {
            let mut held = orders.iter().zip(&self.files);
            held.any(|(order, (file, _))| order.held.is_some() && file.sha256 == sha256)
        };
        let wanted = self.shelf.wanted_by_others(self.base_url, &parts).await?;
        let is_left = |sha256: &String| !used(sha256) && !wanted.contains(sha256);
        let unused = parts.iter().filter(|part| is_left(&part.sha256));
        // Those of others are in nobody's way when a single file is fetched.
        if !self.is_handing_over {
            self.shelf.drop_parts(unused).await?;
        }
        Ok(orders)
    }

    /// Tells that a stage begins, as [`Meter::begin`] does.
    pub(crate) fn begin(
        &self,
        stage: LoadStage,
        shards: impl Iterator<Item = (u64, bool)>,
        held_bytes: u64,
    ) {
        if let Some(meter) = &mut *self.meter.borrow_mut() {
            meter.begin(stage, shards, held_bytes);
        }
    }

    /// Fetches one file into the store and hands it over.
    ///
    /// # Errors
    /// As for [`fetch`], and the store's faults.
    pub(crate) async fn one(
        mut self,
        policy: &Policy,
        inbox: &Inbox,
        trying: Trying,
    ) -> Result<H::Bytes, Fault> {
        self.is_handing_over = true;
        let orders = self.orders(policy).await?;
        let host = self.host;
        fetch(host, policy, inbox, &self, trying, orders).await?;
        let name = self.files.first().map_or("", |(file, _)| &file.file);
        handed_over(self.last.take(), name)
    }

    /// Deletes what was kept of a file while it came, which takes room that the whole of it needs. `false` = nothing was.
    async fn give_up_parts(&self, file: &FileHash) -> Result<bool, Fault> {
        let parts = self.shelf.parts().await?;
        let own = parts.iter().filter(|part| part.sha256 == file.sha256);
        Ok(self.shelf.drop_parts(own).await? > 0)
    }
}

impl<H: Host> Keeper for Keeping<'_, '_, H> {
    type Bytes = H::Bytes;

    async fn take(&self, index: usize, bytes: H::Bytes) -> Result<Option<Problem>, Fault> {
        let (file, _) = self.files[index];
        if let Some(problem) = compared(self.host, file, &bytes).await? {
            return Ok(Some(problem));
        }
        let put = || self.shelf.put(self.base_url, file, &bytes);
        let mut stored = put().await;
        if matches!(&stored, Err(fault) if fault.code == FaultCode::StorageFull) {
            self.keeps_parts.set(false);
            if self.give_up_parts(file).await? {
                self.shelf.wait_for_room().await;
                stored = put().await;
            }
        }
        match stored {
            Err(fault) if fault.code == FaultCode::StorageFull => {
                let missing_bytes = self.missing_bytes.get();
                return Err(self.shelf.full(missing_bytes, &fault.detail).await);
            }
            stored => stored?,
        }
        let missing_bytes = self.missing_bytes.get().saturating_sub(file.bytes);
        self.missing_bytes.set(missing_bytes);
        if self.is_handing_over {
            *self.last.borrow_mut() = Some(bytes);
        }
        Ok(None)
    }

    async fn save(&self, index: usize, start: u64, bytes: H::Bytes) -> Result<(), Fault> {
        let (file, _) = self.files[index];
        // A part is a precaution.
        if let Err(fault) = self.shelf.put_part(file, start, &bytes).await {
            log::warn!("{}: no part of it is kept: {fault}", file.file);
            self.keeps_parts.set(false);
        }
        Ok(())
    }

    async fn forget(&self, index: usize) -> Result<(), Fault> {
        let (file, _) = self.files[index];
        self.give_up_parts(file).await.map(drop)
    }

    fn is_saving(&self) -> bool {
        self.keeps_parts.get()
    }

    fn progress(&self, new_bytes: u64, part_bytes: u64) {
        if let Some(meter) = &mut *self.meter.borrow_mut() {
            meter.came(new_bytes, part_bytes);
        }
    }

    fn kept(&self, index: usize, part_bytes: u64) {
        // Whoever is handed the file counts it.
        if self.is_handing_over {
            return;
        }
        let (file, copies) = self.files[index];
        if let Some(meter) = &mut *self.meter.borrow_mut() {
            meter.shards(copies, file.bytes, part_bytes);
        }
    }
}
