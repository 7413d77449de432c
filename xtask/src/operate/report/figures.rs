//! The figures of a period: the JSON of `cargo xtask report`, and everything that the page draws. Pure. `docs/schema/report.schema.json` is
//! generated from these types.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use loader_core::ids::Millis;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ground::clock::readable;
use crate::operate::cost::{Cost, Prices, costs};
use crate::operate::freshness::within;
use crate::operate::records::{Act, Load};
use crate::operate::status::TableReport;
use crate::operate::tables::short_name;

/// Upper bounds of the distribution of freshness, in milliseconds; longer times are counted separately.
const SPREAD_SECONDS: [i64; 8] = [1, 5, 15, 60, 300, 900, 3_600, 21_600];

/// What happened in a period.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Report {
    /// Name of the stack.
    pub stack: String,
    /// Start of the period, in epoch milliseconds.
    pub since_millis: i64,
    /// End of the period, when the tables were read, in epoch milliseconds.
    pub until_millis: i64,
    /// Sums over all tables.
    pub totals: Totals,
    /// How long files waited for their rows, over all tables.
    pub freshness: Freshness,
    /// Each day (UTC) on which a load ended, over all tables.
    pub days: Vec<Day>,
    /// Each table; those with problems come first.
    pub tables: Vec<TableStory>,
    /// Cost of the period's loads for each warehouse.
    pub costs: Vec<Cost>,
}

/// What happened to a table.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TableStory {
    /// Its state at the end of the period, as `status` reports it.
    pub now: TableReport,
    /// Sums of the period.
    pub totals: Totals,
    /// How long files waited for their rows.
    pub freshness: Freshness,
    /// Each day (UTC) on which a load ended.
    pub days: Vec<Day>,
    /// The loads that ended in the period, oldest first.
    pub loads: Vec<Load>,
    /// Operators' commands, oldest first.
    pub acts: Vec<Act>,
}

/// Sums over finished loads, and what is in quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Totals {
    /// Number of finished loads.
    pub loads: u64,
    /// Number of their files.
    pub objects: u64,
    /// Size of the files in bytes.
    pub bytes: u64,
    /// Number of rows, as far as the service reports it.
    pub rows: i64,
    /// Number of loads that needed several attempts.
    pub loads_again: u64,
    /// Number of files in quarantine at the end of the period.
    pub quarantined: u64,
}

/// Time from the creation of a file to its committed rows. Every file of a load counts as long as its oldest one.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Freshness {
    /// Half of the files took at most this long, in milliseconds; null if nothing was loaded.
    pub p50_millis: Option<i64>,
    /// Nine out of ten files took at most this long.
    pub p90_millis: Option<i64>,
    /// All files took at most this long.
    pub max_millis: Option<i64>,
    /// Number of files by the time that they took.
    pub spread: Vec<Spread>,
}

/// Files that took at most this long, and longer than the previous entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Spread {
    /// Upper bound in milliseconds; null for all longer times.
    pub up_to_millis: Option<i64>,
    /// Number of files.
    pub objects: u64,
}

/// What was loaded on a day.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Day {
    /// The day in UTC, such as `2026-01-31`.
    pub day: String,
    /// Sums of the day.
    pub totals: Totals,
}

impl Report {
    /// A report about a period, from what happened in it.
    pub fn new(stack: &str, times: RangeInclusive<Millis>, mut tables: Vec<TableStory>, prices: &Prices) -> Self {
        tables.sort_by_key(|table| Reverse(table.now.health));
        let loads = tables.iter().flat_map(|table| &table.loads);
        let (freshness, days) = (Freshness::of(loads.clone()), days(loads.clone()));
        let quarantined = tables.iter().map(|table| table.totals.quarantined).sum();
        let totals = Totals { quarantined, ..Totals::of(loads) };
        let by_table = tables.iter().filter_map(|table| Some((table.now.table.as_deref()?, table.loads.as_slice())));
        let costs = costs(by_table, prices);
        let (since_millis, until_millis) = times.into_inner();
        Self { stack: stack.to_owned(), since_millis, until_millis, totals, freshness, days, tables, costs }
    }
}

impl TableStory {
    /// A report about a table; `loads` and `acts` are sorted, oldest first.
    pub fn new(now: TableReport, loads: Vec<Load>, acts: Vec<Act>) -> Self {
        let quarantined = now.quarantine.iter().map(|quarantine| quarantine.objects.len() as u64).sum();
        let totals = Totals { quarantined, ..Totals::of(&loads) };
        let (freshness, days) = (Freshness::of(&loads), days(&loads));
        Self { now, totals, freshness, days, loads, acts }
    }

    /// The name for people; for an entry without a table, its queue.
    pub fn name(&self) -> String {
        let queue = || self.now.queues.first().map(|queue| format!("queue {}", queue.name));
        self.now.table.as_deref().map(short_name).or_else(queue).unwrap_or_default()
    }

    /// Whether anything happened.
    pub fn is_quiet(&self) -> bool {
        let now = &self.now;
        let is_still = now.running.is_none() && now.waiting_objects == 0 && now.advice.is_empty();
        is_still && self.loads.is_empty() && self.acts.is_empty() && now.quarantine.is_empty()
    }
}

impl Totals {
    fn of<'a>(loads: impl IntoIterator<Item = &'a Load>) -> Self {
        loads.into_iter().fold(Self::default(), |sum, load| Self {
            loads: sum.loads + 1,
            objects: sum.objects + load.objects,
            bytes: sum.bytes + load.bytes,
            rows: sum.rows + load.rows.unwrap_or(0),
            loads_again: sum.loads_again + u64::from(load.attempts > 1),
            quarantined: 0,
        })
    }
}

impl Freshness {
    fn of<'a>(loads: impl IntoIterator<Item = &'a Load>) -> Self {
        let wait = |load: &Load| (load.at_millis - load.created_millis(), load.objects);
        let waits: Vec<(Millis, u64)> = loads.into_iter().map(wait).collect();
        let at_most = |per_cent| within(per_cent, waits.iter().copied());
        let (p50_millis, p90_millis, max_millis) = (at_most(50), at_most(90), at_most(100));
        Self { p50_millis, p90_millis, max_millis, spread: spread(&waits) }
    }
}

/// Empty if nothing was loaded.
fn spread(waits: &[(Millis, u64)]) -> Vec<Spread> {
    let bounds = SPREAD_SECONDS.map(|seconds| Some(seconds * 1000)).into_iter().chain([None]);
    let mut spread: Vec<Spread> = bounds.map(|up_to_millis| Spread { up_to_millis, objects: 0 }).collect();
    for (wait, n_objects) in waits {
        let fits = |spread: &&mut Spread| spread.up_to_millis.is_none_or(|bound| *wait <= bound);
        if let Some(spread) = spread.iter_mut().find(fits) {
            spread.objects += n_objects;
        }
    }
    if waits.is_empty() { Vec::new() } else { spread }
}

fn days<'a>(loads: impl IntoIterator<Item = &'a Load>) -> Vec<Day> {
    let mut days: BTreeMap<String, Vec<&Load>> = BTreeMap::new();
    for load in loads {
        let day = readable(load.at_millis).split(' ').next().unwrap_or_default().to_owned();
        days.entry(day).or_default().push(load);
    }
    days.into_iter().map(|(day, loads)| Day { day, totals: Totals::of(loads) }).collect()
}

#[cfg(test)]
pub mod tests;
