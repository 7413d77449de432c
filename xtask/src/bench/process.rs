//! What Linux reports about a process; 0 if there is no `/proc`.

use std::fs;

/// CPU time of all its threads, in milliseconds.
pub fn cpu_millis(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| first_number(&fs::read_to_string(thread.path().join("schedstat")).ok()?));
    nanos.sum::<f64>() / 1e6
}

/// Its peak resident memory in bytes.
pub fn memory_bytes(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(first_number).unwrap_or_default() * 1024.0
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_used_time_and_memory() {
        let pid = std::process::id();
        assert!(cpu_millis(pid) > 0.0);
        assert!(memory_bytes(pid) > 1e6);
    }
}
