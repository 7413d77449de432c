//! What the names of a stack's queues are made of, and what connecting these queues asks for.

use std::collections::BTreeMap;

use synth::QueueFile;

use crate::ground::aws::Place;
use crate::loader::connections::document::{self, Listener};
use crate::loader::connections::plan::Wanted;

/// What the names of a stack's queues are made of.
pub struct Names<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// Before the name of each queue.
    pub queue_prefix: &'a str,
    /// Partition, Region and account.
    pub place: &'a Place,
}

impl Names<'_> {
    /// The files and notifications of these queues.
    pub fn wanted(&self, queues: &[QueueFile]) -> Wanted {
        let owner = document::owner(self.stack);
        let mut wanted = Wanted { owner, configs: BTreeMap::new(), listeners: BTreeMap::new() };
        for queue in queues {
            let name = format!("{}{}", self.queue_prefix, queue.name);
            if let Some(source) = &queue.config.source {
                let listener = Listener {
                    id: format!("{}{}", wanted.owner, queue.name),
                    queue_arn: self.place.queue_arn(&name),
                    prefix: source.prefix.clone(),
                };
                wanted.listeners.entry(source.bucket.clone()).or_default().push(listener);
            }
            wanted.configs.insert(name, queue.text.clone());
        }
        wanted
    }
}
