//! How a warehouse is used: how fresh its tables are, in which hours, how many loads run at the same time, and what it costs.
//!
//! Loads that may wait start together, at instants that depend only on the clock and the warehouse's name. Nothing has to be stored for
//! them, and one wake of a sleeping workgroup serves every table.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use sha2::{Digest, Sha256};

#[cfg(feature = "schema")]
pub use self::file::schema;
pub use self::file::{PACE_FIELDS, PaceFile};
use crate::ids::Millis;
use crate::problem::Problems;

mod file;

/// Shortest promise for which loads wait for one another, in seconds. A shorter one could not be kept reliably.
pub const FRESHNESS_SECONDS_MIN: u32 = 300;
/// Longest promise, in seconds: a day.
pub const FRESHNESS_SECONDS_MAX: u32 = 86_400;
/// Part of a promise that is reserved, in milliseconds: two sweeps, because one may be lost, and a minute for the notification and the
/// load.
const RESERVE_MILLIS: i64 = 180_000;
// The period between two starts is positive.
const _: () = assert!(FRESHNESS_SECONDS_MIN as i64 * 1000 > RESERVE_MILLIS);
/// Number of days to search for the next start. Windows repeat every week.
const DAYS: i32 = 9;

/// The settings of a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    /// The name of its file.
    pub name: String,
    /// The promise outside all windows.
    pub freshness: Freshness,
    /// Hours with a different promise; the first window that matches applies.
    pub windows: Vec<Window>,
    /// Time zone of the windows, as an IANA name.
    pub time_zone: String,
    /// Maximum number of loads at the same time; `None`: no limit.
    pub concurrent_loads_max: Option<u32>,
    /// Cost of a second awake, in millionths of a dollar; `None` if the file does not give it.
    pub microdollars_per_second: Option<u64>,
}

/// Maximum time from an object's creation to the commit of its rows, while the warehouse works normally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Loads start at once.
    AtOnce,
    /// This many seconds.
    Within(u32),
    /// Nothing starts, so that a sleeping warehouse stays asleep.
    Never,
}

/// Hours of a day with their own promise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Days of the week on which the window begins; Monday is 1. Empty means every day.
    pub days: Vec<i8>,
    /// Start, in minutes since midnight.
    pub from_minute: i16,
    /// End, in minutes since midnight. If it is not later than the start, it is on the next day.
    pub to_minute: i16,
    /// The promise.
    pub freshness: Freshness,
}

/// Minimum time for which a wake of a Redshift Serverless workgroup is billed, in milliseconds (Redshift pricing: 60 seconds).
pub const WAKE_MILLIS_MIN: i64 = 60_000;

/// How long a workgroup without other users is billed for these statements, in milliseconds, and how often it wakes. `busy` has the start
/// and end of each statement; `wake_millis_min` is the minimum that is billed per wake.
pub fn awake(mut busy: Vec<(Millis, Millis)>, wake_millis_min: i64) -> (i64, usize) {
    busy.sort_unstable();
    let (mut awake, mut wakes, mut until) = (0, 0, i64::MIN);
    for (from, to) in busy {
        if from > until {
            wakes += 1;
            awake += wake_millis_min;
            until = from + wake_millis_min;
        }
        awake += (to - until).max(0);
        until = until.max(to);
    }
    (awake, wakes)
}

/// Files that arrive closer together than this keep a warehouse awake without a break, in milliseconds.
const APART_MILLIS: i64 = 5_000;

/// The loads that the files of a load would have been with one load each, as start and end. Only the arrival of the first file is known:
/// `waited_millis` before the load took the slot at `claimed`. The others are assumed to have arrived evenly after it.
pub fn at_once(
    claimed: Millis,
    waited_millis: i64,
    load_millis: i64,
    n_files: u64,
) -> impl Iterator<Item = (Millis, Millis)> {
    let waited = waited_millis.max(0);
    let n_apart = i64::try_from(n_files).unwrap_or(i64::MAX).clamp(1, waited / APART_MILLIS + 2);
    (0..n_apart).map(move |n| {
        let came = claimed - waited + if n_apart > 1 { waited * n / (n_apart - 1) } else { 0 };
        (came, came + load_millis)
    })
}

/// A period with a single promise.
struct Segment {
    start: Millis,
    end: Millis,
    freshness: Freshness,
}

impl Pace {
    /// Checks a file's content.
    pub fn build(part: &PaceFile, problems: &mut Problems) -> Option<Self> {
        file::build(part, problems)
    }

