//! The record of calls: counts per port, service and operation, and a bounded log of the newest ones.

use std::collections::VecDeque;

use local_client::calls::{Calls, LogEntry, Port};

use super::caller::Caller;
use super::classify::Operation;

/// Maximum number of calls in the log. Older ones are removed; the counts include them.
pub const LOG_ENTRIES_MAX: usize = 20_000;

/// Counts and log.
#[derive(Debug, Default)]
pub struct Record {
    calls: Calls,
    log: VecDeque<LogEntry>,
    last_sequence: u64,
}

impl Record {
    /// Records the arrival of a call and returns its sequence number.
    pub fn arrived(&mut self, port: Port, operation: &Operation, caller: Option<&Caller>, at_millis: u64) -> u64 {
        let counts = match port {
            Port::Functions => &mut self.calls.functions,
            Port::Users => &mut self.calls.users,
        };
        let service = counts.entry(operation.service.clone()).or_default();
        *service.entry(operation.name.clone()).or_default() += 1;
        self.last_sequence += 1;
        if self.log.len() == LOG_ENTRIES_MAX {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry {
            sequence: self.last_sequence,
            at_millis,
            port,
            service: operation.service.clone(),
            operation: operation.name.clone(),
            status: None,
            fault: None,
            pid: caller.map(|caller| caller.pid),
            function: caller.and_then(|caller| caller.function.clone()),
        });
        self.last_sequence
    }

    /// Records a toxic that was applied to a call.
    pub fn disturbed(&mut self, sequence: u64, fault: &str) {
        if let Some(entry) = self.entry(sequence) {
            let earlier = entry.fault.take().map(|earlier| earlier + ", ").unwrap_or_default();
            entry.fault = Some(earlier + fault);
        }
    }

    /// Records the status of a call's response.
    pub fn answered(&mut self, sequence: u64, status: u16) {
        if let Some(entry) = self.entry(sequence) {
            entry.status = Some(status);
        }
    }

    /// All counts.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Clears counts and log. Sequence numbers continue.
    pub fn reset(&mut self) {
        self.calls = Calls::default();
        self.log.clear();
    }

    /// The calls in the log after `sequence`, oldest first.
    pub fn log_after(&self, sequence: u64) -> impl Iterator<Item = &LogEntry> {
        self.log.iter().filter(move |entry| entry.sequence > sequence)
    }

    fn entry(&mut self, sequence: u64) -> Option<&mut LogEntry> {
        let first = self.log.front()?.sequence;
        let index = usize::try_from(sequence.checked_sub(first)?).ok()?;
        self.log.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get_item() -> Operation {
        Operation { service: "dynamodb".into(), name: "GetItem".into() }
    }

    #[test]
    fn calls_are_counted_per_port() {
        let mut record = Record::default();
        record.arrived(Port::Functions, &get_item(), None, 0);
        record.arrived(Port::Functions, &get_item(), None, 0);
        record.arrived(Port::Users, &get_item(), None, 0);
        assert_eq!(record.calls().functions["dynamodb"]["GetItem"], 2);
        assert_eq!(record.calls().users["dynamodb"]["GetItem"], 1);
    }

    #[test]
    fn statuses_are_recorded_for_the_right_call_even_after_a_reset() {
        let mut record = Record::default();
        let before_reset = record.arrived(Port::Users, &get_item(), None, 0);
        record.reset();
        let first = record.arrived(Port::Users, &get_item(), None, 0);
        let second = record.arrived(Port::Users, &get_item(), None, 0);
        record.answered(second, 200);
        record.answered(before_reset, 500);
        let statuses: Vec<_> = record.log_after(0).map(|entry| (entry.sequence, entry.status)).collect();
        assert_eq!(statuses, [(first, None), (second, Some(200))]);
    }

    #[test]
    fn the_log_is_bounded() {
        let mut record = Record::default();
        for _ in 0..LOG_ENTRIES_MAX + 5 {
            record.arrived(Port::Users, &get_item(), None, 0);
        }
        assert_eq!(record.log_after(0).count(), LOG_ENTRIES_MAX);
    }
}
