//! A table's loads over time: what was waiting, what was loading and what failed. All tables share one time axis, so that they can be
//! compared.
//!
//! The drawing contains no text, so it can be stretched to any width. A bar's `<title>` describes it.

use loader_core::ids::Millis;
use maud::{Markup, html};

use super::Bounds;
use crate::ground::clock::readable;
use crate::ground::output::{counted, grouped, short_age, size};
use crate::operate::records::{Load, Quarantine};
use crate::operate::report::figures::{Report, TableStory};
use crate::operate::status::State;
use crate::operate::tables::one_line;

/// Width of the drawing, of the narrowest bar, and of marks that must be noticed, in units of the drawing.
const WIDTH: i64 = 10_000;
const BAR_WIDTH_MIN: i64 = 50;
const FAILED_WIDTH_MIN: i64 = 120;
/// Minimum period to draw.
const SPAN_MILLIS_MIN: i64 = 10_000;
const DAY_MILLIS: i64 = 86_400_000;

/// The lanes: name, upper edge and height.
const WAITING: (&str, i64, i64) = ("waiting", 2, 10);
const LOADING: (&str, i64, i64) = ("loading", 16, 16);
const FAILED: (&str, i64, i64) = ("failed", 36, 10);
const HEIGHT: i64 = 48;

/// The time axis: from the earliest known event of the period to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Time at the left end.
    pub from: Millis,
    /// Time at the right end.
    pub to: Millis,
}

/// Kind of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Waiting,
    Done,
    Again,
    Running,
    Failed,
}

/// A bar in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bar {
    kind: Kind,
    from: Millis,
    to: Millis,
    title: String,
}

impl Axis {
    /// The axis for everything in the report.
    pub fn of(report: &Report) -> Self {
        let to = report.until_millis;
        let begins = report.tables.iter().flat_map(begins).filter(|at| *at >= report.since_millis).min();
        // What began before the period is cut off.
        let is_cut = report.tables.iter().flat_map(begins_of_work).any(|at| at < report.since_millis);
        let from = if is_cut { report.since_millis } else { begins.unwrap_or(report.since_millis) };
        Self { from: from.min(to - SPAN_MILLIS_MIN), to }
    }

    fn x(&self, at: Millis) -> i64 {
        (at.clamp(self.from, self.to) - self.from) * WIDTH / (self.to - self.from)
    }

    /// Left edge and width of a bar: wide enough to be seen, and within the drawing.
    fn place(&self, bar: &Bar) -> (i64, i64) {
        let width_min = if bar.kind == Kind::Failed { FAILED_WIDTH_MIN } else { BAR_WIDTH_MIN };
        let x = self.x(bar.from).min(WIDTH - width_min);
        (x, (self.x(bar.to) - x).max(width_min))
    }

    /// Index of the part that contains a time, if the axis is divided into `count` equal parts.
    fn part(&self, at: Millis, count: i64) -> i64 {
        (at - self.from) * count / (self.to - self.from)
    }

    fn label(&self, at: Millis) -> String {
        let text = readable(at);
        let is_long = self.to - self.from > DAY_MILLIS;
        if is_long { text.get(5..16) } else { text.get(11..) }.unwrap_or_default().to_owned()
    }
}

fn begins_of_work(table: &TableStory) -> impl Iterator<Item = Millis> {
    let now = &table.now;
    let running = now.running.iter().map(|load| load.since_millis);
    table.loads.iter().map(Load::recorded_millis).chain(now.oldest_waiting_since_millis).chain(running)
}

fn begins(table: &TableStory) -> impl Iterator<Item = Millis> {
    begins_of_work(table).chain(table.now.quarantine.iter().filter_map(|quarantine| quarantine.at_millis))
}

/// The legend: what the colors mean, and when loads share a bar.
pub fn legend(axis: &Axis, bounds: Bounds) -> Markup {
    let kinds = [Kind::Waiting, Kind::Done, Kind::Again, Kind::Running, Kind::Failed];
    html! {
        section {
            h2 { "Loads in time" }
            ul.legend { @for kind in kinds { li { svg viewBox="0 0 10 10" aria-hidden="true" { rect class=(kind.class()) width="10" height="10" {} } " " (kind.word()) } } }
            p.soft { "From " (readable(axis.from)) " on, when the first of it began, to " (readable(axis.to)) ". Point at a bar to read what it is. Loads that end within "
                (short_age(((axis.to - axis.from) / bounds.bars).max(1_000))) " of each other share a bar, which reaches from the first to the last." }
        }
    }
}

