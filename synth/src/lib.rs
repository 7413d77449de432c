//! From queue configurations to the loader's `CloudFormation` template, in constructs.
//!
//! Layer 1 ([`l1`]) is `CloudFormation` word for word, layer 2 ([`l2`]) adds defaults, checks and grants, layer 3 ([`l3`]) is the loader.
//! Nothing here reads a file, knows an account or asks the time: the same props give the same bytes.

pub mod architecture;
pub mod assertions;
mod json;
pub mod l1;
pub mod l2;
pub mod l3;
pub mod limits;
mod logical_id;
pub mod names;
pub mod policy;
mod props;
pub mod queue_name;
pub mod scope;
pub mod template;
pub mod tree;
pub mod value;

pub use architecture::Architecture;
pub use l3::loader_template;
pub use loader_core::problem::{Problem, Problems};
pub use props::{LoaderProps, QueueSource};
pub use template::Template;
