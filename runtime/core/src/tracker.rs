//! The tracker: the per-table record in DynamoDB and its rules.
//!
//! Read in this order: `key`, `slot` and `item` (what is stored), `condition`, `write` and `change` (conditional writes as data), `view` and `waits` (what is known),
//! `decide`, `choose` and `gather` (what to do next), `prepare`, `settle`, `wait` and `cancel` (what follows from what was seen), `enqueue` (how facts enter),
//! `listing` and `list` (how far a folder is read), `table_event` (what others are told), `invariant` (what always holds).

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