/// The drawing of one table.
pub fn timeline(table: &TableStory, axis: &Axis, bounds: Bounds) -> Markup {
    let (waiting, loading) = of_loads(table, axis, bounds);
    let lanes = [(WAITING, waiting), (LOADING, loading), (FAILED, failed(table, axis, bounds))];
    let middle = i64::midpoint(axis.from, axis.to);
    html! {
        figure.timeline {
            div.lanes aria-hidden="true" { @for ((name, ..), _) in &lanes { span { (name) } } }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label={ "loads of " (table.name()) " in time" } {
                @for ((_, top, height), bars) in &lanes {
                    rect.lane y=(top) width=(WIDTH) height=(height) {}
                    @for bar in bars {
                        @let (x, width) = axis.place(bar);
                        rect class=(bar.kind.class()) x=(x) y=(top) width=(width) height=(height) { title { (bar.title) } }
                    }
                }
            }
            div.axis { @for at in [axis.from, middle, axis.to] { span { (axis.label(at)) } } }
        }
    }
}

/// The bars of waiting and loading files, including the current ones.
fn of_loads(table: &TableStory, axis: &Axis, bounds: Bounds) -> (Vec<Bar>, Vec<Bar>) {
    let now = &table.now;
    let together =
        |one: &Load, other: &Load| axis.part(one.at_millis, bounds.bars) == axis.part(other.at_millis, bounds.bars);
    let groups = table.loads.chunk_by(together);
    let (mut waiting, mut loading): (Vec<Bar>, Vec<Bar>) = groups.map(of_group).unzip();
    if let Some(since) = now.oldest_waiting_since_millis {
        let title = format!("{} waiting, the oldest since {}", counted(now.waiting_objects, "file"), readable(since));
        waiting.push(Bar { kind: Kind::Waiting, from: since, to: axis.to, title });
    }
    if let Some(load) = &now.running {
        let has_failed = matches!(now.state, State::Operator | State::Retrying | State::Unknown);
        let kind = if has_failed { Kind::Failed } else { Kind::Running };
        let title =
            format!("load {} ({}), attempt {}: {}", load.number, load.load_id, load.attempt, one_line(&load.step));
        loading.push(Bar { kind, from: load.since_millis, to: axis.to, title });
    }
    (waiting, loading)
}

/// The bars of loads that share one: when they were waiting, and when they were loading.
fn of_group(loads: &[Load]) -> (Bar, Bar) {
    let (first, last) = (&loads[0], &loads[loads.len() - 1]);
    let from = |begin: fn(&Load) -> Millis| loads.iter().map(begin).min().unwrap_or_default();
    let claimed = from(Load::claimed_millis);
    let kind = if loads.iter().any(|load| load.attempts > 1) { Kind::Again } else { Kind::Done };
    let title = if let [load] = loads {
        format!("{}  {}", readable(load.at_millis), load.summary())
    } else {
        let n_objects: u64 = loads.iter().map(|load| load.objects).sum();
        let n_bytes: u64 = loads.iter().map(|load| load.bytes).sum();
        let n_rows: i64 = loads.iter().filter_map(|load| load.rows).sum();
        let (n_loads, n_files, n_rows, n_bytes) = (loads.len(), grouped(n_objects), grouped(n_rows), size(n_bytes));
        let times = format!("{} to {}", readable(first.at_millis), readable(last.at_millis));
        format!("{n_loads} loads that ended {times}: {n_files} files, {n_bytes}, {n_rows} rows")
    };
    let waiting =
        Bar { kind: Kind::Waiting, from: from(Load::recorded_millis), to: last.claimed_millis(), title: title.clone() };
    (waiting, Bar { kind, from: claimed, to: last.at_millis, title })
}

