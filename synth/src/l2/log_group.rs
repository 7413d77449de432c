//! A group of logs that does not grow for ever.

use crate::l1::{CfnLogGroup, CfnLogGroupProps};
use crate::l2::role::Role;
use crate::policy::Statement;
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// Days that `CloudWatch` Logs can keep logs for (`CloudWatch` Logs API, `PutRetentionPolicy`).
pub const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// A group whose logs expire.
#[derive(Clone)]
pub struct LogGroup {
    resource: Resource,
}

impl LogGroup {
    /// A group with a name and a retention from [`RETENTION_DAYS`].
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

    /// Lets a role write to the group. It cannot create one: a function that runs on while its stack is deleted leaves nothing behind.
    pub fn grant_write(&self, role: &Role) {
        // The attribute ends in `:*`, which covers the group's streams (Template reference, `AWS::Logs::LogGroup`, return values).
        role.permit(Statement::allow(&["logs:CreateLogStream", "logs:PutLogEvents"], [self.resource.arn()]));
    }

    /// Name of the group, as a function's logging configuration takes it.
    pub fn name(&self) -> Value {
        self.resource.reference()
    }
}
