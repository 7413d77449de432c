//! Other policies for the same files: one COPY per notification batch, loads at fixed intervals, and the best schedule that could be made with
//! knowledge of the whole day. No code of the loader runs here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::arrivals::Arrival;
use super::cost::Cost;
use super::percentile;

/// Messages in a batch of the predecessor.
const PREDECESSOR_BATCH: usize = 10;
/// Share of the files that may wait longer than the p99.
const LATE_PART: f64 = 0.01;
/// Steps of the search for the best price of a load.
const SEARCH_STEPS: usize = 24;

/// A load of a policy.
struct Load {
    ready_millis: i64,
    files: Vec<usize>,
}

/// The results of a policy.
pub struct Ran {
    /// Milliseconds from upload to commit, for each file.
    pub waits: Vec<i64>,
    /// Begin and end of each load.
    pub busy: Vec<(i64, i64)>,
}

/// One COPY per notification batch, one after the other for a table, as the predecessor does.
pub fn per_notification_batch(files: &[Arrival], cost: &Cost) -> Ran {
    let loads = |of_table: &[usize]| {
        let ready = |batch: &[usize]| files[batch[batch.len() - 1]].millis + cost.notification_millis;
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for file in of_table {
            // SQS fills a batch for a second after its first message.
            match batches.last_mut() {
                Some(batch)
                    if batch.len() < PREDECESSOR_BATCH && files[*file].millis < files[batch[0]].millis + 1_000 =>
                {
                    batch.push(*file);
                }
                _ => batches.push(vec![*file]),
            }
        }
        batches.into_iter().map(|batch| Load { ready_millis: ready(&batch), files: batch }).collect()
    };
    run(files, cost, loads)
}

/// Every `seconds`, one COPY for each table that has new files.
pub fn fixed_batches(files: &[Arrival], cost: &Cost, seconds: i64) -> Ran {
    let period = seconds * 1000;
    let loads = |of_table: &[usize]| {
        let mut batches: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for file in of_table {
            let known = files[*file].millis + cost.notification_millis;
            batches.entry((known / period + 1) * period).or_default().push(*file);
        }
        batches.into_iter().map(|(ready_millis, files)| Load { ready_millis, files }).collect()
    };
    run(files, cost, loads)
}

/// The files of each table, in order.
fn by_table(files: &[Arrival]) -> Vec<Vec<usize>> {
    let mut tables: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        tables.entry(file.table).or_default().push(index);
    }
    tables.into_values().collect()
}

/// Runs the loads: those of a table one after the other, and as many concurrently as the warehouse allows.
fn run(files: &[Arrival], cost: &Cost, loads: impl Fn(&[usize]) -> VecDeque<Load>) -> Ran {
    let between = cost.event_millis + cost.data_api_millis;
    let mut tables: Vec<VecDeque<Load>> = by_table(files).iter().map(|files| loads(files)).collect();
    let first = |(table, loads): (usize, &VecDeque<Load>)| Some(Reverse((loads.front()?.ready_millis, table)));
    let mut submits: BinaryHeap<Reverse<(i64, usize)>> = tables.iter().enumerate().filter_map(first).collect();
    let mut free: BinaryHeap<Reverse<i64>> = (0..cost.statements_at_once).map(|_| Reverse(0)).collect();
    let mut ran = Ran { waits: Vec::with_capacity(files.len()), busy: Vec::new() };
    while let (Some(Reverse((submit, table))), Some(Reverse(free_millis))) = (submits.pop(), free.pop()) {
        let Some(load) = tables[table].pop_front() else { continue };
        let begin = free_millis.max(submit + cost.data_api_millis);
        let end = begin + cost.load_millis(load.files.iter().map(|file| files[*file].size_bytes).sum());
        ran.waits.extend(load.files.iter().map(|file| end - files[*file].millis));
        ran.busy.push((begin, end));
        free.push(Reverse(end));
        if let Some(next) = tables[table].front() {
            submits.push(Reverse((next.ready_millis.max(end + between), table)));
        }
    }
    ran
}

/// The p99 from upload to commit, in milliseconds, of a schedule with at most `n_loads` loads that is made in hindsight to minimize the longest
/// wait. Loads of a table run one after the other; calls and notifications take no time. The schedule is possible, so the optimum lies
/// between [`p99_bound`] and this.
pub fn p99_in_hindsight(files: &[Arrival], cost: &Cost, n_loads: usize) -> i64 {
    let tables = by_table(files);
    let schedule = |longest: i64| -> Option<Vec<i64>> {
        let mut loads = 0;
        let mut waits = Vec::with_capacity(files.len());
        for of_table in &tables {
            loads += schedule_table(files, of_table, cost, longest, &mut waits)?;
        }
        (loads <= n_loads).then_some(waits)
    };
    let (mut short, mut long) = (0, 8 * 24 * 3_600_000);
    while long - short > 10 {
        let longest = i64::midpoint(short, long);
        if schedule(longest).is_some() { long = longest } else { short = longest }
    }
    let mut waits = schedule(long).unwrap_or_default();
    waits.sort_unstable();
    percentile(&waits, 99)
}

