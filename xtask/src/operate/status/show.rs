//! Prints one line per table, no wider than a terminal, followed by its problems and what to do.

use std::cmp::Reverse;

use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Millis;

use super::report::TableReport;
use crate::ground::output::{Out, row, short_age, size};
use crate::operate::records::Quarantine;
use crate::operate::tables::{one_line, short_name};

/// The columns: title and width.
const COLUMNS: [(&str, usize); 12] = [
    ("health", 6),
    ("table", 22),
    ("state", 8),
    ("oldest", 6),
    ("files", 6),
    ("bytes", 7),
    ("running", 8),
    ("since", 6),
    ("last", 6),
    ("p90", 6),
    ("quar", 4),
    ("dlq", 4),
];
/// Maximum number of files to show per quarantine item.
const OBJECTS_MAX: usize = 3;

/// Everything that `status` prints, what is wrong first.
pub fn lines(out: Out, reports: &[TableReport], now: Millis) -> Vec<String> {
    if reports.is_empty() {
        return vec!["   no table is configured: cargo xtask queue add …".to_owned()];
    }
    let mut lines = vec![out.dim(&row(&COLUMNS, COLUMNS.map(|(title, _)| title.to_owned())))];
    let mut reports: Vec<&TableReport> = reports.iter().collect();
    reports.sort_by_key(|report| Reverse(report.health));
    for report in reports {
        lines.push(report.health.paint(out, &row(&COLUMNS, cells(report, now))));
        lines.extend(report.quarantine.iter().flat_map(quarantined));
        lines.extend(report.advice.iter().map(|advice| format!("        {} {advice}", out.bold("→"))));
    }
    lines
}

fn cells(report: &TableReport, now: Millis) -> [String; COLUMNS.len()] {
    let dash = || "-".to_owned();
    let age = |since: Option<Millis>| since.map_or_else(dash, |since| short_age(now - since));
    let some = |count: usize| if count == 0 { dash() } else { short_count(count) };
    let queue = report.queues.first().map(|queue| format!("queue {}", queue.name));
    let dead: Vec<u64> = report.queues.iter().filter_map(|queue| queue.dead_letters).collect();
    let running = report.running.as_ref();
    let shown_id = running.map(|load| load.statement_id.as_ref().unwrap_or(&load.load_id).chars().take(8).collect());
    [
        report.health.word().to_owned(),
        report.table.as_deref().map(short_name).or(queue).unwrap_or_default(),
        report.state.word().to_owned(),
        age(report.oldest_waiting_since_millis),
        some(report.waiting_objects),
        if report.waiting_objects == 0 { dash() } else { size(report.waiting_bytes) },
        shown_id.unwrap_or_else(dash),
        age(running.map(|load| load.since_millis)),
        age(report.last_load.as_ref().map(|load| load.at_millis)),
        report.freshness_p90_millis.map_or_else(dash, short_age),
        some(report.quarantine.iter().map(|quarantine| quarantine.objects.len()).sum()),
        if dead.is_empty() {
            dash()
        } else {
            short_count(usize::try_from(dead.iter().sum::<u64>()).unwrap_or(usize::MAX))
        },
    ]
}

fn quarantined(quarantine: &Quarantine) -> Vec<String> {
    let mut lines = vec![format!("        quarantine ({}): {}", quarantine.class, one_line(&quarantine.error))];
    lines.extend(quarantine.objects.iter().take(OBJECTS_MAX).map(|object| format!("           {object}")));
    if let Some(n_more) = quarantine.objects.len().checked_sub(OBJECTS_MAX).filter(|n| *n > 0) {
        lines.push(format!("           and {n_more} more: --output json lists all"));
    }
    // The advice below is the same for all failures of a class; for misfits there is more to say.
    let of_class = FailureClass::parse(&quarantine.class).map(FailureClass::remedy);
    if of_class.is_some_and(|remedy| remedy != quarantine.remedy) {
        lines.push(format!("           {}", one_line(&quarantine.remedy)));
    }
    lines
}

fn short_count(count: usize) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::judge;
    use super::super::judge::tests::{in_quarantine, submitted, waiting};
    use super::super::read::Facts;
    use super::*;
    use crate::ground::output::Format;
    use crate::operate::schema;

    const NOW: Millis = 1_700_000_000_000;
    const WIDTH_MAX: usize = 100;

    fn shown(facts: Facts) -> Vec<String> {
        lines(Out::new(Format::Text), &[judge(facts, "", NOW)], NOW)
    }

    #[test]
    fn a_line_is_no_wider_than_a_hundred_columns() {
        let widest = COLUMNS.map(|(_, width)| "w".repeat(width + 9));
        assert!(row(&COLUMNS, widest).chars().count() <= WIDTH_MAX);
    }

    #[test]
    fn each_column_holds_what_its_title_says() {
        let lines = shown(submitted());
        let cells: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(
            cells,
            ["ok", "shop.sales", "loading", "1", "min", "1", "7", "B", "97b3c928", "30", "s", "-", "-", "-", "0"]
        );
    }

    #[test]
    fn a_table_with_problems_says_what_to_do() {
        let lines = shown(in_quarantine());
        assert!(lines[1].starts_with("BROKEN shop.sales"), "{lines:?}");
        assert!(lines[2].contains("(bad_input): ERROR: Load into table 'sales' failed. Invalid digit"), "{lines:?}");
        assert!(lines.last().unwrap().contains("→ 1 file in quarantine"), "{lines:?}");
        assert_eq!(shown(waiting(0)).len(), 2, "nothing more about a healthy table");
    }

    #[test]
    fn what_is_wrong_comes_first() {
        let facts = [waiting(0), in_quarantine(), submitted()];
        let lines = lines(Out::new(Format::Text), &facts.map(|facts| judge(facts, "", NOW)), NOW);
        assert!(lines[1].starts_with("BROKEN"), "{lines:?}");
        let others = lines.iter().skip(2).filter(|line| line.starts_with("ok")).map(|line| line.contains(" loading "));
        assert_eq!(others.collect::<Vec<_>>(), [false, true], "{lines:?}");
    }

    /// The committed schema describes what is printed.
    #[test]
    fn the_json_matches_its_schema() {
        let facts = [waiting(0), submitted(), in_quarantine(), Facts::default()];
        schema::check_result(&facts.map(|facts| judge(facts, "", NOW)));
        schema::check_committed::<Vec<TableReport>>("status");
    }
}
