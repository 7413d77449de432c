//! The shared state of the stand-in.

use crate::aws::Aws;
use crate::clock::Clock;
use crate::conflicts::Conflicts;
use crate::controls::Controls;
use crate::store::Store;
use crate::warehouse::Databases;

pub struct App {
    pub clock: Clock,
    pub store: Store,
    pub databases: Databases,
    pub conflicts: Conflicts,
    pub aws: Aws,
    pub controls: Controls,
}
