//! The ports of an invocation. Random numbers decide the outcome of every call.

mod services;
pub mod tracker;

use std::future::{Future, pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use loader_core::config::LoadConfig;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Millis;
use loader_reconcile::ports::{ConfigError, Configs, PortError, PortResult, Surroundings};
use loader_reconcile::report::Event;

use super::faults::{Fate, throw};
use super::stage::{Stage, TaskId, Wake};

/// The ports of an invocation.
#[derive(Clone)]
pub struct Port {
    /// The shared state.
    pub stage: Arc<Mutex<Stage>>,
    /// The invocation.
    pub id: TaskId,
    /// How far its clock is off.
    pub skew_millis: Millis,
    /// Whether an event started it.
    pub hinted: bool,
}

impl Port {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holder(&self) -> String {
        format!("i{}", self.id)
    }

    async fn wait(&self, millis: Millis) {
        let until = self.lock().now + millis;
        let mut set = false;
        poll_fn(|context| {
            let mut stage = self.lock();
            let left = until - stage.now;
            if left <= 0 {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut set, true) {
                stage.after(left, Wake::Task(self.id, context.waker().clone()));
            }
            Poll::Pending
        })
        .await;
    }

    async fn die(&self) {
        self.lock().dead.insert(self.id);
        pending::<()>().await;
    }

    /// Makes a call, with a random outcome.
    async fn call<T: Send>(
        &self,
        operation: &'static str,
        perform: impl FnOnce(&mut Stage) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        let throw = {
            let mut stage = self.lock();
            let per_mille = if stage.rough { stage.options.faults_per_mille } else { 0 };
            let outage = stage.rough && stage.is_out();
            let mut throw = throw(&mut stage.rng, per_mille, outage);
            if let Some(next) = stage.script.iter().position(|(scripted, _)| *scripted == operation) {
                throw.fate = stage.script.remove(next).1;
            }
            stage.calls += 1;
            stage.faults +=
                usize::from(throw.fate != Fate::Answered || throw.before_millis.max(throw.after_millis) > 500);
            stage.trace((self.id, operation, throw));
            throw
        };
        let error = |unknown, class| PortError { operation, unknown, class, message: "simulated".to_owned() };
        self.wait(throw.before_millis).await;
        match throw.fate {
            Fate::Refused(class) => return Err(error(false, class)),
            Fate::LostBefore => return Err(error(true, FailureClass::RetryLater)),
            Fate::CrashBefore => self.die().await,
            Fate::Answered | Fate::LostAfter | Fate::CrashAfter => {}
        }
        let answer = perform(&mut self.lock());
        if throw.fate == Fate::CrashAfter {
            self.die().await;
        }
        self.wait(throw.after_millis).await;
        if throw.fate == Fate::LostAfter { Err(error(true, FailureClass::RetryLater)) } else { answer }
    }
}

impl Configs for Port {
    fn queue(&self, queue: &str) -> impl Future<Output = Result<Arc<LoadConfig>, ConfigError>> + Send {
        let queue = queue.to_owned();
        async move {
            self.call("queue", |stage| Ok(stage.configs.get(&queue).cloned()))
                .await
                .map_err(ConfigError::Port)?
                .ok_or(ConfigError::Missing(queue))
        }
    }
}

impl Surroundings for Port {
    fn now(&self) -> Millis {
        self.lock().now + self.skew_millis
    }

    async fn sleep(&self, millis: u64) {
        self.wait(i64::try_from(millis).unwrap_or(0)).await;
    }

    fn report(&self, event: &Event) {
        let text = format!("{event:?}");
        let mut stage = self.lock();
        if text.contains("still not finished after") {
            stage.violation(format!("4 never stuck: {text}"));
        }
        stage.trace((self.id, text));
    }
}
