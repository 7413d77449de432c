//! Toxics: faults that the gateway injects, and the calls that they match.

use serde::{Deserialize, Serialize};

/// A fault for matching calls. Fields that are absent match every call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toxic {
    /// Name, for listing and removal; default: generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Port of the calls; default: that of the functions.
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
    /// Number of matching calls that pass first.
    #[serde(default)]
    pub after_matches: u64,
    /// Maximum number of calls that the toxic is applied to; default: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Share of the matching calls that the toxic is applied to, 0 to 1; default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Seed of the random choice with `probability`.
    #[serde(default)]
    pub seed: u64,
    /// What happens.
    pub kind: ToxicKind,
}

impl Toxic {
    /// A toxic for all calls of the functions.
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

    /// Matches only calls of one operation.
    #[must_use]
    pub fn on(mut self, service: &str, operation: &str) -> Self {
        self.service = Some(service.to_owned());
        self.operation = Some(operation.to_owned());
        self
    }

    /// Applies the toxic once, after `n` matching calls.
    #[must_use]
    pub fn once_after(mut self, n: u64) -> Self {
        self.after_matches = n;
        self.times = Some(1);
        self
    }

    /// Matches calls of this port instead of the functions'.
    #[must_use]
    pub fn port(mut self, port: PortFilter) -> Self {
        self.port = port;
        self
    }
}

/// Ports whose calls a toxic matches.
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
    /// Returns an error; the call is not forwarded.
    Error {
        /// HTTP status.
        status: u16,
        /// Error code of the service.
        code: String,
        /// Error message.
        message: String,
    },
    /// Returns the service's throttling error; the call is not forwarded.
    Throttle,
    /// Forwards the call after a delay.
    DelayMillis(u64),
    /// Closes the connection; the call is not forwarded.
    DropRequest,
    /// Forwards the call and closes the connection instead of returning the response.
    DropResponse,
    /// Forwards the call twice in a row and returns the second response, as if the client had retried.
    Double,
    /// Kills the calling process; the call is not forwarded.
    KillBefore,
    /// Forwards the call and kills the calling process before it receives the response.
    KillAfter,
}

impl ToxicKind {
    /// The kind's name in the JSON.
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

/// A toxic with its counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToxicState {
    /// The toxic; its name is set.
    #[serde(flatten)]
    pub toxic: Toxic,
    /// Calls that matched.
    pub matches: u64,
    /// Calls that the toxic was applied to.
    pub applied: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_a_toxic_needs_only_its_kind() {
        let toxic: Toxic = serde_json::from_str(r#"{"service": "sqs", "kind": {"delay_millis": 5}}"#).expect("valid");
        assert_eq!(toxic.kind, ToxicKind::DelayMillis(5));
        assert_eq!(toxic.port, PortFilter::Functions);
        let toxic: Toxic = serde_json::from_str(r#"{"port": "any", "kind": "kill_after", "times": 1}"#).expect("valid");
        assert_eq!((toxic.port, toxic.times, toxic.kind), (PortFilter::Any, Some(1), ToxicKind::KillAfter));
        assert!(serde_json::from_str::<Toxic>(r#"{"kind": "explode"}"#).is_err());
        assert!(serde_json::from_str::<Toxic>(r#"{"kind": "double", "srevice": "s3"}"#).is_err());
    }
}
