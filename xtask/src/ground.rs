//! What every room may use, and what uses no room: the terminal, other programs, AWS clients and stacks.

pub mod ask;
pub mod aws;
pub mod buckets;
pub mod clock;
pub mod hash;
pub mod local_stack;
pub mod output;
mod profile;
pub mod running;
pub mod shell;
pub mod stack;
pub mod stack_args;
pub mod stack_name;
