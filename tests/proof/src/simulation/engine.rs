//! The scheduler: one thread, virtual time. It continues with the next timer; ties are broken by the order in which timers were set.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use loader_core::settings::Timing;
use loader_core::{bulk_request, statement_event};
use loader_reconcile::microbatch::Message;
use loader_reconcile::reconcile::Invocation;
use loader_reconcile::{bulk, microbatch, next};
use rand::Rng;
use serde_json::Value;

use super::port::Port;
use super::stage::{Happening, Stage, TaskId, Wake};
use super::tables::{config_of, queue_name};
use super::{Options, Outcome, happenings, inventory, judge, objects};

/// Number of timers after which a run counts as endless.
const TIMERS_MAX: usize = 20_000_000;
/// Number of timers between checks of the invariants. With many tables they are checked less often, because that takes longer.
const JUDGE_TIMERS: usize = 500;
/// Virtual hours after the last fault within which everything must be loaded.
const DRAIN_HOURS: i64 = 26;
/// Pause before a failed bulk request is repeated.
const REQUEST_AGAIN_MILLIS: i64 = 120_000;

/// The result of an invocation.
enum Done {
    /// It has handled the messages at these positions, except those with these ids.
    Batch(Vec<usize>, Vec<String>),
    /// Nothing follows.
    Nothing,
    /// It has handled a table's bulk request: whether the folder is recorded, or its listing will be continued.
    Bulk(usize, bool),
}

type Task = Pin<Box<dyn Future<Output = Done>>>;

/// A run of the simulation.
pub struct Engine {
    seed: u64,
    stage: Arc<Mutex<Stage>>,
    tasks: BTreeMap<TaskId, Task>,
    next_id: TaskId,
    crashes: usize,
}

