//! The whole path, a test per situation that a user meets. Every test ends by comparing the warehouse with the files.

mod paths;

use end_to_end::{Spec, Suite, Tuning};

static SUITE: Suite = Suite::new(|| vec![(Tuning::quick("e2e"), specs())]);

fn specs() -> Vec<Spec> {
    [paths::specs()].concat()
}
