//! `cargo xtask cost`: what loading costs the warehouses, estimated from the loader's own statements.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use loader_core::ids::{DbTable, readable};
use loader_core::pace::{self, WAKE_MILLIS_MIN, awake};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ground::clock::{now_millis, period};
use crate::ground::output::{Out, counted};
use crate::ground::stack_args::StackArgs;
use crate::operate::records::Load;
use crate::operate::tables::Tables;

/// What all these estimates assume.
pub const ESTIMATE: &str =
    "estimated as if only the loader used the workgroup; each wake is billed for at least one minute";

/// `cargo xtask cost`
#[derive(Args, Debug)]
pub struct CostArgs {
    /// How far back: a number followed by s, m, h or d; history is kept for 90 days
    #[arg(long, value_name = "PERIOD", default_value = "30d", value_parser = period)]
    since: i64,
    #[command(flatten)]
    stack: StackArgs,
}

/// What loading cost a warehouse.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Cost {
    /// Name of the cluster or workgroup.
    pub warehouse: String,
    /// Number of tables that are loaded into it.
    pub tables: usize,
    /// Number of finished loads.
    pub loads: usize,
    /// Number of their files.
    pub files: u64,
    /// How often the loader woke a sleeping workgroup, assuming that no one else uses it.
    pub wakes: usize,
    /// How long it was awake for that, in seconds.
    pub seconds_awake: i64,
    /// Estimated dollars; null if the warehouse's file has no price.
    pub dollars: Option<f64>,
    /// How long it would have been awake if each file had been loaded on arrival, in seconds.
    pub seconds_awake_at_once: i64,
    /// Dollars for that; null like `dollars`.
    pub dollars_at_once: Option<f64>,
}

/// Cost of a second awake for each warehouse that has a price, in millionths of a dollar.
pub type Prices = BTreeMap<String, u64>;

/// The loads of a warehouse.
#[derive(Default)]
struct Warehouse {
    tables: usize,
    busy: Vec<(i64, i64)>,
    busy_at_once: Vec<(i64, i64)>,
    files: u64,
}

pub async fn run(args: &CostArgs) -> Result<()> {
    let out = args.stack.out();
    let costs = since(&Tables::of_stack(&args.stack).await?, now_millis() - args.since).await?;
    for line in lines(out, &costs) {
        out.line(line);
    }
    out.result(&costs)
}

/// What the loads since this time cost each warehouse.
pub async fn since(tables: &Tables, since_millis: i64) -> Result<Vec<Cost>> {
    let mut loads = BTreeMap::new();
    for table in tables.known().await? {
        let history = tables.tracker.loaded(&table, since_millis..=i64::MAX).await?;
        loads.insert(table, history.iter().map(Load::from).collect::<Vec<Load>>());
    }
    let loads = loads.iter().map(|(table, loads)| (table.as_str(), loads.as_slice()));
    Ok(costs(loads, &prices(tables).await?))
}

/// Prints one line per warehouse, and what the figures assume.
pub fn lines(out: Out, costs: &[Cost]) -> Vec<String> {
    let warehouses = costs.iter().map(|cost| cost.summary(&out.bold(&cost.warehouse)));
    warehouses.chain([out.dim(&format!("   {ESTIMATE}"))]).collect()
}

/// The prices of the queues' warehouses.
pub async fn prices(tables: &Tables) -> Result<Prices> {
    let mut prices = Prices::new();
    for config in tables.configs().await?.into_values().flatten() {
        if let Some(price) = config.pace.as_ref().and_then(|pace| pace.microdollars_per_second) {
            let known = prices.entry(config.db_table().warehouse().to_owned()).or_default();
            *known = price.max(*known);
        }
    }
    Ok(prices)
}

/// What these loads of these tables cost each warehouse.
pub fn costs<'a>(loads: impl IntoIterator<Item = (&'a str, &'a [Load])>, prices: &Prices) -> Vec<Cost> {
    let mut warehouses: BTreeMap<String, Warehouse> = BTreeMap::new();
    for (table, loads) in loads {
        let warehouse = warehouses.entry(DbTable(table.to_owned()).warehouse().to_owned()).or_default();
        warehouse.tables += 1;
        warehouse.busy.extend(loads.iter().map(|load| (load.claimed_millis(), load.at_millis)));
        warehouse.busy_at_once.extend(loads.iter().flat_map(at_once));
        warehouse.files += loads.iter().map(|load| load.objects).sum::<u64>();
    }
    let cost_of = |(name, warehouse): (String, Warehouse)| cost(&name, warehouse, prices.get(&name).copied());
    warehouses.into_iter().map(cost_of).collect()
}

