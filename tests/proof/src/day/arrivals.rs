//! When files arrive: steadily, in bursts, or as a list says.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Sizes of files, in bytes.
const SIZE_BYTES: std::ops::Range<u64> = 1 << 20..16 << 20;
/// Files of one burst, and the milliseconds in which they arrive.
const BURST_FILES: std::ops::Range<usize> = 20..200;
const BURST_MILLIS: i64 = 10_000;

/// A file is uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// When, in milliseconds since the day began.
    pub millis: i64,
    /// For which table.
    pub table: usize,
    /// How large it is.
    pub size_bytes: u64,
}

/// How files arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// At any time alike.
    Steady,
    /// In bursts of one table.
    Bursty,
    /// As this list says.
    Replayed(Vec<Arrival>),
}

/// The files of a day, in their order. Some tables get far more than others: of 100 tables the
/// first gets about a twentieth, the last next to nothing.
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

/// Reads a list: one file a line, `millis,bytes`; the files go to the tables in turn.
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
    fn a_list_is_read_and_a_wrong_line_is_named() {
        let list = parse("0,10\n\n1500, 20\n", 2).unwrap();
        assert_eq!(list[1], Arrival { millis: 1500, table: 0, size_bytes: 20 });
        assert_eq!(
            parse("0,10\nx,1", 1).unwrap_err(),
            "line 2: `x,1` is not `millis,bytes`, for example `1500,1048576`"
        );
        assert!(parse("-1,1", 1).is_err());
    }
}
