//! Applies toxics. This is deterministic: the same calls in the same order get the same faults.

use local_client::calls::Port;
use local_client::{PortFilter, Toxic, ToxicKind, ToxicState};

use super::classify::Operation;

/// All toxics, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Toxics {
    states: Vec<ToxicState>,
    added: u64,
}

impl Toxics {
    /// Adds a toxic, replacing one of the same name, and returns its name.
    pub fn add(&mut self, mut toxic: Toxic) -> String {
        self.added += 1;
        let id = toxic.id.take().unwrap_or_else(|| format!("toxic-{}", self.added));
        toxic.id = Some(id.clone());
        self.remove(&id);
        self.states.push(ToxicState { toxic, matches: 0, applied: 0 });
        id
    }

    /// Removes a toxic. Returns whether it existed.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.states.len();
        self.states.retain(|state| state.toxic.id.as_deref() != Some(id));
        self.states.len() < before
    }

    /// Removes all toxics.
    pub fn clear(&mut self) {
        self.states.clear();
    }

    /// All toxics with their counts.
    pub fn states(&self) -> &[ToxicState] {
        &self.states
    }

    /// The faults for this call, in order. Every matching toxic counts the call.
    pub fn fate(&mut self, port: Port, operation: &Operation, function: Option<&str>) -> Vec<ToxicKind> {
        let mut fate = Vec::new();
        for state in &mut self.states {
            if matches(&state.toxic, port, operation, function) && counts(state) {
                fate.push(state.toxic.kind.clone());
            }
        }
        fate
    }
}

fn matches(toxic: &Toxic, port: Port, operation: &Operation, function: Option<&str>) -> bool {
    let port_matches = match toxic.port {
        PortFilter::Functions => port == Port::Functions,
        PortFilter::Users => port == Port::Users,
        PortFilter::Any => true,
    };
    port_matches
        && toxic.service.as_ref().is_none_or(|service| *service == operation.service)
        && toxic.operation.as_ref().is_none_or(|name| *name == operation.name)
        && toxic.function.as_deref().is_none_or(|name| Some(name) == function)
}

/// Counts a matching call and returns whether the toxic is applied to it.
fn counts(state: &mut ToxicState) -> bool {
    let position = state.matches;
    state.matches += 1;
    let toxic = &state.toxic;
    let exhausted = toxic.times.is_some_and(|times| state.applied >= times);
    let chosen = toxic.probability.is_none_or(|share| fraction(toxic.seed, position) < share);
    let applies = position >= toxic.after_matches && !exhausted && chosen;
    state.applied += u64::from(applies);
    applies
}

/// A number from 0 to 1 that depends only on seed and position (the `splitmix64` generator).
fn fraction(seed: u64, position: u64) -> f64 {
    let mut x = seed.wrapping_add(position.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    let top = u32::try_from(x >> 32).unwrap_or(u32::MAX);
    f64::from(top) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(service: &str, name: &str) -> Operation {
        Operation { service: service.into(), name: name.into() }
    }

    fn disturbed(toxic: Toxic, calls: usize) -> Vec<usize> {
        let mut toxics = Toxics::default();
        toxics.add(toxic);
        let call = operation("dynamodb", "PutItem");
        (0..calls).filter(|_| !toxics.fate(Port::Functions, &call, None).is_empty()).collect()
    }

    #[test]
    fn a_toxic_can_be_applied_once_to_the_nth_matching_call() {
        assert_eq!(disturbed(Toxic::new(ToxicKind::KillBefore).once_after(3), 10), [3]);
    }

    #[test]
    fn without_limits_a_toxic_is_applied_to_every_call() {
        assert_eq!(disturbed(Toxic::new(ToxicKind::Throttle), 3), [0, 1, 2]);
    }

    #[test]
    fn the_share_chosen_by_probability_depends_only_on_the_seed() {
        let toxic = Toxic { probability: Some(0.25), seed: 7, ..Toxic::new(ToxicKind::Throttle) };
        let first = disturbed(toxic.clone(), 1000);
        assert_eq!(first, disturbed(toxic.clone(), 1000));
        assert!((200..300).contains(&first.len()), "{} of 1000", first.len());
        assert_ne!(first, disturbed(Toxic { seed: 8, ..toxic }, 1000));
    }

    #[test]
    fn filters_must_all_match() {
        let mut toxics = Toxics::default();
        let mut toxic = Toxic::new(ToxicKind::Double).on("s3", "PutObject");
        toxic.function = Some("loader".into());
        toxics.add(toxic);
        let put = operation("s3", "PutObject");
        assert!(toxics.fate(Port::Functions, &put, None).is_empty());
        assert!(toxics.fate(Port::Functions, &operation("s3", "GetObject"), Some("loader")).is_empty());
        assert!(toxics.fate(Port::Users, &put, Some("loader")).is_empty());
        assert_eq!(toxics.fate(Port::Functions, &put, Some("loader")), [ToxicKind::Double]);
        assert_eq!((toxics.states()[0].matches, toxics.states()[0].applied), (1, 1));
    }

    #[test]
    fn a_toxic_replaces_one_of_the_same_name() {
        let mut toxics = Toxics::default();
        toxics.add(Toxic { id: Some("a".into()), ..Toxic::new(ToxicKind::Double) });
        toxics.add(Toxic { id: Some("a".into()), ..Toxic::new(ToxicKind::Throttle) });
        assert_eq!(toxics.states().len(), 1);
        assert!(toxics.remove("a"));
        assert!(!toxics.remove("a"));
    }
}
