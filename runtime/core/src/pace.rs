//! How a warehouse is used: how fresh its tables are, in which hours, how many loads at the same time, what it costs.
//!
//! Loads that may wait start together, at instants that follow from the clock and the warehouse's name alone: nobody has to
//! remember them, and one wake of a sleeping workgroup serves every table.

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

/// Shortest promise that lets loads wait for one another, in seconds; shorter ones would be kept by luck.
pub const FRESHNESS_SECONDS_MIN: u32 = 300;
/// Longest promise, in seconds: a day.
pub const FRESHNESS_SECONDS_MAX: u32 = 86_400;
/// What a promise keeps free, in milliseconds: two sweeps, because one may be lost, and a minute for the notification and the load.
const RESERVE_MILLIS: i64 = 180_000;
// Between two starts there is time.
const _: () = assert!(FRESHNESS_SECONDS_MIN as i64 * 1000 > RESERVE_MILLIS);
/// Days that are searched for the next start. Windows repeat every week.
const DAYS: i32 = 9;

/// The settings of a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    /// Its name: that of its file.
    pub name: String,
    /// The promise outside of every window.
    pub freshness: Freshness,
    /// Hours with another promise; the first that fits holds.
    pub windows: Vec<Window>,
    /// Time zone of the windows, by its IANA name.
    pub time_zone: String,
    /// Loads at the same time; `None`: as many as there are tables.
    pub concurrent_loads_max: Option<u32>,
    /// What a second awake costs, in millionths of a dollar; `None` where the file does not say.
    pub microdollars_per_second: Option<u64>,
}

/// How long an object may take from its creation to the commit of its rows, when the warehouse is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Loads start at once.
    AtOnce,
    /// So many seconds.
    Within(u32),
    /// Nothing starts: a sleeping warehouse is left asleep.
    Never,
}

/// Hours of a day with a promise of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Days of the week on which it begins, Monday is 1; all seven when empty.
    pub days: Vec<i8>,
    /// When it begins, in minutes since midnight.
    pub from_minute: i16,
    /// When it ends, in minutes since midnight. Not later than its begin: on the next day.
    pub to_minute: i16,
    /// The promise.
    pub freshness: Freshness,
}

/// A wake of a Redshift Serverless workgroup is billed for at least so long, in milliseconds (Redshift pricing: 60 seconds).
pub const WAKE_MILLIS_MIN: i64 = 60_000;

/// How long a workgroup that nobody else uses is billed for these statements, in milliseconds, and how often it is woken. `busy`: when each
/// began and ended. `wake_millis_min`: what a wake is billed for at least.
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

/// A stretch of time with one promise.
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

    /// When a load starts at the latest whose oldest object was recorded then.
    ///
    /// Every instant of the grid is later than `recorded`, and the distance between two of them is the promise less what a lost sweep and
    /// the load itself may take.
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

    /// Until when nothing may start, if that is so now.
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

    /// The warehouses of one account do not all start at the same second: the name shifts the grid.
    fn next_instant(&self, freshness_seconds: u32, after: Millis) -> Millis {
        let period = Self::period_millis(freshness_seconds);
        let digest = Sha256::digest(&self.name);
        let seed = i64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]));
        let phase = seed % period;
        after + period - (after - phase).rem_euclid(period)
    }

    /// What holds from then on, one stretch after the other, for more than a week.
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

    /// The windows as instants, in the order in which they hold: from the day before, because one may last past midnight.
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

/// Where clocks are changed and the time is there twice or not at all, the rules of RFC 5545 hold.
fn instant(date: Date, minute: i16, zone: &TimeZone) -> Millis {
    let (date, minute) = if minute >= 1440 { (date.saturating_add(1.day()), 0) } else { (date, minute) };
    let hour = i8::try_from(minute / 60).unwrap_or(0);
    let time = Time::new(hour, i8::try_from(minute % 60).unwrap_or(0), 0, 0).unwrap_or_default();
    zone.to_timestamp(date.to_datetime(time)).map_or(0, Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests;
