//! Values that states have in common: stored once, and hashed once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

/// Maximum number of results that were asked for lately; the checker comes back to a step before it takes this many others.
const RESULTS_MAX: usize = 10_000;

/// A value that its copies share until one of them is changed. Its hash is its digest, which is taken once. Values of the same digest count as
/// equal, as states do for the checker.
#[derive(Clone, Debug, Default)]
pub struct Shared<T>(Arc<Digested<T>>);

#[derive(Debug, Default)]
struct Digested<T> {
    digest: OnceLock<u64>,
    value: T,
}

impl<T> Shared<T> {
    /// Makes the value one that can be shared.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Digested { digest: OnceLock::new(), value }))
    }
}

impl<T: Hash> Shared<T> {
    fn digest(&self) -> u64 {
        *self.0.digest.get_or_init(|| digest(&self.0.value))
    }
}

/// The digest of a value, the same in every run.
pub fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl<T: Clone> Clone for Digested<T> {
    /// For a copy that is about to change.
    fn clone(&self) -> Self {
        Self { digest: OnceLock::new(), value: self.value.clone() }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        let own = Arc::make_mut(&mut self.0);
        own.digest.take();
        &mut own.value
    }
}

impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.digest().hash(hasher);
    }
}

impl<T: Hash> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.digest() == other.digest()
    }
}

impl<T: Hash> Eq for Shared<T> {}

/// Results by the digest of what they follow from. It forgets what has not been asked for lately, so it stays small.
#[derive(Debug)]
pub struct Recall<T> {
    young: HashMap<u64, T>,
    old: HashMap<u64, T>,
}

impl<T> Default for Recall<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T: Clone> Recall<T> {
    /// The result, if it is known.
    pub fn get(&mut self, digest: u64) -> Option<T> {
        if let Some(known) = self.young.get(&digest) {
            return Some(known.clone());
        }
        let known = self.old.remove(&digest)?;
        self.put(digest, known.clone());
        Some(known)
    }

    /// Remembers a result.
    pub fn put(&mut self, digest: u64, result: T) {
        if self.young.len() >= RESULTS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, result);
    }
}
