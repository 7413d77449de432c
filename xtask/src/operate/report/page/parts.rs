//! Parts used both for one table and for all together: figures, the distribution of freshness, and days.

use std::time::Duration;

use maud::{Markup, html};

use crate::ground::output::{grouped, seconds, short_age, size};
use crate::operate::report::figures::{Day, Freshness, Spread, Totals};
use crate::operate::status::Health;

/// Maximum number of days to list, newest first.
const DAYS_MAX: usize = 31;

/// The head of a table: text columns, then number columns.
pub fn columns(words: &[&str], numbers: &[&str]) -> Markup {
    html! {
        thead { tr {
            @for title in words { th scope="col" { (title) } }
            @for title in numbers { th.n scope="col" { (title) } }
        } }
    }
}

/// A table's health, as a word with a color.
pub fn badge(health: Health) -> Markup {
    let class = match health {
        Health::Healthy => "badge good",
        Health::Late => "badge late",
        Health::Broken => "badge broken",
    };
    html! { span class=(class) { (health.word()) } }
}

/// A duration, or a dash.
pub fn age(millis: Option<i64>) -> String {
    match millis {
        None => "–".to_owned(),
        Some(millis) if millis < 60_000 => seconds(Duration::from_millis(millis.unsigned_abs())),
        Some(millis) => short_age(millis),
    }
}

/// The period in figures.
pub fn cards(totals: &Totals, freshness: &Freshness) -> Markup {
    let card = |title: &str, value: &str| html! { div { dt { (title) } dd { (value) } } };
    html! {
        dl.cards {
            (card("loads", &grouped(totals.loads)))
            (card("files", &grouped(totals.objects)))
            (card("rows", &grouped(totals.rows)))
            (card("bytes", &size(totals.bytes)))
            (card("nine of ten files within", &age(freshness.p90_millis)))
            (card("in quarantine", &grouped(totals.quarantined)))
        }
    }
}

/// Number of files by the time to their rows, from the shortest time to the longest that occurred.
pub fn spread(freshness: &Freshness) -> Markup {
    let spread = &freshness.spread;
    let most = spread.iter().map(|spread| spread.objects).max().unwrap_or(0);
    let is_filled = |spread: &Spread| spread.objects > 0;
    let (first, last) = (spread.iter().position(is_filled).unwrap_or(0), spread.iter().rposition(is_filled));
    html! {
        figure {
            figcaption { "Files by the time from creation to rows" }
            @match last {
                None => { p.soft { "Nothing was loaded." } }
                Some(last) => { table.spread { tbody { @for at in first..=last { tr {
                    th scope="row" { (bound(spread, at)) }
                    td.bar { (bar(spread[at].objects, most)) }
                    td.n { (grouped(spread[at].objects)) }
                } } } } }
            }
        }
    }
}

fn bound(spread: &[Spread], at: usize) -> String {
    let before = at.checked_sub(1).and_then(|before| spread[before].up_to_millis);
    match spread[at].up_to_millis {
        Some(millis) => format!("up to {}", short_age(millis)),
        None => format!("over {}", age(before)),
    }
}

/// What was loaded on each day.
pub fn days(days: &[Day]) -> Markup {
    let n_left = days.len().saturating_sub(DAYS_MAX);
    let shown = &days[n_left..];
    let most = shown.iter().map(|day| day.totals.rows.unsigned_abs()).max().unwrap_or(0);
    html! {
        figure {
            figcaption { "Loaded by day" }
            @if shown.is_empty() { p.soft { "Nothing was loaded." } }
            @else { div.scroll { table {
                (columns(&["day", "rows"], &["", "loads", "files", "bytes"]))
                tbody { @for Day { day, totals } in shown { tr {
                    th scope="row" { (day) }
                    td.bar { (bar(totals.rows.unsigned_abs(), most)) }
                    td.n { (grouped(totals.rows)) }
                    td.n { (grouped(totals.loads)) }
                    td.n { (grouped(totals.objects)) }
                    td.n { (size(totals.bytes)) }
                } } }
            } } }
            @if n_left > 0 { p.soft { (n_left) " earlier days are left out." } }
        }
    }
}

fn bar(value: u64, most: u64) -> Markup {
    let per_mille = u128::from(value) * 1_000 / u128::from(most.max(1));
    html! {
        svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            @if value > 0 { rect.done width=(per_mille.max(8)) height="10" {} }
        }
    }
}
