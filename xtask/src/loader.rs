//! The loader as the commands see it: functions, template, deployment, connections and tracker. Rooms use it; it uses only `ground`.

pub mod connections;
pub mod dead_letters;
pub mod deployment;
pub mod functions;
pub mod invoke;
pub mod logs;
pub mod queues;
pub mod schema;
pub mod settings;
pub mod tracker;
pub mod warehouse;
