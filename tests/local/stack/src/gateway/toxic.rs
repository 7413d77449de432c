//! Toxics: which calls are disturbed, and how. Deterministic: the same calls in the same order meet the same fate.

use super::calls::Port;
use super::classify::Operation;
use serde::{Deserialize, Serialize};

/// A rule that disturbs matching calls. Everything that is not given matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toxic {
    /// Name for listing and removal; chosen when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which port's calls; only the functions' unless said.
    #[serde(default)]
    pub port: PortFilter,
    /// Signing name of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// API name of the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Name of the calling function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Number of matching calls that pass undisturbed first.
    #[serde(default)]
    pub after_matches: u64,
    /// Largest number of calls that are disturbed; unlimited when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Share of the matching calls that are disturbed, 0 to 1; all when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Seed of the choice made with `probability`.
    #[serde(default)]
    pub seed: u64,
    /// What happens.
    pub kind: ToxicKind,
}

impl Toxic {
    /// A toxic for every call of the functions.
    pub fn new(kind: ToxicKind) -> Self {
        Self {
            id: None,
            port: PortFilter::Functions,
            service: None,
            operation: None,
            function: None,
            after_matches: 0,
            times: None,
            probability: None,
            seed: 0,
            kind,
        }
    }

    /// Only calls of one operation.
    #[must_use]
    pub fn on(mut self, service: &str, operation: &str) -> Self {
        self.service = Some(service.to_owned());
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only the matching call after `n` others.
    #[must_use]
    pub fn once_after(mut self, n: u64) -> Self {
        self.after_matches = n;
        self.times = Some(1);
        self
    }

    /// Calls of this port instead of the functions'.
    #[must_use]
    pub fn port(mut self, port: PortFilter) -> Self {
        self.port = port;
        self
    }
}

/// Ports that a toxic looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortFilter {
    /// Calls of the functions.
    #[default]
    Functions,
    /// Calls of users, tools and tests.
    Users,
    /// All calls.
    Any,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToxicKind {
    /// Answered with an error; not forwarded.
    Error {
        /// HTTP status.
        status: u16,
        /// Error code in the service's words.
        code: String,
        /// Error text.
        message: String,
    },
    /// Answered with the service's own throttling error; not forwarded.
    Throttle,
    /// Forwarded after a wait.
    DelayMillis(u64),
    /// The connection is closed; not forwarded.
    DropRequest,
    /// Forwarded; the connection is closed instead of answering.
    DropResponse,
    /// Forwarded twice, one after the other; the second answer is sent, as to a client that tried again.
    Double,
    /// The calling process is killed; not forwarded.
    KillBefore,
    /// Forwarded; the calling process is killed before the answer.
    KillAfter,
}

impl ToxicKind {
    /// Its name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::Throttle => "throttle",
            Self::DelayMillis(_) => "delay_millis",
            Self::DropRequest => "drop_request",
            Self::DropResponse => "drop_response",
            Self::Double => "double",
            Self::KillBefore => "kill_before",
            Self::KillAfter => "kill_after",
        }
    }
}

/// A toxic and what it has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToxicState {
    /// The toxic, with its name.
    #[serde(flatten)]
    pub toxic: Toxic,
    /// Calls that matched.
    pub matches: u64,
    /// Calls that were disturbed.
    pub applied: u64,
}

impl ToxicState {
    fn new(toxic: Toxic) -> Self {
        Self { toxic, matches: 0, applied: 0 }
    }

    /// Counts a matching call; answers whether it is disturbed.
    fn counts(&mut self) -> bool {
        let position = self.matches;
        self.matches += 1;
        let toxic = &self.toxic;
        let exhausted = toxic.times.is_some_and(|times| self.applied >= times);
        let chosen = toxic.probability.is_none_or(|share| fraction(toxic.seed, position) < share);
        let applies = position >= toxic.after_matches && !exhausted && chosen;
        self.applied += u64::from(applies);
        applies
    }

    fn matches(&self, port: Port, operation: &Operation, function: Option<&str>) -> bool {
        let toxic = &self.toxic;
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
}

/// All toxics, in the order they were added.
#[derive(Debug, Default)]
pub struct Toxics {
    states: Vec<ToxicState>,
    added: u64,
}

impl Toxics {
    /// Adds one, or replaces the one with its name; answers the name.
    pub fn add(&mut self, mut toxic: Toxic) -> String {
        self.added += 1;
        let id = toxic.id.take().unwrap_or_else(|| format!("toxic-{}", self.added));
        toxic.id = Some(id.clone());
        self.remove(&id);
        self.states.push(ToxicState::new(toxic));
        id
    }

    /// Removes one; whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.states.len();
        self.states.retain(|state| state.toxic.id.as_deref() != Some(id));
        self.states.len() < before
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.states.clear();
    }

    /// All of them with their counts.
    pub fn states(&self) -> &[ToxicState] {
        &self.states
    }

    /// What happens to this call: each matching toxic counts it; those that apply are answered in order.
    pub fn fate(&mut self, port: Port, operation: &Operation, function: Option<&str>) -> Vec<ToxicKind> {
        let mut fate = Vec::new();
        for state in &mut self.states {
            if state.matches(port, operation, function) && state.counts() {
                fate.push(state.toxic.kind.clone());
            }
        }
        fate
    }
}

/// A number from 0 to 1 that depends on seed and position only (the `splitmix64` generator).
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
    fn the_nth_matching_call_is_disturbed_once() {
        assert_eq!(disturbed(Toxic::new(ToxicKind::KillBefore).once_after(3), 10), [3]);
    }

    #[test]
    fn without_limits_every_call_is_disturbed() {
        assert_eq!(disturbed(Toxic::new(ToxicKind::Throttle), 3), [0, 1, 2]);
    }

    #[test]
    fn a_probability_disturbs_its_share_the_same_way_each_time() {
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
    fn the_json_of_a_toxic_is_short() {
        let toxic: Toxic = serde_json::from_str(r#"{"service": "sqs", "kind": {"delay_millis": 5}}"#).expect("valid");
        assert_eq!(toxic.kind, ToxicKind::DelayMillis(5));
        assert_eq!(toxic.port, PortFilter::Functions);
        let toxic: Toxic = serde_json::from_str(r#"{"port": "any", "kind": "kill_after", "times": 1}"#).expect("valid");
        assert_eq!((toxic.port, toxic.times, toxic.kind), (PortFilter::Any, Some(1), ToxicKind::KillAfter));
        assert!(serde_json::from_str::<Toxic>(r#"{"kind": "explode"}"#).is_err());
        assert!(serde_json::from_str::<Toxic>(r#"{"kind": "double", "srevice": "s3"}"#).is_err());
    }

    #[test]
    fn a_toxic_with_a_known_name_replaces_it() {
        let mut toxics = Toxics::default();
        toxics.add(Toxic { id: Some("a".into()), ..Toxic::new(ToxicKind::Double) });
        toxics.add(Toxic { id: Some("a".into()), ..Toxic::new(ToxicKind::Throttle) });
        assert_eq!(toxics.states().len(), 1);
        assert!(toxics.remove("a"));
        assert!(!toxics.remove("a"));
    }
}
