//! What the queues of a large stack share: one dead-letter queue, and a few policies. With few queues each has its own.

use sha2::{Digest, Sha256};

use crate::l2::{Queue, QueueProps, SharedPolicy};
use crate::limits::QUEUES_APART_MAX;
use crate::names::SHARED_DEAD_LETTERS;
use crate::scope::Scope;

/// Policies of the queues. More make each shorter; the number never changes, or queues would move from one to another.
const POLICIES: u8 = 8;

/// What the queues share.
pub(super) struct Shared {
    pub(super) dead_letters: Queue,
    policies: Vec<SharedPolicy>,
}

impl Shared {
    /// Nothing, where each of so many queues can have its own.
    pub(super) fn new(scope: &Scope, n_queues: usize, dead_letters_policy: &SharedPolicy) -> Option<Self> {
        if n_queues <= QUEUES_APART_MAX {
            return None;
        }
        let dead_letters = Queue::new(
            &scope.child(SHARED_DEAD_LETTERS),
            &QueueProps { shared_policy: Some(dead_letters_policy), ..QueueProps::default() },
        );
        let policies = (0..POLICIES).map(|number| SharedPolicy::new(&scope.child(&format!("QueuesPolicy{number}"))));
        Some(Self { dead_letters, policies: policies.collect() })
    }

    /// The policy of a queue: chosen by its name alone, so that a queue keeps it whatever other queues come and go. A queue that moved from
    /// one policy to another could be left without any, and S3 would lose what it cannot deliver.
    pub(super) fn policy(&self, queue: &str) -> &SharedPolicy {
        let first = Sha256::digest(queue)[0];
        &self.policies[usize::from(first % POLICIES)]
    }

    /// Called when all grants are made.
    pub(super) fn finish(&self) {
        for policy in &self.policies {
            policy.keep();
            policy.check_size();
        }
    }
}
