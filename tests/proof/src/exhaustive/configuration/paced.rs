//! Runs in which loads wait: for one another, for the instant or the hours of their warehouse, for room in it, for their turn.

use super::{Change, Configuration, among_three, blob, ticks};
use crate::fixture::{
    ADMITTED, AGED, AHEAD, MORNING_MILLIS, NIGHT, NIGHT_AHEAD, SHARED, SHARED_MILLIS, SINGLE, START_MILLIS, TICK_MILLIS,
};

impl Configuration {
    /// Files wait for one another. Only the sweep starts their load, and it is late.
    pub fn waits() -> Self {
        Self { tables: vec![AGED, AGED], instants: ticks(4), events: 0, ..Self::base("waits") }
    }

    /// Files wait for the instant of their warehouse, whose sweep may be lost.
    pub fn shared_instant() -> Self {
        let instants = vec![START_MILLIS, SHARED_MILLIS, SHARED_MILLIS + TICK_MILLIS];
        Self { tables: vec![SHARED, SHARED], instants, events: 0, ..Self::base("shared instant") }
    }

    /// A table's loads start at once, and those of another table ride, because the warehouse is awake.
    pub fn rides() -> Self {
        Self { tables: vec![SHARED, AHEAD], ..Self::base("rides").alone(1) }
    }

    /// Nothing starts at night, neither what waits for the others nor what starts at once.
    pub fn night() -> Self {
        let instants = vec![START_MILLIS, MORNING_MILLIS, MORNING_MILLIS + TICK_MILLIS];
        Self { tables: vec![NIGHT, NIGHT_AHEAD], instants, ..Self::base("night").alone(1) }
    }

    /// A warehouse runs one load at a time. There is one invocation at a time, so the index of tables with work is never behind.
    pub fn admission() -> Self {
        let [one, other, _] = ADMITTED;
        Self {
            script: among_three(blob("b1", 2)),
            done: 3,
            messages: vec![vec![0], vec![1], vec![2]],
            tables: vec![one, other, one],
            ..Self::base("admission").alone(2)
        }
    }

    /// Like `admission`, but two invocations look at the same instant, so each of the two tables may find room.
    pub fn admission_races() -> Self {
        let [one, other, _] = ADMITTED;
        Self { tables: vec![one, other], instants: ticks(1), ..Self::base("admission races") }
    }

    /// The table that has waited longer may not start yet.
    pub fn admission_behind() -> Self {
        let [one, _, waits] = ADMITTED;
        Self { tables: vec![waits, one], ..Self::base("admission behind").alone(2) }
    }

    /// Live files beside a bulk request, each a load of its own.
    pub fn turns() -> Self {
        let keys = ["r", "s", "a", "b"];
        Self {
            script: keys.iter().zip(1..).map(|(key, size)| Change::Put(key, blob(key, size))).collect(),
            done: keys.len(),
            messages: vec![vec![0, 1], vec![2], vec![3]],
            tables: vec![SINGLE; 3],
            requested: vec![0],
            ..Self::base("turns").alone(1)
        }
    }

    /// One invocation at a time, at this many instants. `NextLoader` also runs in one step.
    fn alone(self, instants: i64) -> Self {
        Self { invocations: 1, whole: true, instants: ticks(instants), ..self }
    }
}
