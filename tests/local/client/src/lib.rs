//! Starts, finds, stops and controls a local stack from another program.
//!
//! The crate also defines what both sides must agree on: `stack.json`, the progress lines of `local-stack up`, and the JSON of the
//! administrative paths. It does not depend on how the stack works.
//!
//! | file | subject |
//! | --- | --- |
//! | `info` | `stack.json`, and whether a folder's stack is running |
//! | `stack`, `progress` | starting and stopping a stack, and its progress meanwhile |
//! | `gateway`, `calls`, `toxic` | `/_local/`: counted calls and injected faults |
//! | `data_api` | `/_standin/`: submitted statements, and faults of the Data API stand-in |
//! | `http` | HTTP requests on loopback |

pub mod calls;
mod data_api;
mod gateway;
pub mod http;
pub mod info;
mod progress;
mod stack;
mod toxic;

pub use data_api::{DataApiAdmin, Statement, StatementPart};
pub use gateway::GatewayAdmin;
pub use info::{StackInfo, Warehouse, info};
pub use progress::Progress;
pub use stack::{BINARY_VARIABLE, Stack, StackOptions, down, start, start_detached};
pub use toxic::{PortFilter, Toxic, ToxicKind, ToxicState};