fn cost(name: &str, warehouse: Warehouse, price: Option<u64>) -> Cost {
    let Warehouse { tables, busy, busy_at_once, files } = warehouse;
    let loads = busy.len();
    let (awake_millis, wakes) = awake(busy, WAKE_MILLIS_MIN);
    let seconds_awake = awake_millis / 1000;
    let seconds_awake_at_once = awake(busy_at_once, WAKE_MILLIS_MIN).0 / 1000;
    #[expect(clippy::cast_precision_loss, reason = "dollars are rounded anyway")]
    let dollars = |seconds: i64| price.map(|price| (seconds as f64 * price as f64 / 1e4).round() / 100.0);
    Cost {
        warehouse: readable(name),
        tables,
        loads,
        files,
        wakes,
        seconds_awake,
        dollars: dollars(seconds_awake),
        seconds_awake_at_once,
        dollars_at_once: dollars(seconds_awake_at_once),
    }
}

/// The loads that these files would have been with one load each.
fn at_once(load: &Load) -> impl Iterator<Item = (i64, i64)> {
    pace::at_once(load.claimed_millis(), load.queue_wait_millis, load.load_millis, load.objects)
}

impl Cost {
    /// The dollars, or what is missing to compute them.
    pub fn price(&self) -> String {
        self.dollars.map_or_else(
            || "no price: `base_rpu` and `dollars_per_rpu_hour` in its file in warehouses/".to_owned(),
            |dollars| format!("${dollars:.2}"),
        )
    }

    /// One line for people; `name` is the printed name.
    pub fn summary(&self, name: &str) -> String {
        let Self { seconds_awake, seconds_awake_at_once, .. } = self;
        let (loads, files) = (counted(self.loads, "load"), counted(self.files, "file"));
        let (tables, wakes) = (counted(self.tables, "table"), counted(self.wakes, "wake"));
        let at_once = self.dollars_at_once.map_or_else(String::new, |dollars| format!(", ${dollars:.2}"));
        format!(
            "{name}: {loads} of {files} into {tables}, {wakes}, {} min awake, {}; each file at once: {} min{at_once}",
            seconds_awake / 60,
            self.price(),
            seconds_awake_at_once / 60,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_within_a_minute_share_a_wake_and_a_price_makes_dollars() {
        let load = |from: i64, to: i64| Load { at_millis: to, load_millis: to - from, objects: 3, ..Load::default() };
        let (one, other) = ([load(0, 5_000), load(600_000, 720_000)], [load(30_000, 35_000)]);
        // 8 RPU at 0.375 dollars per hour.
        let prices = Prices::from([("workgroup:w".to_owned(), 833)]);
        let costs = costs([("workgroup:w:d:a", one.as_slice()), ("workgroup:w:d:b", other.as_slice())], &prices);
        let [cost] = &costs[..] else { panic!("{costs:?}") };
        assert_eq!((cost.loads, cost.wakes, cost.seconds_awake, cost.dollars), (3, 2, 180, Some(0.15)));
        let line = cost.summary("w");
        assert!(line.contains("3 loads of 9 files into 2 tables, 2 wakes, 3 min awake, $0.15"), "{line}");
    }
    #[test]
    fn files_that_waited_together_would_have_kept_it_awake_one_by_one() {
        let minute = 60_000;
        let waited = |objects: u64, minutes: i64| Load {
            at_millis: minutes * minute + 5_000,
            load_millis: 5_000,
            queue_wait_millis: minutes * minute,
            objects,
            ..Load::default()
        };
        let awake = |load: Load| {
            let costs = costs([("workgroup:w:d:a", [load].as_slice())], &Prices::new());
            (costs[0].seconds_awake, costs[0].seconds_awake_at_once)
        };
        assert_eq!(awake(waited(20, 15)), (60, 10 * 60), "every other file wakes it");
        assert_eq!(awake(waited(300, 15)), (60, 15 * 60 + 5), "it never sleeps");
        assert_eq!(awake(waited(2, 15)), (60, 2 * 60), "the first and the last");
        assert_eq!(awake(waited(1, 0)), (60, 60), "nothing waited");
    }
}
