//! The end of the demo: compares what was uploaded, what was loaded, and what is in the warehouse.

use anyhow::{Context, Result};
use local_client::{GatewayAdmin, StackInfo};

use super::data::Data;
use super::logs_hint;
use super::watch::Watch;
use crate::ground::aws::Aws;
use crate::ground::output::{Failure, Out};
use crate::loader::deployment::prepared::Prepared;
use crate::loader::warehouse::Warehouse;

/// One table's line of the summary.
struct Line {
    table: String,
    files: usize,
    loads: usize,
    expected: i64,
    found: i64,
    /// Other numbers that differ: the SQL, with its result.
    wrong: Vec<String>,
}

/// Prints the summary. Fails unless everything agrees.
pub async fn show(
    out: Out,
    aws: &Aws,
    stack: &StackInfo,
    prepared: &Prepared,
    data: &Data,
    watch: &Watch,
) -> Result<()> {
    let mut lines = Vec::new();
    for table in data.tables.keys() {
        lines.push(count(aws, prepared, data, watch, table).await?);
    }
    out.title("Summary");
    out.line("   table          files   loads   rows expected   rows found");
    for line in &lines {
        let verdict = if line.is_right() { out.good("agree") } else { out.bad("DIFFER") };
        let Line { table, files, loads, expected, found, .. } = line;
        out.line(format!("   {table:<12} {files:>7} {loads:>7} {expected:>15} {found:>12}   {verdict}"));
    }
    let n_checks: usize = data.tables.values().map(|table| table.checks.len()).sum();
    out.line(format!("   each table was also compared by sums over its columns: {n_checks} numbers"));
    let calls = GatewayAdmin::new(&stack.endpoint).calls().await?.functions;
    let calls: Vec<String> =
        calls.iter().map(|(service, calls)| format!("{service} {}", calls.values().sum::<u64>())).collect();
    out.line(format!("   AWS calls of the functions: {}", calls.join(", ")));
    let wrong: Vec<String> = lines.iter().filter(|line| !line.is_right()).map(Line::complaint).collect();
    if wrong.is_empty() && watch.n_quarantined == 0 {
        out.line(out.good("   rows expected = rows found"));
        return Ok(());
    }
    let quarantine = format!("{} files are in quarantine", watch.n_quarantined);
    let message = if wrong.is_empty() { quarantine } else { wrong.join("; ") };
    Err(Failure::new(message, logs_hint(stack)).into())
}

impl Line {
    fn is_right(&self) -> bool {
        self.expected == self.found && self.wrong.is_empty()
    }

    fn complaint(&self) -> String {
        let rows = format!("{}: {} rows expected, {} found", self.table, self.expected, self.found);
        if self.wrong.is_empty() { rows } else { format!("{rows}; {}", self.wrong.join("; ")) }
    }
}

async fn count(aws: &Aws, prepared: &Prepared, data: &Data, watch: &Watch, table: &str) -> Result<Line> {
    let queue = prepared.queues.iter().find(|queue| queue.name == table).context("the queue is there")?;
    let expected = &data.tables[table];
    let warehouse = Warehouse::new(aws, &queue.config);
    let target = &queue.config.target.table;
    let name = format!("\"{}\".\"{}\"", target.schema, target.table);
    let found = warehouse.number(&format!("SELECT COUNT(*) FROM {name}")).await?;
    let mut wrong = Vec::new();
    for (sql, expected) in &expected.checks {
        let sql = sql.replace("{table}", &name);
        let number = warehouse.number(&sql).await?;
        if number != *expected {
            wrong.push(format!("`{sql}` returns {number}, expected {expected}"));
        }
    }
    Ok(Line {
        table: table.to_owned(),
        files: data.of(table).len(),
        loads: watch.loads.get(table).map_or(0, Vec::len),
        expected: expected.rows,
        found,
        wrong,
    })
}
