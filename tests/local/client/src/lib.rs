//! What a program needs to use the local stack: starting it, finding it, stopping it, and steering it from outside.
//!
//! It also holds what both ends of each conversation must agree on: `stack.json`, the progress lines of `local-stack up`, and
//! the JSON of the administrative paths. It knows nothing of how the stack works.
//!
//! | file | subject |
//! | --- | --- |
//! | `info` | `stack.json`, and whether the stack of a folder is up |
//! | `stack`, `progress` | starting and stopping one, and what it reports meanwhile |
//! | `gateway`, `calls`, `toxic` | `/_local/…`: counted calls and injected faults |
//! | `data_api` | `/_standin/…`: what the Data API stand-in was sent, and how it is made to misbehave |
//! | `http` | requests on loopback |

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
