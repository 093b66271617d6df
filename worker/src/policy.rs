//! How patient the worker is, as numbers.

/// Times, attempts and sizes of the runtime.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Waits before the attempts to get a device, in milliseconds. After its GPU process died a browser offers no adapter
    /// for a moment, so a missing one is believed only after the last attempt. What helps against one that stays away is
    /// for the page to say.
    pub device_waits_millis: Vec<u32>,
    /// Seconds without any sign of life from the device after which it counts as lost. Counted in ticks of a second of a
    /// running event loop, so that a worker that was frozen meanwhile does not blame the device.
    pub silence_seconds: u32,
    /// The same for what a slow device may take long for: opening, uploading, compiling, the first token of a session.
    pub slow_silence_seconds: u32,
    /// How patient a download is.
    pub download: model::download::Policy,
    /// Failures in a row that are borne for a small file which a person waits for, such as a manifest.
    pub brief_failures: u32,
    /// Longest wait for such a file that a server may ask for, in milliseconds.
    pub brief_retry_after_millis: f64,
    /// Bytes of a file after which what has come of it is stored. What a killed page loses of each connection is less than
    /// twice as much, as long as the database is as fast as the network.
    pub part_bytes: u64,
    /// Seconds after which a silent database counts as lost, counted as `silence_seconds`.
    pub store_seconds: u32,
    /// How often a database operation is tried.
    pub store_tries: u32,
    /// Wait before a lost database is opened anew, in milliseconds.
    pub store_wait_millis: u32,
    /// Milliseconds after which a browser has noticed what was deleted: Chromium removes the files of records up to five seconds
    /// later.
    pub room_wait_millis: u32,
    /// Least milliseconds between two events that tell how far loading is.
    pub progress_millis: u32,
    /// Most milliseconds that a chunk of prefill should take on the device: as long as a cancel may wait for it.
    pub chunk_millis: u32,
    /// Milliseconds for which nothing is asked before kernels are tried.
    pub tune_idle_millis: u32,
    /// Milliseconds for which one choice of kernels makes tokens.
    pub tune_millis: u32,
    /// Milliseconds for which tokens are collected before they are sent.
    pub batch_millis: u32,
    /// Largest manifest that is read.
    pub max_manifest_bytes: u64,
    /// Largest tokenizer file that is read.
    pub max_tokenizer_bytes: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            device_waits_millis: vec![0, 50, 200, 800, 1000],
            silence_seconds: 30,
            slow_silence_seconds: 90,
            download: model::download::Policy::default(),
            brief_failures: 3,
            brief_retry_after_millis: 10_000.0,
            part_bytes: 256 << 10,
            store_seconds: 15,
            store_tries: 3,
            store_wait_millis: 250,
            room_wait_millis: 6_000,
            progress_millis: 100,
            chunk_millis: 100,
            tune_idle_millis: 4_000,
            tune_millis: 80,
            batch_millis: 16,
            max_manifest_bytes: 16 << 20,
            max_tokenizer_bytes: 64 << 20,
        }
    }
}