    /// The latest start of a load whose oldest object was recorded at this instant.
    ///
    /// All instants of the grid are later than `recorded`. The distance between two of them is the promise minus the time that a lost sweep
    /// and the load itself may take.
    pub fn start_millis(&self, recorded: Millis) -> Millis {
        let (mut earliest, mut was_never, mut last) = (None::<Millis>, false, recorded);
        for segment in self.segments(recorded) {
            last = segment.end;
            let candidate = match segment.freshness {
                Freshness::Never => {
                    (earliest, was_never) = (None, true);
                    continue;
                }
                Freshness::AtOnce => segment.start,
                Freshness::Within(_) if was_never => segment.start,
                Freshness::Within(seconds) => self.next_instant(seconds, segment.start),
            };
            let start = earliest.map_or(candidate, |known| known.min(candidate));
            if start < segment.end {
                return start;
            }
            earliest = Some(start);
        }
        last
    }

    /// The end of the current hours in which nothing may start, if there are such hours now.
    pub fn never_until(&self, now: Millis) -> Option<Millis> {
        let mut until = None;
        for segment in self.segments(now) {
            if segment.freshness != Freshness::Never {
                break;
            }
            until = Some(segment.end);
        }
        until
    }

    /// Time between two starts.
    pub fn period_millis(freshness_seconds: u32) -> i64 {
        i64::from(freshness_seconds) * 1000 - RESERVE_MILLIS
    }

    /// The name shifts the grid, so that an account's warehouses do not all start in the same second.
    fn next_instant(&self, freshness_seconds: u32, after: Millis) -> Millis {
        let period = Self::period_millis(freshness_seconds);
        let digest = Sha256::digest(&self.name);
        let seed = i64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]));
        let phase = seed % period;
        after + period - (after - phase).rem_euclid(period)
    }

    /// The promises from this instant on, one period after the other, for more than a week.
    fn segments(&self, from: Millis) -> Vec<Segment> {
        let end = from + i64::from(DAYS) * 86_400_000;
        if self.windows.is_empty() {
            return vec![Segment { start: from, end, freshness: self.freshness }];
        }
        let spans = self.spans(from);
        let mut bounds: Vec<Millis> = spans.iter().flat_map(|(start, end, _)| [*start, *end]).collect();
        bounds.retain(|bound| (from + 1..end).contains(bound));
        bounds.extend([from, end]);
        bounds.sort_unstable();
        bounds.dedup();
        let holds = |at: Millis| spans.iter().find(|(start, end, _)| (*start..*end).contains(&at));
        let segment = |pair: &[Millis]| Segment {
            start: pair[0],
            end: pair[1],
            freshness: holds(pair[0]).map_or(self.freshness, |(_, _, freshness)| *freshness),
        };
        bounds.windows(2).map(segment).collect()
    }

    /// The windows as instants, in order of priority. They begin on the previous day, because a window may last past midnight.
    fn spans(&self, from: Millis) -> Vec<(Millis, Millis, Freshness)> {
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        let today = Timestamp::from_millisecond(from).unwrap_or_default().to_zoned_datetime(zone.clone()).date();
        let day = |offset: i32| today.saturating_add(offset.days());
        let mut spans = Vec::new();
        for window in &self.windows {
            for date in (-1..=DAYS).map(day).filter(|date| window.begins_on(date.weekday())) {
                let next = if window.to_minute <= window.from_minute { date.saturating_add(1.day()) } else { date };
                spans.push((
                    instant(date, window.from_minute, &zone),
                    instant(next, window.to_minute, &zone),
                    window.freshness,
                ));
            }
        }
        spans
    }
}

impl Window {
    fn begins_on(&self, weekday: Weekday) -> bool {
        self.days.is_empty() || self.days.contains(&weekday.to_monday_one_offset())
    }
}

/// If a clock change makes a time ambiguous or nonexistent, the rules of RFC 5545 apply.
fn instant(date: Date, minute: i16, zone: &TimeZone) -> Millis {
    let (date, minute) = if minute >= 1440 { (date.saturating_add(1.day()), 0) } else { (date, minute) };
    let hour = i8::try_from(minute / 60).unwrap_or(0);
    let time = Time::new(hour, i8::try_from(minute % 60).unwrap_or(0), 0, 0).unwrap_or_default();
    zone.to_timestamp(date.to_datetime(time)).map_or(0, Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests;
