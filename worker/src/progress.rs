//! Progress of loading, as events that do not come too often.

use protocol::{ByteCount, Event, LoadProgress, LoadStage, RequestId};

use crate::Host;

/// Counts and tells. Every stage's first and last count are told, those between at most once in a while.
pub(crate) struct Meter<'a, H> {
    host: &'a H,
    id: RequestId,
    every_millis: u32,
    progress: LoadProgress,
    /// Bytes of the shards that are through.
    shard_bytes: u64,
    /// Bytes that are there of shards that are not whole.
    part_bytes: u64,
    fetched_bytes: u64,
    told_at: f64,
}

impl<'a, H: Host> Meter<'a, H> {
    /// A meter for request `id` that tells at most every `every_millis`.
    pub(crate) fn new(host: &'a H, id: RequestId, every_millis: u32) -> Self {
        Self {
            host,
            id,
            every_millis,
            progress: LoadProgress {
                stage: LoadStage::Download,
                shards_done: 0,
                shards_total: 0,
                bytes_done: ByteCount::default(),
                bytes_total: ByteCount::default(),
                fetched_bytes: ByteCount::default(),
            },
            shard_bytes: 0,
            part_bytes: 0,
            fetched_bytes: 0,
            told_at: f64::NEG_INFINITY,
        }
    }

    /// A stage begins. For each shard: its bytes, and whether it is through already; and how many bytes are there of those
    /// that are not.
    pub(crate) fn begin(
        &mut self,
        stage: LoadStage,
        shards: impl Iterator<Item = (u64, bool)>,
        part_bytes: u64,
    ) {
        let mut bytes_total = 0u64;
        self.shard_bytes = 0;
        self.part_bytes = part_bytes;
        self.progress.stage = stage;
        self.progress.shards_done = 0;
        self.progress.shards_total = 0;
        for (bytes, done) in shards {
            self.progress.shards_total += 1;
            bytes_total = bytes_total.saturating_add(bytes);
            if done {
                self.progress.shards_done += 1;
                self.shard_bytes = self.shard_bytes.saturating_add(bytes);
            }
        }
        self.progress.bytes_total = ByteCount::saturating(bytes_total);
        self.tell();
    }

    /// Bytes that have come from the network so far.
    pub(crate) fn fetched_bytes(&self) -> u64 {
        self.fetched_bytes
    }

    /// Counts what has come from the network before this meter was made.
    pub(crate) fn add_fetched(&mut self, bytes: u64) {
        self.fetched_bytes = self.fetched_bytes.saturating_add(bytes);
    }

    /// The next stage, which has nothing to count: the counts stay.
    pub(crate) fn prepare(&mut self) {
        self.progress.stage = LoadStage::Prepare;
        self.tell();
    }

    /// So many bytes came from the network, and so many are there of shards that are not whole.
    pub(crate) fn came(&mut self, new_bytes: u64, part_bytes: u64) {
        self.fetched_bytes = self.fetched_bytes.saturating_add(new_bytes);
        self.part_bytes = part_bytes;
        self.tell_if_due();
    }

    /// The same of files that are read one after the other: so many of them are through.
    pub(crate) fn files(&mut self, new_bytes: u64, done_bytes: u64, n_files: usize) {
        let n_files = u32::try_from(n_files).unwrap_or(u32::MAX);
        self.progress.shards_done = n_files.min(self.progress.shards_total);
        self.came(new_bytes, done_bytes);
    }

    /// All of the stage is through, also what nobody counted.
    pub(crate) fn end(&mut self) {
        self.progress.shards_done = self.progress.shards_total;
        self.shard_bytes = self.progress.bytes_total.get();
        self.part_bytes = 0;
        self.tell();
    }

    /// So many shards of the same length are through, and so many bytes are there of those that are not whole.
    pub(crate) fn shards(&mut self, n_shards: usize, bytes: u64, part_bytes: u64) {
        for _ in 0..n_shards {
            self.progress.shards_done += 1;
            self.shard_bytes = self.shard_bytes.saturating_add(bytes);
        }
        self.part_bytes = part_bytes;
        if self.progress.shards_done == self.progress.shards_total {
            self.tell();
        } else {
            self.tell_if_due();
        }
    }

    fn tell_if_due(&mut self) {
        if self.host.now() - self.told_at >= f64::from(self.every_millis) {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told_at = self.host.now();
        let bytes_done = self.shard_bytes.saturating_add(self.part_bytes);
        self.progress.bytes_done = ByteCount::saturating(bytes_done);
        self.progress.fetched_bytes = ByteCount::saturating(self.fetched_bytes);
        self.host.post(Event::Loading {
            id: self.id,
            progress: self.progress,
        });
    }
}
