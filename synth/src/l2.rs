//! Layer 2: resources with defaults, checks and grants. Other constructs take a resource's handle, never its ARN.

mod alarm;
mod bucket;
mod dashboard;
mod function;
mod log_group;
mod pipe;
mod queue;
mod retry;
mod role;
mod rule;
mod schedule;
mod source_bucket;
mod table;
mod warehouse;

pub use alarm::{Alarm, AlarmProps, Metric, MissingData};
pub use bucket::{Bucket, BucketProps};
pub use dashboard::{Dashboard, Repeated, Row, Widget};
pub use function::{AsyncProps, BatchProps, Function, FunctionProps};
pub use log_group::{LogGroup, RETENTION_DAYS};
pub use pipe::{Pipe, PipeProps};
pub use queue::{Queue, QueueProps, SharedPolicy};
pub use retry::RetryProps;
pub use role::Role;
pub use rule::{Rule, RuleProps, RuleTarget, Trigger};
pub use schedule::{ScheduleProps, Schedules};
pub use source_bucket::SourceBucket;
pub use table::{Index, Table, TableProps};
pub use warehouse::{DataApi, Warehouse};