/// The bars of files that went to quarantine.
fn failed(table: &TableStory, axis: &Axis, bounds: Bounds) -> Vec<Bar> {
    let at = |quarantine: &Quarantine| quarantine.at_millis.unwrap_or_default();
    let is_drawn = |quarantine: &&Quarantine| at(quarantine) >= axis.from;
    let mut drawn: Vec<&Quarantine> = table.now.quarantine.iter().filter(is_drawn).collect();
    drawn.sort_by_key(|quarantine| at(quarantine));
    let together =
        |one: &&Quarantine, other: &&Quarantine| axis.part(at(one), bounds.bars) == axis.part(at(other), bounds.bars);
    let bar = |group: &[&Quarantine]| {
        let n_objects: usize = group.iter().map(|quarantine| quarantine.objects.len()).sum();
        let files = counted(n_objects, "file");
        let title = format!("{}  {files} went to quarantine: {}", readable(at(group[0])), group[0].summary());
        Bar { kind: Kind::Failed, from: at(group[0]), to: at(group[group.len() - 1]), title }
    };
    drawn.chunk_by(together).map(bar).collect()
}

impl Kind {
    const fn class(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Again => "again",
            Self::Running => "running",
            Self::Failed => "failed",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Again => "done after several attempts",
            Self::Running => "loading now",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::figures::tests::{UNTIL, busy, load, report};
    use super::*;

    const MINUTE: Millis = 60_000;

    #[test]
    fn the_axis_begins_with_what_is_first_and_not_before_the_period() {
        let mut report = report();
        assert_eq!(Axis::of(&report).from, UNTIL - DAY_MILLIS - 8_000);
        report.since_millis = UNTIL - 65 * MINUTE;
        assert_eq!(Axis::of(&report).from, UNTIL - 65 * MINUTE, "a load that began earlier is cut off");
        report.tables.clear();
        assert_eq!(Axis::of(&report).from, UNTIL - 65 * MINUTE);
        report.since_millis = UNTIL;
        assert_eq!(Axis::of(&report).from, UNTIL - SPAN_MILLIS_MIN, "no axis without a length");
    }

    #[test]
    fn a_bar_is_within_the_drawing_and_wide_enough_to_be_seen() {
        let axis = Axis { from: 0, to: 1_000 };
        let place = |from, to| axis.place(&Bar { kind: Kind::Done, from, to, title: String::new() });
        assert_eq!(place(100, 300), (1_000, 2_000));
        assert_eq!(place(100, 100), (1_000, BAR_WIDTH_MIN));
        assert_eq!(place(1_000, 1_000), (WIDTH - BAR_WIDTH_MIN, BAR_WIDTH_MIN));
        assert_eq!(place(-5, 2_000), (0, WIDTH));
    }

    #[test]
    fn a_load_waits_then_loads_and_what_failed_is_red() {
        let report = report();
        let (axis, bounds) = (Axis::of(&report), Bounds { bars: 250 });
        let (waiting, loading) = of_loads(&report.tables[0], &axis, bounds);
        let kinds: Vec<Kind> = loading.iter().map(|bar| bar.kind).collect();
        assert_eq!(kinds, [Kind::Done, Kind::Again, Kind::Failed]);
        assert_eq!((waiting[0].to, loading[0].from), (UNTIL - DAY_MILLIS - 4_000, UNTIL - DAY_MILLIS - 4_000));
        assert_eq!((waiting[2].from, waiting[2].to), (UNTIL - 6 * MINUTE, UNTIL));
        assert!(loading[2].title.contains("permission denied"), "{loading:?}");
        let failed = failed(&report.tables[0], &axis, bounds);
        assert!(failed.len() == 1 && failed[0].title.contains("Invalid digit"), "{failed:?}");
    }

    #[test]
    fn loads_close_together_share_a_bar_that_counts_them() {
        let report = busy(1, 1_000);
        let (axis, bounds) = (Axis::of(&report), Bounds { bars: 50 });
        let (waiting, loading) = of_loads(&report.tables[0], &axis, bounds);
        assert!((50..=51).contains(&loading.len()) && waiting.len() == loading.len(), "{}", loading.len());
        let (_, bar) = of_group(&[load(1, 9_000, 100, 1), load(2, 5_000, 100, 2)]);
        assert_eq!(bar.kind, Kind::Again);
        assert!(
            bar.title.starts_with("2 loads that ended") && bar.title.contains("8 files, 4.0 KB, 2,000 rows"),
            "{bar:?}"
        );
    }
}
