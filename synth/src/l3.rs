//! Layer 3: the loader, and what one table needs to be loaded.

mod alarms;
mod dashboard;
mod functions;
mod loader_stack;
mod parameters;
mod table_source;

pub use loader_stack::loader_template;
pub use parameters::{
    PARAMETER_ALARM_TOPIC_ARN, PARAMETER_ASSETS_BUCKET, PARAMETER_QUEUE_NAME_PREFIX, STACK_NAME_CHARACTERS_MAX,
    STATEMENT_NAME_PREFIX_CHARACTERS_MAX, parameter_code_key,
};
pub use table_source::{QUEUE_NAME_CHARACTERS_MAX, TableSource, TableSourceProps, dead_letters_name};
