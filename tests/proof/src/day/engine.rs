//! The scheduler of a day: one thread, virtual time. It always continues with the next arrival or timer.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use loader_core::limits::{SQS_BATCH_SIZE, SQS_BATCHING_WINDOW_SECONDS};
use loader_core::settings::Timing;
use loader_core::statement_event;
use loader_reconcile::microbatch::Message;
use loader_reconcile::reconcile::Invocation;
use loader_reconcile::{microbatch, next};
use serde_json::{Value, json};

use super::port::Port;
use super::stage::{Stage, Wake};
use super::{Options, message_body};
use crate::fixture::{START_MILLIS, status_change};

/// Concurrent invocations for a queue: the template's default.
const INVOCATIONS_PER_QUEUE: usize = 2;
/// Period of the sweep, as in the template.
const SWEEP_MILLIS: i64 = 60_000;
/// Pause before an invocation that was throttled is retried.
const NO_ROOM_MILLIS: i64 = 1_000;
/// How long an invocation begins new work.
const INVOCATION_MILLIS: i64 = 100_000;
/// Virtual hours after the day within which everything must be loaded.
const DRAIN_HOURS: i64 = 12;

/// A running invocation.
struct Task {
    future: Pin<Box<dyn Future<Output = Done>>>,
    began_millis: i64,
}

/// The result of an invocation.
enum Done {
    /// It has handled a message batch of a table's queue.
    Batch(usize),
    /// Nothing follows.
    Nothing,
}

/// The simulation of a day.
pub struct Engine {
    stage: Arc<Mutex<Stage>>,
    tasks: BTreeMap<usize, Task>,
    next_id: usize,
    next_file: usize,
    lost_sweeps: u64,
    day_ends: i64,
}

