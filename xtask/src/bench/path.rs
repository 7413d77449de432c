//! The path from a message to its statement, as the gateway saw the calls of `MicrobatchLoader`.

use anyhow::{Context, Result};
use loader_core::contract::Function;
use local_client::calls::{LogEntry, Port};

/// From the first call until the statement's id is about to be recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// Total duration.
    pub millis: f64,
    /// The longest gap between two calls.
    pub longest_gap_millis: f64,
}

/// Finds the path in the calls for one file.
pub fn of(log: &[LogEntry]) -> Result<Path> {
    let is_microbatch = |entry: &&LogEntry| {
        entry.port == Port::Functions
            && entry.function.as_ref().is_none_or(|name| name.ends_with(Function::MicrobatchLoader.name()))
    };
    let calls: Vec<&LogEntry> = log.iter().filter(is_microbatch).collect();
    let put = |entry: &&LogEntry| entry.operation == "PutItem";
    let first = calls.iter().position(put).context("nothing was recorded")?;
    let submit = calls.iter().position(|entry| entry.operation == "BatchExecuteStatement").context("no submit")?;
    let last = calls.iter().skip(submit).position(put).context("no statement id was recorded")? + submit;
    let times: Vec<u64> = calls[first..=last].iter().map(|entry| entry.at_millis).collect();
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    let path = |millis: u64, gap: u64| Path { millis: millis as f64, longest_gap_millis: gap as f64 };
    Ok(path(times[times.len() - 1] - times[0], gaps.max().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at_millis: u64, operation: &str, function: Function) -> LogEntry {
        LogEntry {
            sequence: at_millis,
            at_millis,
            port: Port::Functions,
            service: "dynamodb".to_owned(),
            operation: operation.to_owned(),
            status: Some(200),
            fault: None,
            pid: None,
            function: Some(format!("loader-{}", function.name())),
        }
    }

    #[test]
    fn the_path_ends_where_the_statement_id_is_recorded() {
        let micro = Function::MicrobatchLoader;
        let log = [
            call(1, "Scan", Function::NextLoader),
            call(10, "PutItem", micro),
            call(12, "Query", micro),
            call(20, "PutItem", micro),
            call(21, "BatchExecuteStatement", micro),
            call(24, "PutItem", micro),
            call(90, "Query", Function::NextLoader),
        ];
        assert_eq!(of(&log).expect("a path"), Path { millis: 14.0, longest_gap_millis: 8.0 });
        assert!(of(&log[..4]).is_err());
    }
}
