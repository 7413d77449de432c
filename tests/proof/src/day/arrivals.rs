//! When files arrive: steadily, in bursts, or according to a list.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Sizes of files, in bytes.
const SIZE_BYTES: std::ops::Range<u64> = 1 << 20..16 << 20;
/// Files in a burst, and the milliseconds within which they arrive.
const BURST_FILES: std::ops::Range<usize> = 20..200;
const BURST_MILLIS: i64 = 10_000;

/// The upload of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// Milliseconds since the day began.
    pub millis: i64,
    /// Number of the table.
    pub table: usize,
    /// Size of the file.
    pub size_bytes: u64,
}

/// How files arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Uniformly over the day.
    Steady,
    /// In bursts, each of one table.
    Bursty,
    /// According to this list.
    Replayed(Vec<Arrival>),
}

/// The files of a day, in order. Some tables get far more than others: of 100 tables, the first gets about a twentieth of the files and
/// the last almost none.
pub fn of_day(seed: u64, shape: &Shape, files: usize, tables: usize, hours: i64) -> Vec<Arrival> {
    let mut rng = StdRng::seed_from_u64(seed);
    let day = hours * 3_600_000;
    let mut arrivals = Vec::with_capacity(files);
    match shape {
        Shape::Replayed(list) => arrivals.clone_from(list),
        Shape::Steady => arrivals.extend((0..files).map(|_| {
            let millis = rng.random_range(0..day);
            Arrival { millis, table: table(&mut rng, tables), size_bytes: rng.random_range(SIZE_BYTES) }
        })),
        Shape::Bursty => {
            while arrivals.len() < files {
                let (begin, table) = (rng.random_range(0..day - BURST_MILLIS), table(&mut rng, tables));
                let count = rng.random_range(BURST_FILES).min(files - arrivals.len());
                arrivals.extend((0..count).map(|_| {
                    let millis = begin + rng.random_range(0..BURST_MILLIS);
                    Arrival { millis, table, size_bytes: rng.random_range(SIZE_BYTES) }
                }));
            }
        }
    }
    arrivals.sort_unstable();
    arrivals
}

fn table(rng: &mut StdRng, tables: usize) -> usize {
    let (a, b) = (rng.random_range(0..tables), rng.random_range(0..tables));
    a * b / tables
}

/// Parses a list with one file per line, `millis,bytes`. The tables take turns.
pub fn parse(text: &str, tables: usize) -> Result<Vec<Arrival>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(index, line): (usize, &str)| {
        let wrong = || format!("line {}: `{line}` is not `millis,bytes`, for example `1500,1048576`", index + 1);
        let (millis, bytes) = line.split_once(',').ok_or_else(wrong)?;
        let millis: i64 = millis.trim().parse().map_err(|_| wrong())?;
        let size_bytes = bytes.trim().parse().map_err(|_| wrong())?;
        if millis < 0 { Err(wrong()) } else { Ok(Arrival { millis, table: index % tables, size_bytes }) }
    };
    lines.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_parsed_and_the_error_names_an_invalid_line() {
        let list = parse("0,10\n\n1500, 20\n", 2).unwrap();
        assert_eq!(list[1], Arrival { millis: 1500, table: 0, size_bytes: 20 });
        assert_eq!(
            parse("0,10\nx,1", 1).unwrap_err(),
            "line 2: `x,1` is not `millis,bytes`, for example `1500,1048576`"
        );
        assert!(parse("-1,1", 1).is_err());
    }
}