impl Engine {
    /// Creates a run, before the first timer.
    pub fn new(seed: u64, options: Options) -> Self {
        let mut stage = Stage::new(seed, options);
        happenings::set(&mut stage);
        Self { seed, stage: Arc::new(Mutex::new(stage)), tasks: BTreeMap::new(), next_id: 0, crashes: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs to the end.
    pub fn run(mut self) -> Outcome {
        let rough_until = {
            let stage = self.lock();
            let faults_end = stage.now + (stage.options.minutes + 30) * 60_000;
            stage.outage.map_or(faults_end, |(_, to)| faults_end.max(to))
        };
        let judge_every = JUDGE_TIMERS.max(JUDGE_TIMERS * self.lock().options.tables / 10);
        for count in 0.. {
            let Some((at, wake)) = self.pop() else { break };
            // A repeated bulk request is work that remains.
            let asks = matches!(wake, Wake::World(Happening::Bulk(_)));
            if at > rough_until && !asks && self.calm(at, rough_until) {
                break;
            }
            if count > TIMERS_MAX {
                self.lock().violation("4 never stuck: the run has no end");
                break;
            }
            if count % judge_every == 0 {
                judge::at_any_time(&mut self.lock());
            }
            match wake {
                Wake::Task(id, waker) => {
                    waker.wake();
                    self.poll(id);
                }
                Wake::World(happening) => self.happen(happening),
            }
        }
        self.outcome()
    }

    fn pop(&self) -> Option<(i64, Wake)> {
        let mut stage = self.lock();
        let ((at, _), wake) = stage.timers.pop_first()?;
        stage.now = stage.now.max(at);
        Some((at, wake))
    }

    /// Ends the faults. Returns whether the run is over.
    fn calm(&self, at: i64, since: i64) -> bool {
        let idle = self.tasks.is_empty();
        let mut stage = self.lock();
        stage.rough = false;
        if idle && stage.queues.is_empty() && judge::is_drained(&stage) {
            return true;
        }
        if at > since + DRAIN_HOURS * 3_600_000 {
            stage.violation(format!("4 never stuck: {DRAIN_HOURS} hours after the last fault something still waits"));
            return true;
        }
        false
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Change => objects::change(&mut self.lock()),
            Happening::StatementEnds(index) => happenings::statement_ends(&mut self.lock(), index),
            Happening::Pause(table, paused) => {
                self.lock().configs.insert(queue_name(table), config_of(table, paused));
            }
            Happening::Poll => self.poll_queues(),
            Happening::Sweep => {
                self.lock().happen(60_000, Happening::Sweep);
                self.start_next(&serde_json::json!({"sweep": true}));
            }
            Happening::Event(payload) => self.start_next(&payload),
            Happening::Bulk(table) => self.start_bulk(table),
            Happening::Folder(table) => {
                let mut stage = self.lock();
                objects::folder(&mut stage, table);
                inventory::publish(&mut stage, table);
            }
            Happening::AddColumn => happenings::add_column(&mut self.lock()),
            Happening::Retry => happenings::retry(&mut self.lock()),
        }
    }

    fn poll_queues(&mut self) {
        let (batch, messages) = {
            let mut stage = self.lock();
            let pause = stage.rng.random_range(100..4_000);
            stage.happen(pause, Happening::Poll);
            let Stage { queues, rng, now, rough, .. } = &mut *stage;
            let batch = queues.receive(rng, *rough, *now);
            let message = |index: &usize| {
                let letter = &queues.letters[*index];
                Message { id: letter.id.clone(), queue: letter.queue.clone(), body: letter.body.clone() }
            };
            let messages: Vec<Message> = batch.iter().map(message).collect();
            (batch, messages)
        };
        if !batch.is_empty() {
            self.spawn(false, |port, invocation| async move {
                Done::Batch(batch, microbatch::handle(&port, &messages, &invocation).await)
            });
        }
    }

    fn start_next(&mut self, payload: &Value) {
        let trigger = statement_event::parse(payload);
        self.spawn(payload.get("detail").is_some(), |port, invocation| async move {
            let _ = next::handle(&port, trigger, &invocation).await;
            Done::Nothing
        });
    }

    fn start_bulk(&mut self, table: usize) {
        let paths = bulk_request::parse(&inventory::request(&self.lock(), table)).unwrap_or_default();
        let id = self.next_id + 1;
        self.lock().requests.insert(id, table);
        self.spawn(false, move |port, invocation| async move {
            let answers = bulk::handle(&port, &paths, &invocation).await;
            Done::Bulk(table, bulk::check_done(&answers).is_ok())
        });
    }

    fn spawn<F>(&mut self, hinted: bool, flow: impl FnOnce(Port, Invocation) -> F)
    where
        F: Future<Output = Done> + 'static,
    {
        self.next_id += 1;
        let id = self.next_id;
        let (skew_millis, deadline) = {
            let mut stage = self.lock();
            let rough = stage.rough && stage.options.faults_per_mille > 0;
            let skew = if rough { stage.rng.random_range(-180_000..180_000) } else { 0 };
            let short = rough && stage.rng.random_range(0..4) == 0;
            let left = if short { stage.rng.random_range(500..8_000) } else { 100_000 };
            stage.trace(("starts", id, skew, left));
            (skew, stage.now + skew + left)
        };
        let load_pendings_max = if self.seed.is_multiple_of(3) { 2 } else { Timing::default().load_pendings_max };
        let invocation = Invocation {
            holder: format!("i{id}"),
            timing: Timing { load_pendings_max, ..Timing::default() },
            prefix: Some("sim".to_owned()),
            deadline,
            awake: false,
            turn: false,
            sweeps: false,
        };
        let port = Port { stage: self.stage.clone(), id, skew_millis, hinted };
        self.tasks.insert(id, Box::pin(flow(port, invocation)));
        self.poll(id);
    }

    fn poll(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if self.lock().dead.remove(&id) {
            self.crashes += 1;
            self.tasks.remove(&id);
            let mut stage = self.lock();
            stage.trace(("dies", id));
            if let Some(table) = stage.requests.remove(&id).filter(|table| !stage.is_listed(*table, &format!("i{id}")))
            {
                stage.happen(REQUEST_AGAIN_MILLIS, Happening::Bulk(table));
            }
            return;
        }
        if let Poll::Ready(done) = polled {
            self.tasks.remove(&id);
            self.lock().requests.remove(&id);
            self.finish(done);
        }
    }

    /// Acknowledges handled messages, and schedules a failed bulk request again.
    fn finish(&self, done: Done) {
        let mut stage = self.lock();
        match done {
            Done::Nothing => {}
            Done::Batch(batch, failed) => {
                let failed: BTreeSet<String> = failed.into_iter().collect();
                for index in batch {
                    let lost = stage.rough && stage.options.faults_per_mille > 0 && stage.rng.random_range(0..20) == 0;
                    if !failed.contains(&stage.queues.letters[index].id) && !lost {
                        stage.queues.letters[index].acknowledged = true;
                    }
                }
            }
            Done::Bulk(table, complete) => {
                if !complete {
                    stage.happen(REQUEST_AGAIN_MILLIS, Happening::Bulk(table));
                }
            }
        }
    }

    fn outcome(self) -> Outcome {
        let mut stage = self.lock();
        judge::at_the_end(&mut stage);
        Outcome {
            seed: self.seed,
            trace: stage.trace_hash(),
            loads: judge::loads(&stage),
            objects: stage.warehouse.committed.len(),
            quarantined: judge::quarantined(&stage),
            faults: stage.faults,
            crashes: self.crashes,
            calls: stage.calls,
            violations: stage.violations.iter().cloned().collect(),
        }
    }
}
