//! The inputs of a loader stack.

use std::sync::Arc;

use loader_core::config::LoadConfig;

use crate::architecture::Architecture;

/// One queue and how its files are loaded.
#[derive(Clone, Debug)]
pub struct QueueSource {
    /// Name of the queue: the stem of its configuration file `queues/<name>.json`.
    pub name: String,
    /// The file's content, checked.
    pub config: Arc<LoadConfig>,
}

/// The inputs of a loader stack. `LoaderProps { queues, ..Default::default() }` is enough.
#[derive(Clone, Debug)]
pub struct LoaderProps {
    /// The queues of the stack; default none. Such a stack can be deployed, and queues connected to it by hand.
    pub queues: Vec<QueueSource>,
    /// Processor architecture of the functions; default `x86_64`.
    pub architecture: Architecture,
    /// Memory of each function in MB, 128 to 10,240; default 512. With less, the first TLS handshake is slow, because Lambda allots processor
    /// time in proportion to memory.
    pub memory_mb: u32,
    /// Days that logs are kept, one of [`crate::l2::RETENTION_DAYS`]; default 30.
    pub log_retention_days: u32,
    /// How often a message is received before it goes to the dead-letter queue, 5 to 1,000; default 5.
    pub max_receive_count: u32,
    /// Concurrent invocations of `MicrobatchLoader` for one queue, 2 to 1,000; default 2. Since a table has one load at a time in any case, more
    /// helps only if a great many files arrive.
    pub maximum_concurrency: u32,
    /// Days that COPY manifests are kept, at least 1; default 90.
    pub manifest_days: u32,
    /// Whether table events are published on the account's event bus; default `false`.
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
