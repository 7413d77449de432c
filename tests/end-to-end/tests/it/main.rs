//! The whole path, a test per situation that a user meets. Every test ends by comparing the warehouse with the files.

mod bulk;
mod events;
mod failures;
mod formats;
mod inputs;
mod merging;
mod objects;
mod paths;
mod warehouses;

use end_to_end::{Suite, Tuning};

// The policies of one role have room for about fifty queues, so there are two deployments.
static SUITE: Suite = Suite::new(|| {
    let first = [bulk::specs(), events::specs(), failures::specs(), inputs::specs()];
    let second = [formats::specs(), merging::specs(), objects::specs(), paths::specs(), warehouses::specs()];
    vec![(Tuning::quick("e2e-a"), first.concat()), (Tuning::quick("e2e-b"), second.concat())]
});
