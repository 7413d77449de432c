//! What the queues of a large stack share: one dead-letter queue and a few policies. In a small stack each queue has its own.

use sha2::{Digest, Sha256};

use crate::l2::{Queue, QueueProps, SharedPolicy};
use crate::limits::QUEUES_APART_MAX;
use crate::names::SHARED_DEAD_LETTERS;
use crate::scope::Scope;

/// Number of policies. It must never change, or queues would move from one policy to another.
const POLICIES: u8 = 8;

/// The dead-letter queue and the policies that queues share.
pub(super) struct Shared {
    pub(super) dead_letters: Queue,
    policies: Vec<SharedPolicy>,
}

impl Shared {
    /// Returns `None` if there are few enough queues that each can have its own.
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

    /// The policy of a queue. It depends only on the queue's name, so that a queue keeps its policy when other queues are added or removed. A queue
    /// that moved from one policy to another could be without one for a while, and S3's notifications would be lost.
    pub(super) fn policy(&self, queue: &str) -> &SharedPolicy {
        let first = Sha256::digest(queue)[0];
        &self.policies[usize::from(first % POLICIES)]
    }

    /// Completes the policies. Call this after all grants.
    pub(super) fn finish(&self) {
        for policy in &self.policies {
            policy.keep();
            policy.check_size();
        }
    }
}
