//! A short run of the fuzz targets: every seed, and many mutations of each. `cargo xtask fuzz` makes a long, coverage-guided run.

#![allow(clippy::disallowed_methods, reason = "the seeds are files")]

use std::path::Path;

use proptest::prelude::{Rng, RngExt};
use proptest::test_runner::{RngAlgorithm, TestRng};

#[path = "../fuzz/bodies.rs"]
mod bodies;

const COPIES_PER_SEED: usize = 8_000;
/// Pieces that are inserted where they do not belong.
const PIECES: [&str; 16] = [
    "\"",
    "\\u0000",
    "{",
    "}",
    "[]",
    "null",
    "-1",
    "1e999",
    "18446744073709551615",
    "%FF",
    "é",
    "'",
    "--",
    "/",
    "#",
    ":",
];

fn run(target: &str, body: fn(&str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for seed in &seeds {
        let text = std::fs::read_to_string(seed).unwrap();
        body(&text);
        for _ in 0..COPIES_PER_SEED {
            body(&changed(&text, &mut rng));
        }
    }
    println!("proof: fuzz {target}: {} inputs", seeds.len() * (COPIES_PER_SEED + 1));
}

/// The text with some parts removed, doubled, swapped or overwritten.
fn changed(text: &str, rng: &mut TestRng) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..rng.random_range(1..6) {
        let from = rng.random_range(0..=characters.len());
        let to = rng.random_range(from..=characters.len().min(from + 20));
        match rng.random_range(0..4) {
            0 => drop(characters.drain(from..to)),
            1 => {
                let copy = characters[from..to].to_vec();
                characters.splice(from..from, copy);
            }
            2 => drop(characters.splice(from..to, PIECES[rng.random_range(0..PIECES.len())].chars())),
            _ => characters.insert(from, char::from_u32(rng.next_u32() % 0x500).unwrap_or('x')),
        }
    }
    characters.into_iter().collect()
}

#[test]
fn s3_notification() {
    run("s3_notification", bodies::s3_notification);
}

#[test]
fn configuration() {
    run("configuration", bodies::configuration);
}

#[test]
fn status_change() {
    run("status_change", bodies::status_change);
}

#[test]
fn bulk_request() {
    run("bulk_request", bodies::bulk_request);
}

#[test]
fn tracker_item() {
    run("tracker_item", bodies::tracker_item);
}
