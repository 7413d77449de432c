//! `cargo xtask status`: per table what runs, what waits, what is in quarantine.

use anyhow::Result;
use clap::Args;
use loader_core::tracker::item::{History, Item, Quarantined};
use loader_core::tracker::slot::RunningLoad;
use serde_json::{Value, json};

use crate::ground::aws::AwsArgs;
use crate::ground::clock::now_millis;
use crate::ground::output::{Format, Out, seconds};
use crate::ground::stack_name::STACK_NAME_DEFAULT;
use crate::loader::tracker::{Kind, Order, Tracker};
use crate::operate::tables::{ITEMS_MAX, Tables, step};

/// `cargo xtask status`
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Name of the stack
    #[arg(long, default_value = STACK_NAME_DEFAULT)]
    stack_name: String,
    #[command(flatten)]
    aws: AwsArgs,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// What a table is doing.
struct TableStatus {
    table: String,
    running: Option<RunningLoad>,
    n_pending: usize,
    n_waiting: usize,
    oldest_millis: Option<i64>,
    failed: Vec<Quarantined>,
    last: Option<History>,
}

pub async fn run(args: &StatusArgs) -> Result<()> {
    let out = Out::new(args.output);
    let tables = Tables::of_stack(&args.aws, &args.stack_name).await?;
    let mut found = Vec::new();
    for table in tables.known().await? {
        let status = read(&tables.tracker, table).await?;
        status.show(out);
        found.push(status.json());
    }
    if found.is_empty() {
        out.line("   no table is configured: cargo xtask queue add …");
    }
    out.result(&found)
}

async fn read(tracker: &Tracker, table: String) -> Result<TableStatus> {
    let mut status = TableStatus {
        table,
        running: None,
        n_pending: 0,
        n_waiting: 0,
        oldest_millis: None,
        failed: Vec::new(),
        last: None,
    };
    let table = status.table.clone();
    let mut items = tracker.items(&table, Kind::Slot, Order::OldestFirst, 1).await?;
    items.extend(tracker.items(&table, Kind::Pending, Order::OldestFirst, ITEMS_MAX).await?);
    items.extend(tracker.items(&table, Kind::Failed, Order::OldestFirst, ITEMS_MAX).await?);
    items.extend(tracker.items(&table, Kind::Loaded, Order::NewestFirst, 1).await?);
    for item in items {
        match item {
            Item::Slot(slot) => status.running = slot.load,
            Item::Pending(pending) => {
                status.n_pending += 1;
                status.n_waiting += pending.objects.len();
                let oldest =
                    status.oldest_millis.map_or(pending.recorded_millis, |known| known.min(pending.recorded_millis));
                status.oldest_millis = Some(oldest);
            }
            Item::Failed(failed) => status.failed.push(failed),
            Item::Loaded(history) => status.last = Some(history),
            Item::File(_) => {}
        }
    }
    Ok(status)
}

impl TableStatus {
    fn show(&self, out: Out) {
        out.line(out.bold(&self.table));
        if let Some(running) = &self.running {
            out.line(format!(
                "   running     load {}, attempt {}, {}",
                running.load_id,
                running.attempt,
                step(&running.step)
            ));
        }
        let age = self.oldest_millis.map_or_else(String::new, |since| format!(", the oldest for {}", ago(since)));
        out.line(format!("   waiting     {} files in {} pending loads{age}", self.n_waiting, self.n_pending));
        for failed in &self.failed {
            // The warehouse draws boxes; the words are what matters here.
            let words: Vec<&str> = failed.error.split_whitespace().filter(|word| !word.starts_with("---")).collect();
            out.line(format!("   {}  {} ({})", out.bad("quarantine"), words.join(" "), failed.class.name()));
            for object in &failed.objects {
                out.line(format!("               {}", object.object));
            }
            out.line(format!("               {}", failed.remedy));
        }
        if let Some(last) = &self.last {
            let rows = last.rows.map_or_else(String::new, |rows| format!(", {rows} rows"));
            out.line(format!(
                "   last load   {} files{rows}, {} ago, statement {}",
                last.n_objects,
                ago(at(&last.key.0)),
                last.statement_id
            ));
        }
    }

    fn json(&self) -> Value {
        let running = self.running.as_ref().map(|running| {
            json!({"load_id": running.load_id.0, "attempt": running.attempt, "step": step(&running.step),
                "statement_id": running.statement_id(), "since_millis": running.claimed_millis})
        });
        let quarantine: Vec<Value> = self
            .failed
            .iter()
            .map(|failed| {
                let objects: Vec<String> = failed.objects.iter().map(|object| object.object.to_string()).collect();
                json!({"objects": objects, "class": failed.class.name(), "error": failed.error, "remedy": failed.remedy,
                "statement_id": failed.statement_id})
            })
            .collect();
        let last = self.last.as_ref().map(|last| {
            json!({"load_id": last.load_id.0, "objects": last.n_objects, "rows": last.rows, "bytes": last.size_bytes,
                "statement_id": last.statement_id, "at_millis": at(&last.key.0)})
        });
        json!({"table": self.table, "running": running, "pending_loads": self.n_pending, "waiting_objects": self.n_waiting,
            "oldest_waiting_since_millis": self.oldest_millis, "quarantine": quarantine, "last_load": last})
    }
}

/// The time in a sort key.
fn at(key: &str) -> i64 {
    key.split('#').nth(1).and_then(|millis| millis.parse().ok()).unwrap_or(0)
}

fn ago(millis: i64) -> String {
    seconds(std::time::Duration::from_millis(now_millis().saturating_sub(millis).unsigned_abs()))
}
