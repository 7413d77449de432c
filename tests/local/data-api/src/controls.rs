//! The faults that tests have requested: statements that fail, are held or delayed, and events that are lost.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::Latency;
use crate::clock::Clock;

const ACTIVE_LIMIT_DEFAULT: usize = 500;

/// The requested faults and settings.
pub(crate) struct Controls {
    state: Mutex<Inner>,
    released: Notify,
}

struct Inner {
    latency: Latency,
    active_limit: usize,
    failures: Vec<Fail>,
    holds: Vec<Hold>,
    events: EventFaults,
    roles: Option<Vec<String>>,
}

/// The point at which a statement is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Stage {
    /// Before anything is done.
    #[default]
    Submitted,
    /// Before the commit.
    Commit,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fail {
    name: String,
    #[serde(default = "once")]
    times: u32,
    error: Option<String>,
    status: Option<String>,
}

fn once() -> u32 {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    name: String,
    #[serde(default)]
    at: Stage,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventFaults {
    drop: u32,
    double: u32,
    delay_millis: u64,
}

/// The requested end of a statement.
pub(crate) struct Failure {
    pub aborts: bool,
    pub error: Option<String>,
}

/// What happens to a status change.
pub(crate) struct EventFault {
    pub lost: bool,
    pub doubled: bool,
    pub delay_millis: u64,
}

impl Controls {
    pub(crate) fn new(latency: Latency) -> Self {
        let (failures, holds, events) = (Vec::new(), Vec::new(), EventFaults::default());
        let state = Inner { latency, active_limit: ACTIVE_LIMIT_DEFAULT, failures, holds, events, roles: None };
        Self { state: Mutex::new(state), released: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn latency(&self) -> Latency {
        self.lock().latency
    }

    pub(crate) fn active_limit(&self) -> usize {
        self.lock().active_limit
    }

    /// Roles attached to the warehouses; `None` stands for all roles.
    pub(crate) fn roles(&self) -> Option<Vec<String>> {
        self.lock().roles.clone()
    }

    /// Waits until no hold at this stage matches the name.
    pub(crate) async fn wait(&self, name: &str, stage: Stage) {
        loop {
            let released = self.released.notified();
            let mut released = std::pin::pin!(released);
            released.as_mut().enable();
            if !self.lock().holds.iter().any(|hold| hold.at == stage && name.contains(&hold.name)) {
                return;
            }
            released.await;
        }
    }

    pub(crate) fn take_failure(&self, name: &str) -> Option<Failure> {
        let mut state = self.lock();
        let index = state.failures.iter().position(|fail| name.contains(&fail.name))?;
        let fail = &mut state.failures[index];
        fail.times = fail.times.saturating_sub(1);
        let aborts = fail.status.as_deref() == Some("ABORTED");
        let error = fail.error.clone().or_else(|| (!aborts).then(|| "ERROR: failed on request".to_owned()));
        if fail.times == 0 {
            state.failures.remove(index);
        }
        Some(Failure { aborts, error })
    }

    pub(crate) fn take_event_fault(&self) -> EventFault {
        let mut state = self.lock();
        let delay_millis = state.events.delay_millis;
        if state.events.drop > 0 {
            state.events.drop -= 1;
            return EventFault { lost: true, doubled: false, delay_millis };
        }
        let doubled = state.events.double > 0;
        state.events.double = state.events.double.saturating_sub(1);
        EventFault { lost: false, doubled, delay_millis }
    }

    /// Applies a change to later statements and events.
    pub(crate) fn apply(&self, change: Change) {
        let mut state = self.lock();
        if change.reset == Some(true) {
            state.failures.clear();
            state.holds.clear();
            state.events = EventFaults::default();
            state.active_limit = ACTIVE_LIMIT_DEFAULT;
            state.roles = None;
        }
        state.latency.queued_millis = change.queued_millis.unwrap_or(state.latency.queued_millis);
        state.latency.started_millis = change.started_millis.unwrap_or(state.latency.started_millis);
        state.active_limit = change.active_limit.unwrap_or(state.active_limit);
        state.events = change.events.unwrap_or(state.events);
        if change.roles.is_some() {
            state.roles = change.roles;
        }
        if let Some(name) = change.release {
            state.holds.retain(|hold| hold.name != name);
        }
        state.holds.extend(change.hold);
        state.failures.extend(change.fail);
        drop(state);
        self.released.notify_waiters();
    }

    pub(crate) fn shown(&self, clock: &Clock) -> Value {
        let state = self.lock();
        json!({
            "queued_millis": state.latency.queued_millis,
            "started_millis": state.latency.started_millis,
            "active_limit": state.active_limit,
            "now_millis": clock.now(),
            "holds": state.holds.iter().map(|hold| json!({"name": hold.name, "at": format!("{:?}", hold.at).to_uppercase()})).collect::<Vec<_>>(),
            "failures": state.failures.iter().map(|fail| json!({"name": fail.name, "times": fail.times})).collect::<Vec<_>>(),
            "roles": state.roles,
            "events": {"drop": state.events.drop, "double": state.events.double, "delay_millis": state.events.delay_millis},
        })
    }
}

/// The body of `POST /_standin/settings`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Change {
    queued_millis: Option<u64>,
    started_millis: Option<u64>,
    active_limit: Option<usize>,
    pub shift_clock_seconds: Option<i64>,
    pub forget_statements: Option<String>,
    pub forget_tokens: Option<bool>,
    fail: Option<Fail>,
    hold: Option<Hold>,
    release: Option<String>,
    events: Option<EventFaults>,
    roles: Option<Vec<String>>,
    reset: Option<bool>,
}

impl Change {
    /// Checks the values. The error names an invalid one.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.fail.as_ref().and_then(|fail| fail.status.as_deref()) {
            None | Some("FAILED" | "ABORTED") => Ok(()),
            Some(status) => Err(format!("status `{status}` is neither FAILED nor ABORTED")),
        }
    }
}
