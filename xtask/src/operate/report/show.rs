//! The period as a short text: one line per table, followed by failures and operators' commands.

use super::figures::{Freshness, Report, TableStory, Totals};
use crate::ground::clock::readable;
use crate::ground::output::{Out, counted, grouped, row, short_age, size};
use crate::operate::records::Quarantine;

/// The columns: title and width.
const COLUMNS: [(&str, usize); 10] = [
    ("health", 6),
    ("table", 22),
    ("loads", 7),
    ("again", 5),
    ("files", 9),
    ("bytes", 8),
    ("rows", 13),
    ("p50", 6),
    ("p90", 6),
    ("quar", 4),
];
/// Maximum number of quarantine items to show per table.
const QUARANTINE_MAX: usize = 3;

/// All lines that `report` prints.
pub fn lines(out: Out, report: &Report) -> Vec<String> {
    let times = format!("{} to {} (UTC)", readable(report.since_millis), readable(report.until_millis));
    let mut lines = vec![format!("{}  {times}", out.bold(&report.stack))];
    lines.push(out.dim(&row(&COLUMNS, COLUMNS.map(|(title, _)| title.to_owned()))));
    let shown = report.tables.iter().filter(|table| !table.is_quiet());
    lines.extend(shown.clone().flat_map(|table| of_table(out, table)));
    let n_quiet = report.tables.iter().filter(|table| table.is_quiet()).count();
    if n_quiet > 0 {
        lines.push(out.dim(&format!("       nothing happened to {}", counted(n_quiet, "other table"))));
    }
    if shown.count() > 1 {
        lines.push(row(&COLUMNS, cells("", "all tables", &report.totals, &report.freshness)));
    }
    lines.extend(report.costs.iter().map(|cost| cost.summary(&out.bold(&cost.warehouse))));
    lines
}

fn of_table(out: Out, table: &TableStory) -> Vec<String> {
    let line = row(&COLUMNS, cells(table.now.health.word(), &table.name(), &table.totals, &table.freshness));
    let mut lines = vec![table.now.health.paint(out, &line)];
    let quarantine = &table.now.quarantine;
    lines.extend(quarantine.iter().take(QUARANTINE_MAX).map(|it| format!("        {}", it.summary())));
    if let Some(rest) = quarantine.get(QUARANTINE_MAX..).filter(|rest| !rest.is_empty()) {
        let n_objects: usize = rest.iter().map(|quarantine: &Quarantine| quarantine.objects.len()).sum();
        lines.push(format!("        and {}: --html FILE shows them", counted(n_objects, "more file")));
    }
    lines.extend(table.now.advice.iter().map(|advice| format!("        {} {advice}", out.bold("→"))));
    lines.extend(
        table.acts.iter().map(|act| format!("        {}  {}", out.dim(&readable(act.at_millis)), act.summary())),
    );
    lines
}

fn cells(health: &str, name: &str, totals: &Totals, freshness: &Freshness) -> [String; COLUMNS.len()] {
    let some = |count: u64| if count == 0 { "-".to_owned() } else { grouped(count) };
    let age = |millis: Option<i64>| millis.map_or_else(|| "-".to_owned(), short_age);
    [
        health.to_owned(),
        name.to_owned(),
        some(totals.loads),
        some(totals.loads_again),
        some(totals.objects),
        if totals.loads == 0 { "-".to_owned() } else { size(totals.bytes) },
        if totals.loads == 0 { "-".to_owned() } else { grouped(totals.rows) },
        age(freshness.p50_millis),
        age(freshness.p90_millis),
        some(totals.quarantined),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::report;
    use super::*;
    use crate::ground::output::Format;

    #[test]
    fn each_table_has_a_line_and_what_failed_has_its_reason() {
        let lines = lines(Out::new(Format::Text), &report());
        assert_eq!(lines[0], "redshift-loader  2023-11-12 22:13:20 to 2023-11-14 22:13:20 (UTC)");
        let words: Vec<&str> = lines[2].split_whitespace().collect();
        assert_eq!(words[..7], ["BROKEN", "shop.sales", "2", "1", "8", "4.0", "KB"], "{lines:?}");
        assert!(lines[3].contains("(bad_input): 1 file, s3://b/") && lines[3].contains("Invalid digit"), "{lines:?}");
        assert!(lines[5].ends_with("pause by ada: all loads (rebuild)"), "{lines:?}");
        let text = lines.join("\n");
        for wanted in
            ["queue lost: not JSON", "shop.orders", "nothing happened to 1 other table", "all tables", "3 loads of"]
        {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(!text.contains("shop.quiet"), "{text}");
    }
}
