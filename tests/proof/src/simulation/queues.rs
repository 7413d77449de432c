//! The source queues: they deliver at least once, in any order, until a message is acknowledged.

use std::collections::BTreeSet;

use loader_core::tracker::item::Millis;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// How long a received message stays hidden.
const VISIBILITY_MILLIS: Millis = 300_000;

/// A message.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Message id.
    pub id: String,
    /// Name of the queue.
    pub queue: String,
    /// Body.
    pub body: String,
    /// Positions of the objects in it, in the order of the puts.
    pub about: Vec<usize>,
    /// It is hidden until then.
    visible_millis: Millis,
    /// Whether it was acknowledged.
    pub acknowledged: bool,
    /// Whether it cannot be parsed; it goes to the dead-letter queue after some deliveries.
    pub garbage: bool,
    received: u32,
}

/// All queues.
#[derive(Debug, Default)]
pub struct Queues {
    /// All messages that were ever sent.
    pub letters: Vec<Letter>,
}

impl Queues {
    /// Sends a message.
    pub fn send(&mut self, queue: &str, body: String, about: Vec<usize>, garbage: bool, now: Millis) {
        let id = format!("m{}", self.letters.len());
        let queue = queue.to_owned();
        let visible_millis = now;
        self.letters.push(Letter { id, queue, body, about, visible_millis, acknowledged: false, garbage, received: 0 });
    }

    /// Adds a message that loader 0.1 has handled.
    pub fn handled(&mut self, queue: &str, about: Vec<usize>, now: Millis) {
        self.send(queue, String::new(), about, true, now);
        if let Some(letter) = self.letters.last_mut() {
            letter.acknowledged = true;
        }
    }

    /// Receives a batch of a queue with visible messages. With `duplicates`, it sometimes contains an acknowledged message.
    pub fn receive(&mut self, rng: &mut StdRng, duplicates: bool, now: Millis) -> Vec<usize> {
        let waiting = |letter: &Letter| !letter.acknowledged && letter.visible_millis <= now;
        let queues: BTreeSet<String> =
            self.letters.iter().filter(|letter| waiting(letter)).map(|letter| letter.queue.clone()).collect();
        let queues: Vec<String> = queues.into_iter().collect();
        if queues.is_empty() {
            return Vec::new();
        }
        let queue = &queues[rng.random_range(0..queues.len())];
        let mut batch: Vec<usize> = (0..self.letters.len())
            .filter(|index| self.letters[*index].queue == *queue)
            .filter(|index| waiting(&self.letters[*index]) || (duplicates && rng.random_range(0..200) == 0))
            .collect();
        batch.shuffle(rng);
        batch.truncate(rng.random_range(1..=10));
        for index in &batch {
            let letter = &mut self.letters[*index];
            letter.visible_millis = now + VISIBILITY_MILLIS;
            letter.received += 1;
            letter.acknowledged |= letter.garbage && letter.received > 3;
        }
        batch
    }

    /// Whether everything was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.letters.iter().all(|letter| letter.acknowledged)
    }
}
