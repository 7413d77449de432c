//! Generates the loader's `CloudFormation` template from the queue configurations, with a tree of constructs.
//!
//! [`synthesize`] is the entry point: it reads a folder of configurations ([`queues`]) and writes or compares the template ([`synthesis`]).
//! Layer 1 ([`l1`]) mirrors `CloudFormation`; layer 2 ([`l2`]) adds defaults, checks and grants; layer 3 ([`l3`]) is the loader.
//! The layers use no file, account or clock, so the same props always give the same bytes. [`names`], [`queue_name`] and [`limits`] contain
//! what the template and the programs that deploy it must agree on.

#![warn(missing_docs)]

pub mod architecture;
pub mod args;
mod json;
pub mod l1;
pub mod l2;
pub mod l3;
pub mod limits;
mod logical_id;
mod longest;
pub mod names;
pub mod policy;
mod props;
pub mod queue_name;
pub mod queues;
pub mod scope;
pub mod synthesis;
pub mod template;
pub mod tree;
pub mod value;
pub mod warehouses;
pub mod workspace;

pub use architecture::Architecture;
pub use args::SynthArgs;
pub use l3::loader_template;
pub use loader_core::problem::{Problem, Problems};
pub use props::{LoaderProps, QueueSource};
pub use queues::{QueueFile, QueuesError};
pub use synthesis::{SynthError, SynthProps, Synthesis, TemplateFile, synthesize};
pub use template::Template;
