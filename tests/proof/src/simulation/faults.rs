//! How a call goes: the dice.

use loader_core::limits::INVOCATION_MILLIS_MAX;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Millis;
use rand::Rng;
use rand::rngs::StdRng;

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Done and answered.
    Answered,
    /// Certainly not done.
    Refused(FailureClass),
    /// No answer; not done.
    LostBefore,
    /// No answer; done.
    LostAfter,
    /// The invocation dies; not done.
    CrashBefore,
    /// The invocation dies; done.
    CrashAfter,
}

/// What the dice say about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Throw {
    /// Until it takes effect.
    pub before_millis: Millis,
    /// Until the answer arrives.
    pub after_millis: Millis,
    /// How it goes.
    pub fate: Fate,
}

/// Throws the dice.
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
