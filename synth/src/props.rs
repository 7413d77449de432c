//! What a loader stack is made from.

use std::sync::Arc;

use loader_core::config::LoadConfig;

use crate::architecture::Architecture;

/// One queue and how its files are loaded.
#[derive(Clone, Debug)]
pub struct QueueSource {
    /// Name of the queue: the stem of its configuration file `queues/<name>.json`.
    pub name: String,
    /// The checked content of the file.
    pub config: Arc<LoadConfig>,
}

/// What a loader stack is like. `LoaderProps { queues, ..Default::default() }` is enough.
#[derive(Clone, Debug)]
pub struct LoaderProps {
    /// The queues that the stack brings; default none: then it can be deployed, and queues connected by hand.
    pub queues: Vec<QueueSource>,
    /// Processor of the functions; default `x86_64`.
    pub architecture: Architecture,
    /// Memory of each function in MB, 128 to 10,240; default 512. Less makes the first TLS handshake slow, since processor time comes with
    /// memory.
    pub memory_mb: u32,
    /// Days that logs are kept, one of [`crate::l2::RETENTION_DAYS`]; default 30.
    pub log_retention_days: u32,
    /// Receives of a message before it goes to its dead-letter queue, 5 to 1,000; default 5.
    pub max_receive_count: u32,
    /// Concurrent invocations of `MicrobatchLoader` for one queue, 2 to 1,000; default 2. One load per table runs at a time in any case:
    /// more helps only where very many files arrive.
    pub maximum_concurrency: u32,
    /// Days that COPY manifests are kept, at least 1; default 90.
    pub manifest_days: u32,
    /// Whether the account's event bus is told what happens to the tables; default not.
    pub events: bool,
}

impl Default for LoaderProps {
    fn default() -> Self {
        Self {
            queues: Vec::new(),
            architecture: Architecture::default(),
            memory_mb: 512,
            log_retention_days: 30,
            max_receive_count: 5,
            maximum_concurrency: 2,
            manifest_days: 90,
            events: false,
        }
    }
}
