//! Number and duration of the functions' invocations, as reported in the platform's log lines.

use anyhow::Result;
use loader_core::contract::Function;
use serde::Serialize;

use crate::ground::aws::Aws;
use crate::loader::logs;

/// Number and duration of invocations.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Invocations {
    pub count: u64,
    /// Invocations of `MicrobatchLoader`, each of which records a pending load.
    pub recording: usize,
    /// Total duration in seconds.
    pub seconds: f64,
}

/// The invocations that ended since this time (epoch milliseconds), as the platform reports them.
pub async fn since(aws: &Aws, stack: &str, since: i64) -> Result<Invocations> {
    let mut found = Invocations::default();
    for function in Function::ALL {
        for event in logs::events(&aws.logs(), stack, function, since).await? {
            if let Some(millis) = event.message.as_deref().and_then(reported_millis) {
                found.count += 1;
                found.recording += usize::from(function == Function::MicrobatchLoader);
                found.seconds += millis / 1e3;
            }
        }
    }
    Ok(found)
}

/// `REPORT RequestId: … Duration: 12.34 ms …`
fn reported_millis(message: &str) -> Option<f64> {
    let (_, after) = message.strip_prefix("REPORT ")?.split_once("\tDuration: ")?;
    after.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_reports_how_long_an_invocation_took() {
        let message = "REPORT RequestId: 1-2\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB";
        assert_eq!(reported_millis(message), Some(12.34));
        assert_eq!(reported_millis("END RequestId: 1-2"), None);
    }
}
