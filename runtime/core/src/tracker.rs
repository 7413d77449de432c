//! The tracker: what DynamoDB stores about each table, and the rules for it.
//!
//! Reading order: `key`, `slot` and `item` (what is stored); `condition`, `write` and `change` (conditional writes as data); `view` and
//! `waits` (what is known); `decide`, `choose`, `admit` and `gather` (what to do next); `prepare`, `settle`, `split`, `wait` and `cancel`
//! (what follows from what was observed); `enqueue` (how objects are recorded); `listing` and `list` (progress through a folder);
//! `operator` (what a person may change); `table_event` (what others are told); `wire` (the format in DynamoDB); `invariant` (what always
//! holds).

pub mod admit;
pub mod cancel;
pub mod change;
pub mod choose;
pub mod condition;
pub mod context;
pub mod decide;
pub mod enqueue;
pub mod gather;
pub mod invariant;
pub mod item;
pub mod key;
pub mod list;
pub mod listing;
pub mod operator;
pub mod pack;
pub mod prepare;
pub mod settle;
pub mod slot;
pub mod split;
pub mod table_event;
pub mod view;
pub mod wait;
pub mod waits;
pub mod wire;
pub mod write;
