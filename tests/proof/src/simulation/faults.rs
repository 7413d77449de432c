//! The random outcome of a call.

use loader_core::limits::INVOCATION_MILLIS_MAX;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Millis;
use rand::Rng;
use rand::rngs::StdRng;

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Done, with a reply.
    Answered,
    /// Certainly not done.
    Refused(FailureClass),
    /// Not done, without a reply.
    LostBefore,
    /// Done, without a reply.
    LostAfter,
    /// The invocation dies before the call is done.
    CrashBefore,
    /// The invocation dies after the call is done.
    CrashAfter,
}

/// The outcome of a call, with its delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Throw {
    /// Delay until it takes effect.
    pub before_millis: Millis,
    /// Delay until the reply arrives.
    pub after_millis: Millis,
    /// The outcome.
    pub fate: Fate,
}

/// Chooses the outcome of a call.
pub fn throw(rng: &mut StdRng, per_mille: u32, outage: bool) -> Throw {
    let mut throw =
        Throw { before_millis: rng.random_range(1..30), after_millis: rng.random_range(1..30), fate: Fate::Answered };
    if outage {
        throw.fate = Fate::LostBefore;
    } else if rng.random_range(0..1000) < per_mille {
        throw.fate = match rng.random_range(0..8) {
            0 | 1 => Fate::Refused(FailureClass::RetryLater),
            2 => Fate::Refused(FailureClass::OperatorsTurn),
            3 => Fate::LostBefore,
            4 => Fate::LostAfter,
            5 => Fate::CrashBefore,
            6 => Fate::CrashAfter,
            _ => {
                let long = if rng.random_range(0..10) == 0 { INVOCATION_MILLIS_MAX } else { 90_000 };
                let pause = rng.random_range(1_000..long);
                if rng.random() {
                    throw.before_millis = pause;
                } else {
                    throw.after_millis = pause;
                }
                Fate::Answered
            }
        };
    }
    throw
}
