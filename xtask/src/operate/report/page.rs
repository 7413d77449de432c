//! The page: one HTML document that loads nothing and contains no script. A pure function of the report; maud escapes every text.
//!
//! `timeline` draws a table's loads over time, `table` describes one table, and `parts` is shared by both levels. What exceeds [`Bounds`]
//! is not drawn, and the page says so.

mod parts;
mod table;
mod timeline;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figures::{Report, TableStory};
use crate::ground::clock::readable;
use crate::ground::output::{grouped, size};
use crate::operate::cost::ESTIMATE;
use crate::operate::status::Health;
use parts::{age, badge, cards, columns, days, spread};
use timeline::Axis;

const STYLE: &str = include_str!("page/page.css");
/// Nothing may be loaded from anywhere, and no script may run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Maximum number of tables with a part of their own; those with problems come first.
const TABLES_MAX: usize = 200;
/// Number of parts that are unfolded at first, and of those with problems.
const UNFOLDED_MAX: usize = 12;
/// Maximum number of bars in one timeline, and in all together.
const BARS_MAX: usize = 250;
const BARS_MIN: usize = 40;
const BARS_ALL: usize = 12_000;

/// How much is drawn.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Loads that are closer together than the period divided by this number share a bar.
    bars: i64,
}

/// Renders the document.
pub fn page(report: &Report) -> String {
    let shown: Vec<&TableStory> = report.tables.iter().filter(|table| !table.is_quiet()).collect();
    let n_bars = (BARS_ALL / shown.len().max(1)).clamp(BARS_MIN, BARS_MAX);
    let bounds = Bounds { bars: i64::try_from(n_bars).unwrap_or(i64::MAX) };
    let axis = Axis::of(report);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (report.stack) ": loads until " (readable(report.until_millis)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(report))
                (overview(report))
                @if shown.len() > 1 { (all_tables(report)) }
                @if !shown.is_empty() { (timeline::legend(&axis, bounds)) }
                @for (at, shown) in shown.iter().take(TABLES_MAX).enumerate() {
                    (table::part(shown, at, at < UNFOLDED_MAX, &axis, bounds))
                }
                (costs(report))
                (footer(shown.len()))
            }
        }
    }
    .into_string()
}

fn header(report: &Report) -> Markup {
    let wrong = report.tables.iter().filter(|table| table.now.health != Health::Healthy).count();
    html! {
        header {
            h1 { "Loads of " (report.stack) }
            p.soft { (readable(report.since_millis)) " to " (readable(report.until_millis)) ", all times UTC" }
            (cards(&report.totals, &report.freshness))
            p { @match wrong {
                0 => { "No table needs attention." }
                1 => { b.bad { "1 table needs attention." } }
                n => { b.bad { (n) " tables need attention." } }
            } }
        }
    }
}

/// One line per table; its name links to its part.
fn overview(report: &Report) -> Markup {
    let mut n_shown = 0;
    html! {
        section {
            h2 { "Tables" }
            @if report.tables.is_empty() { p { "No table is configured: cargo xtask queue add …" } }
            div.scroll { table {
                (columns(&["health", "table", "state"], &["loads", "again", "files", "bytes", "rows", "p50", "p90", "longest", "waiting", "quarantine"]))
                tbody { @for table in &report.tables {
                    @let link = (!table.is_quiet()).then(|| { n_shown += 1; n_shown - 1 }).filter(|at| *at < TABLES_MAX);
                    (overview_line(table, link))
                } }
            } }
            p.soft { "again: loads that took several attempts. p50, p90, longest: the time from creation within which half, nine of ten, and all \
                      of the files were in the table." }
        }
    }
}

fn overview_line(table: &TableStory, link: Option<usize>) -> Markup {
    let (now, totals, freshness) = (&table.now, &table.totals, &table.freshness);
    let some = |count: u64| if count == 0 { "–".to_owned() } else { grouped(count) };
    html! {
        tr {
            td { (badge(now.health)) }
            td { @match link {
                Some(at) => { a href={ "#t" (at) } { (table.name()) } }
                None => { (table.name()) }
            } }
            td { (now.state.word()) }
            td.n { (some(totals.loads)) }
            td.n { (some(totals.loads_again)) }
            td.n { (some(totals.objects)) }
            td.n { @if totals.loads > 0 { (size(totals.bytes)) } @else { "–" } }
            td.n { @if totals.loads > 0 { (grouped(totals.rows)) } @else { "–" } }
            td.n { (age(freshness.p50_millis)) }
            td.n { (age(freshness.p90_millis)) }
            td.n { (age(freshness.max_millis)) }
            td.n { (some(now.waiting_objects as u64)) }
            td.n.bad[totals.quarantined > 0] { (some(totals.quarantined)) }
        }
    }
}

fn all_tables(report: &Report) -> Markup {
    html! {
        section {
            h2 { "All tables together" }
            div.pair { (spread(&report.freshness)) (days(&report.days)) }
        }
    }
}

fn costs(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Cost of the period" }
            div.scroll { table {
                (columns(&["warehouse"], &["tables", "loads", "files", "wakes", "minutes awake", "cost"]))
                tbody { @for cost in &report.costs { tr {
                    td { (cost.warehouse) }
                    td.n { (grouped(cost.tables)) }
                    td.n { (grouped(cost.loads)) }
                    td.n { (grouped(cost.files)) }
                    td.n { (grouped(cost.wakes)) }
                    td.n { (grouped(cost.seconds_awake / 60)) }
                    td.n { @if cost.dollars.is_some() { (cost.price()) } @else { "no price" } }
                } } }
            } }
            p.soft { "What loading cost the warehouses: " (ESTIMATE) "."
                @if report.costs.iter().any(|cost| cost.dollars.is_none()) {
                    " A warehouse gets a price by " code { "base_rpu" } " and " code { "dollars_per_rpu_hour" } " in its file in "
                    code { "warehouses/" } "."
                }
            }
        }
    }
}

fn footer(n_shown: usize) -> Markup {
    html! {
        footer.soft {
            @if n_shown > TABLES_MAX {
                p { "Only the first " (TABLES_MAX) " of " (n_shown) " tables to which something happened are drawn; those with problems come first." }
            }
            p { "Made by " code { "cargo xtask report" } ", from the tracker. With " code { "--output json" } " it prints everything, including what is left out here." }
        }
    }
}

#[cfg(test)]
mod tests;
