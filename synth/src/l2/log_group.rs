//! A log group with a retention period.

use crate::l1::{CfnLogGroup, CfnLogGroupProps};
use crate::l2::role::Role;
use crate::policy::Statement;
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// Days that `CloudWatch` Logs can keep logs for (`CloudWatch` Logs API, `PutRetentionPolicy`).
pub const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// A log group whose logs expire.
#[derive(Clone)]
pub struct LogGroup {
    resource: Resource,
}

impl LogGroup {
    /// Adds a log group. `retention_days` must be one of [`RETENTION_DAYS`].
    pub fn new(scope: &Scope, name: Value, retention_days: u32) -> Self {
        if !RETENTION_DAYS.contains(&retention_days) {
            scope.problem(format!(
                "log retention `{retention_days}` days: CloudWatch Logs takes {}",
                RETENTION_DAYS.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ));
        }
        let props = CfnLogGroupProps { LogGroupName: Some(name), RetentionInDays: Some(retention_days.into()) };
        let resource = CfnLogGroup::new(scope, props);
        Self { resource }
    }

    /// Lets a role write to the log group, but not create it: a function that is still running while its stack is deleted could otherwise create
    /// the log group again.
    pub fn grant_write(&self, role: &Role) {
        // The attribute ends in `:*`, which includes the group's log streams (Template reference, `AWS::Logs::LogGroup`, return values).
        role.permit(Statement::allow(&["logs:CreateLogStream", "logs:PutLogEvents"], [self.resource.arn()]));
    }

    /// Name of the log group, for a function's logging configuration.
    pub fn name(&self) -> Value {
        self.resource.reference()
    }
}
