//! `cargo xtask cost`: what loading costs the warehouses, estimated from the loader's own statements.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use loader_core::ids::{DbTable, readable};
use loader_core::pace::{WAKE_MILLIS_MIN, awake};
use serde::Serialize;

use crate::ground::clock::{now_millis, period};
use crate::ground::output::Out;
use crate::ground::stack_args::StackArgs;
use crate::operate::tables::Tables;

/// `cargo xtask cost`
#[derive(Args, Debug)]
pub struct CostArgs {
    /// How far back: a number and s, m, h or d; history is kept for 90 days
    #[arg(long, value_name = "PERIOD", default_value = "30d", value_parser = period)]
    since: i64,
    #[command(flatten)]
    stack: StackArgs,
}

/// What loading cost a warehouse.
#[derive(Debug, Serialize)]
struct Cost {
    warehouse: String,
    tables: usize,
    loads: usize,
    files: u64,
    /// How often a sleeping workgroup was woken, if nobody else used it.
    wakes: usize,
    seconds_awake: i64,
    /// Null where the warehouse's file has no price.
    dollars: Option<f64>,
}

/// The loads of a warehouse, and its price.
#[derive(Default)]
struct Loads {
    tables: usize,
    busy: Vec<(i64, i64)>,
    files: u64,
    microdollars_per_second: Option<u64>,
}

pub async fn run(args: &CostArgs) -> Result<()> {
    let out = args.stack.out();
    let tables = Tables::of_stack(&args.stack).await?;
    let times = now_millis() - args.since..=i64::MAX;
    let mut warehouses: BTreeMap<String, Loads> = BTreeMap::new();
    for table in tables.known().await? {
        let loads = warehouses.entry(DbTable(table.clone()).warehouse().to_owned()).or_default();
        loads.tables += 1;
        for history in tables.tracker.loaded(&table, times.clone()).await? {
            let ended = history.key.at_millis().unwrap_or_default();
            loads.busy.push((ended - history.load_millis, ended));
            loads.files += history.n_objects;
        }
    }
    for config in tables.configs().await?.into_values().flatten() {
        if let Some(loads) = warehouses.get_mut(config.db_table().warehouse()) {
            let price = config.pace.as_ref().and_then(|pace| pace.microdollars_per_second);
            loads.microdollars_per_second = loads.microdollars_per_second.max(price);
        }
    }
    let costs: Vec<Cost> = warehouses.into_iter().map(|(name, loads)| cost(&name, loads)).collect();
    for cost in &costs {
        out.line(line(out, cost));
    }
    out.line(out.dim("   an estimate: a workgroup of which nobody else makes use, a minute at least for each wake"));
    out.result(&costs)
}

fn cost(warehouse: &str, loads: Loads) -> Cost {
    let (n_loads, price) = (loads.busy.len(), loads.microdollars_per_second);
    let (awake_millis, wakes) = awake(loads.busy, WAKE_MILLIS_MIN);
    let seconds_awake = awake_millis / 1000;
    #[expect(clippy::cast_precision_loss, reason = "dollars are rounded anyway")]
    let dollars = price.map(|price| (seconds_awake as f64 * price as f64 / 1e4).round() / 100.0);
    let warehouse = readable(warehouse);
    Cost { warehouse, tables: loads.tables, loads: n_loads, files: loads.files, wakes, seconds_awake, dollars }
}

fn line(out: Out, cost: &Cost) -> String {
    let Cost { warehouse, tables, loads, files, wakes, seconds_awake, dollars } = cost;
    let price = dollars.map_or_else(
        || "no price: `base_rpu` and `dollars_per_rpu_hour` in its file in warehouses/".to_owned(),
        |dollars| format!("${dollars:.2}"),
    );
    let name = out.bold(warehouse);
    format!(
        "{name}: {loads} loads of {files} files into {tables} tables, {wakes} wakes, {} min awake, {price}",
        seconds_awake / 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::output::Format;

    #[test]
    fn loads_within_a_minute_share_a_wake_and_a_price_makes_dollars() {
        let busy = vec![(0, 5_000), (30_000, 35_000), (600_000, 720_000)];
        // 8 RPU at 0.375 dollars an hour.
        let loads = Loads { tables: 2, busy, files: 9, microdollars_per_second: Some(833) };
        let cost = cost("workgroup:w", loads);
        assert_eq!((cost.loads, cost.wakes, cost.seconds_awake, cost.dollars), (3, 2, 180, Some(0.15)));
        let line = line(Out::new(Format::Text), &cost);
        assert!(line.contains("3 loads of 9 files into 2 tables, 2 wakes, 3 min awake, $0.15"), "{line}");
    }
}