impl Engine {
    /// Creates the simulation, before the first file.
    pub fn new(options: &Options) -> Self {
        let mut stage = Stage::new(options);
        stage.after(SWEEP_MILLIS, Wake::Sweep);
        let day_ends = START_MILLIS + options.hours * 3_600_000;
        Self {
            stage: Arc::new(Mutex::new(stage)),
            tasks: BTreeMap::new(),
            next_id: 0,
            next_file: 0,
            day_ends,
            lost_sweeps: options.lost_sweeps,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until the day is over and everything is loaded, or [`DRAIN_HOURS`] have passed.
    pub fn run(mut self) -> Stage {
        loop {
            self.arrive();
            let Some((at, wake)) = self.lock().timers.pop_first() else { break };
            let now = at.0;
            self.lock().now = now;
            match wake {
                Wake::Task(id, waker) => {
                    waker.wake();
                    self.poll(id);
                }
                Wake::Batch(table) => self.start_batch(table),
                Wake::StatementEnds(index) => self.lock().statement_ends(index),
                Wake::Event(index) => self.event(index),
                Wake::Sweep => {
                    if self.is_over(now) {
                        break;
                    }
                    self.lock().after(SWEEP_MILLIS, Wake::Sweep);
                    let number = u64::try_from((now - START_MILLIS) / SWEEP_MILLIS).unwrap_or(0);
                    if self.lost_sweeps == 0 || !number.is_multiple_of(self.lost_sweeps) {
                        self.start_next(&json!({"sweep": true}), true);
                    }
                }
            }
        }
        drop(self.tasks);
        let stage = Arc::into_inner(self.stage).map(Mutex::into_inner);
        stage.and_then(Result::ok).unwrap_or_else(|| unreachable!("every invocation has been dropped"))
    }

    fn is_over(&self, now: i64) -> bool {
        let stage = self.lock();
        let drained = self.next_file == stage.files.len() && stage.work.is_empty() && self.tasks.is_empty();
        let idle = stage.queues.iter().all(|queue| queue.waiting.is_empty());
        now >= self.day_ends && (drained && idle || now > self.day_ends + DRAIN_HOURS * 3_600_000)
    }

    /// Adds the messages of the files that arrive before the next timer.
    fn arrive(&mut self) {
        loop {
            let mut stage = self.lock();
            let Some(file) = stage.files.get(self.next_file).copied() else { return };
            let at = START_MILLIS + file.millis + stage.cost.notification_millis;
            if stage.timers.first_key_value().is_some_and(|((next, _), _)| *next < at) {
                return;
            }
            stage.now = stage.now.max(at);
            stage.queues[file.table].waiting.push_back(self.next_file);
            collect(&mut stage, file.table);
            drop(stage);
            self.next_file += 1;
        }
    }

    fn start_batch(&mut self, table: usize) {
        let messages: Vec<Message> = {
            let mut stage = self.lock();
            stage.queues[table].collecting = false;
            if !self.has_room(&mut stage) {
                stage.queues[table].collecting = true;
                stage.after(NO_ROOM_MILLIS, Wake::Batch(table));
                return;
            }
            let size = stage.queues[table].waiting.len().min(SQS_BATCH_SIZE as usize);
            let files: Vec<usize> = stage.queues[table].waiting.drain(..size).collect();
            stage.queues[table].in_flight += 1;
            stage.count("sqs:SendMessage", files.len() as u64);
            stage.count("sqs:ReceiveMessage", files.len().div_ceil(10) as u64);
            stage.count("sqs:DeleteMessageBatch", files.len().div_ceil(10) as u64);
            collect(&mut stage, table);
            let queue = format!("q{table}");
            let message = |file: usize| {
                let body = message_body(file, &stage.files[file]);
                Message { id: format!("m{file}"), queue: queue.clone(), body }
            };
            files.into_iter().map(message).collect()
        };
        self.spawn(false, move |port, invocation| async move {
            microbatch::handle(&port, &messages, &invocation).await;
            Done::Batch(table)
        });
    }

    fn event(&mut self, index: usize) {
        if !self.has_room(&mut self.lock()) {
            self.lock().after(NO_ROOM_MILLIS, Wake::Event(index));
            return;
        }
        let name = self.lock().statements[index].name.clone();
        self.start_next(&status_change(&name, &format!("s{index}"), "FINISHED"), false);
    }

    fn has_room(&self, stage: &mut Stage) -> bool {
        let room = self.tasks.len() < stage.cost.invocations_at_once;
        if !room {
            stage.refuse("Lambda invocations at once");
        }
        room
    }

    fn start_next(&mut self, payload: &Value, sweep: bool) {
        let trigger = statement_event::parse(payload);
        self.spawn(sweep, |port, invocation| async move {
            let _ = next::handle(&port, trigger, &invocation).await;
            Done::Nothing
        });
    }

    fn spawn<F>(&mut self, sweep: bool, flow: impl FnOnce(Port, Invocation) -> F)
    where
        F: Future<Output = Done> + 'static,
    {
        self.next_id += 1;
        let id = self.next_id;
        let began_millis = self.lock().now;
        let invocation = Invocation {
            holder: format!("i{id}"),
            timing: Timing::default(),
            prefix: Some("day".to_owned()),
            deadline: began_millis + INVOCATION_MILLIS,
            awake: false,
            turn: false,
            sweeps: false,
        };
        let port = Port { stage: self.stage.clone(), id, sweep };
        self.tasks.insert(id, Task { future: Box::pin(flow(port, invocation)), began_millis });
        {
            let mut stage = self.lock();
            stage.counts.invocations += 1;
            stage.counts.invocations_at_once = stage.counts.invocations_at_once.max(self.tasks.len());
        }
        self.poll(id);
    }

    fn poll(&mut self, id: usize) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let Poll::Ready(done) = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { return };
        let began_millis = task.began_millis;
        self.tasks.remove(&id);
        let mut stage = self.lock();
        stage.counts.invocation_millis += u64::try_from(stage.now - began_millis).unwrap_or(0) + 1;
        if let Done::Batch(table) = done {
            stage.queues[table].in_flight -= 1;
            collect(&mut stage, table);
        }
    }
}

/// Begins to collect a message batch if messages wait and another invocation is allowed.
fn collect(stage: &mut Stage, table: usize) {
    let queue = &mut stage.queues[table];
    if queue.waiting.is_empty() || queue.collecting || queue.in_flight >= INVOCATIONS_PER_QUEUE {
        return;
    }
    queue.collecting = true;
    let full = queue.waiting.len() >= SQS_BATCH_SIZE as usize;
    let window = if full { 0 } else { i64::from(SQS_BATCHING_WINDOW_SECONDS) * 1000 };
    stage.after(window, Wake::Batch(table));
}
