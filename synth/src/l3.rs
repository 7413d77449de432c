//! Layer 3: the loader, and what each table adds to it.

mod alarms;
mod dashboard;
mod events;
mod functions;
mod loader_stack;
mod parameters;
mod schedules;
mod shared;
mod table_source;

pub use loader_stack::loader_template;
