//! What to look at when a wait ended in vain: the tracker, the queue, the statements, the newest calls, the log.

use std::fmt::Write as _;

use loader_core::tracker::item::Item;
use local_stack::StackInfo;

use crate::table::Table;

const CALLS_SHOWN: usize = 25;
const LINES_SHOWN: usize = 25;
const STATEMENTS_SHOWN: usize = 8;
const CHARACTERS_SHOWN: usize = 600;

/// The state of a table, as text.
pub async fn of(table: &Table<'_>) -> String {
    let mut text = format!("--- {} ({} messages in its queue)\n", table.key(), table.n_messages().await);
    for (key, item) in table.items().await {
        if !matches!(item, Item::File(_)) {
            let _ = writeln!(text, "item {key}: {}", short(&format!("{item:?}")));
        }
    }
    for statement in table.statements().await.iter().take(STATEMENTS_SHOWN) {
        let _ = writeln!(text, "statement {} {}: {}", statement["name"], statement["status"], statement["error"]);
    }
    let calls = table.world.admin.log(0).await.unwrap_or_default();
    for call in calls.iter().rev().filter(|call| call.function.is_some()).take(CALLS_SHOWN) {
        let function = call.function.as_deref().unwrap_or_default();
        let fault = call.fault.as_deref().unwrap_or_default();
        let _ = writeln!(text, "call {function} {}:{} {:?} {fault}", call.service, call.operation, call.status);
    }
    for line in log_lines(table.world.stack.info(), &table.key().0).iter().rev().take(LINES_SHOWN) {
        let _ = writeln!(text, "log {}", short(line));
    }
    text
}

/// Lines of the functions' log that contain `part`, oldest first.
pub fn log_lines(info: &StackInfo, part: &str) -> Vec<String> {
    let bytes = std::fs::read(info.log_dir.join("ministack.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
}

fn short(text: &str) -> String {
    text.chars().take(CHARACTERS_SHOWN).collect()
}
