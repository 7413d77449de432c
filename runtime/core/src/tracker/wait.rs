//! How long a load waits after a failed attempt. The load keeps the slot.

use std::time::Duration;

use super::change::{Change, Note};
use super::context::Context;
use super::slot::{Held, RunningLoad, Step};
use crate::ids::{LoadId, Millis};
use crate::outcome::FailureClass;
use crate::pace::WAKE_MILLIS_MIN;
use crate::settings::Timing;

/// Number of quick retries of one load; after that, a failure that should be brief gets the growing wait.
const QUICK_ATTEMPTS_MAX: u32 = 5;
/// Longest wait between the probes of a table that waits for an operator in a warehouse with a pace, in milliseconds: six hours. A probe
/// may wake the warehouse; one that rides with another table's load comes sooner.
const PROBE_CAP_MILLIS: i64 = 6 * 3_600_000;

/// The wait after a refused submit. If the service is busy, the wait does not grow: otherwise a table that was often refused would fall
/// behind tables that have just begun to wait.
pub(super) fn refused(held: Held, class: FailureClass, reason: String, context: &Context) -> Change {
    if class != FailureClass::RetryLater {
        return wait(held, class, reason, context);
    }
    // `part` is half to all of the first period, so the wait is one to three periods.
    let part = backoff_millis(&LoadId(format!("{}{}", held.load.load_id, held.load.failures)), 1, context);
    let period = context.timing.backoff_base_millis.min(context.timing.backoff_cap_millis);
    wait_for(held, class, reason, 4 * part - period, context)
}

/// Waits for the next attempt, longer after each failure. For an operator's turn, the attempt is the probe.
pub fn wait(held: Held, class: FailureClass, reason: String, context: &Context) -> Change {
    let failures = held.load.failures + 1;
    let quick = matches!(class, FailureClass::RetryNow | FailureClass::Refresh) && failures <= QUICK_ATTEMPTS_MAX;
    let wakes = class == FailureClass::OperatorsTurn && held.load.source.recorded.pace.is_some();
    let delay = if quick {
        backoff_millis(&held.load.load_id, 1, context).min(1000)
    } else if wakes {
        let rare = Timing { backoff_cap_millis: PROBE_CAP_MILLIS, ..context.timing.clone() };
        backoff_millis(&held.load.load_id, failures, &Context { timing: &rare, ..*context })
    } else {
        backoff_millis(&held.load.load_id, failures, context)
    };
    wait_for(held, class, reason, delay, context)
}

fn wait_for(held: Held, class: FailureClass, reason: String, delay_millis: i64, context: &Context) -> Change {
    let failures = held.load.failures + 1;
    let step = Step::Waiting {
        not_before_millis: not_before(held.load, delay_millis, context),
        class,
        reason: reason.clone(),
    };
    let refreshes = held.load.refreshes + u32::from(class == FailureClass::Refresh);
    let awaits_operator = class == FailureClass::OperatorsTurn;
    let next = held.load.at(step, context.holder, context.now);
    let next = RunningLoad { failures, refreshes, awaits_operator, ..next };
    Change::step(held, next, Note::Failed { class, reason })
}

/// An attempt that comes soon finds the warehouse still awake. A later one does not wake it in hours in which nothing starts.
fn not_before(load: &RunningLoad, delay_millis: i64, context: &Context) -> Millis {
    let at = context.now + delay_millis;
    let morning = load.source.recorded.never_until(at).filter(|_| delay_millis > WAKE_MILLIS_MIN);
    morning.unwrap_or(at)
}

/// The wait doubles with every failure, up to the cap. Jitter is derived from the load id, so no randomness is needed.
pub(super) fn backoff_millis(load_id: &LoadId, failures: u32, context: &Context) -> i64 {
    let doubled = Duration::from_millis(context.timing.backoff_base_millis.unsigned_abs())
        .saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let full = i64::try_from(doubled.as_millis()).unwrap_or(i64::MAX).min(context.timing.backoff_cap_millis);
    let seed =
        load_id.0.bytes().fold(u64::from(failures), |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let percent = 50 + i64::try_from(seed % 51).unwrap_or(0);
    full * percent / 100
}
