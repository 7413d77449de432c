//! The protocol step by step, over items in memory: the production decisions and the production writes.

mod claim;
mod gather;
mod ledger;
mod misfit;
mod operator;
mod pace;
mod prepare;
mod settle;
mod shapes;
mod sizes;
mod split;
mod submit;
mod table;
mod views;
