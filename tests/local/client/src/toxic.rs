//! Toxics: which calls the gateway disturbs, and how.

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