/// Each load takes as many files as possible without letting its first one wait longer than `longest`. Returns the number of loads, or `None`
/// if a single file would wait longer.
fn schedule_table(
    files: &[Arrival],
    of_table: &[usize],
    cost: &Cost,
    longest: i64,
    waits: &mut Vec<i64>,
) -> Option<usize> {
    let (mut first, mut free, mut loads) = (0, 0, 0);
    while first < of_table.len() {
        let must_end = files[of_table[first]].millis + longest;
        let (mut size_bytes, mut next, mut end) = (0, first, 0);
        while let Some(file) = of_table.get(next).map(|file| &files[*file]) {
            let with_it = file.millis.max(free) + cost.load_millis(size_bytes + file.size_bytes);
            if with_it > must_end {
                break;
            }
            (size_bytes, next, end) = (size_bytes + file.size_bytes, next + 1, with_it);
        }
        if next == first {
            return None;
        }
        waits.extend(of_table[first..next].iter().map(|file| end - files[*file].millis));
        (first, free, loads) = (next, end, loads + 1);
    }
    Some(loads)
}

/// A lower bound of the p99 from upload to commit, in milliseconds, for any schedule with `n_loads` loads, even if it knows all arrivals in
/// advance and there are no latencies and no limits of the warehouse.
///
/// A file is in time if a load of its table begins within `window` after it. However `n_loads` are placed, they cover at most
/// `best(λ) + λ·n_loads` files, where `best(λ)` is the maximum that can be covered if every load costs λ files. A window is too short if this
/// is less than 99 % of the files.
pub fn p99_bound(files: &[Arrival], cost: &Cost, n_loads: usize) -> i64 {
    let tables: Vec<Vec<i64>> =
        by_table(files).iter().map(|of| of.iter().map(|file| files[*file].millis).collect()).collect();
    let (mut short, mut long) = (-1, files.iter().map(|file| file.millis).max().unwrap_or(0));
    while long - short > 10 {
        let window = i64::midpoint(short, long);
        if may_cover(&tables, window, n_loads, files.len()) { long = window } else { short = window }
    }
    long + cost.load_millis(0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of files are far below 2^52")]
fn may_cover(tables: &[Vec<i64>], window: i64, n_loads: usize, n_files: usize) -> bool {
    let wanted = n_files as f64 * (1.0 - LATE_PART);
    let bound =
        |price: f64| tables.iter().map(|files| best(files, window, price)).sum::<f64>() + price * n_loads as f64;
    // The bound is convex in the price: search for its minimum.
    let (mut low, mut high) = (0.0, n_files as f64);
    for _ in 0..SEARCH_STEPS {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        let (at_a, at_b) = (bound(a), bound(b));
        if at_a.min(at_b) < wanted {
            return false;
        }
        if at_a <= at_b { high = b } else { low = a }
    }
    bound(0.0) >= wanted
}

/// The maximum number of a table's files that can be covered, minus the price of the loads.
#[expect(clippy::cast_precision_loss, reason = "counts of files are far below 2^52")]
fn best(files: &[i64], window: i64, price: f64) -> f64 {
    let mut best = vec![0.0_f64; files.len() + 1];
    let mut first = 0;
    for index in 0..files.len() {
        while files[first] < files[index] - window {
            first += 1;
        }
        let covered = (index + 1 - first) as f64;
        best[index + 1] = best[index].max(best[first] + covered - price);
    }
    best[files.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(millis: &[i64]) -> Vec<Arrival> {
        millis.iter().map(|millis| Arrival { millis: *millis, table: 0, size_bytes: 0 }).collect()
    }

    #[test]
    fn the_bound_is_the_time_of_a_load_with_a_load_per_file_and_the_whole_span_with_one_load() {
        let cost = Cost::default();
        let files = files(&[0, 10_000, 20_000]);
        assert_eq!(p99_bound(&files, &cost, 3) / 100, 30);
        let one = p99_bound(&files, &cost, 1);
        assert!((23_000..=23_010).contains(&one), "{one}");
    }

    #[test]
    fn the_schedule_in_hindsight_never_beats_the_bound() {
        let cost = Cost::default();
        let files = files(&[0, 500, 10_000, 20_000, 20_100]);
        for n_loads in 1..=5 {
            let (bound, found) = (p99_bound(&files, &cost, n_loads), p99_in_hindsight(&files, &cost, n_loads));
            assert!(bound <= found + 20, "{n_loads} loads: {bound} {found}");
        }
        assert_eq!(p99_in_hindsight(&files, &cost, 3) / 100, 35);
    }

    #[test]
    fn fixed_batches_wait_for_the_clock_and_the_predecessor_does_not() {
        let cost = Cost::default();
        let files = files(&[0, 100, 200_000]);
        let fixed = fixed_batches(&files, &cost, 300);
        assert_eq!((fixed.busy.len(), fixed.waits[2]), (1, 100_000 + 3_100));
        let per_batch = per_notification_batch(&files, &cost);
        assert_eq!((per_batch.busy.len(), per_batch.waits[0]), (2, 100 + 1_000 + 3_100));
    }
}
