//! What stands in the way of a deployment: an earlier attempt that failed, or an operation that still runs.

use anyhow::Result;
use aws_sdk_cloudformation::types::StackStatus;

use crate::aws::Aws;
use crate::output::{Failure, Out};
use crate::stack::{self, Stack};

/// A stack whose first creation failed can only be deleted; one that something else works on is not ours to touch.
pub async fn clear(out: Out, aws: &Aws, name: &str) -> Result<()> {
    let Some(found) = Stack::find(aws, name).await? else { return Ok(()) };
    let status = found.status.as_str();
    match &found.status {
        StackStatus::RollbackComplete | StackStatus::RollbackFailed | StackStatus::CreateFailed => {
            let step = out.step(format!("removing what is left of the first attempt ({status})"));
            stack::delete(aws, &found, &step).await?;
            step.done(format!("removed what was left of the first attempt ({status})"));
            Ok(())
        }
        StackStatus::ReviewInProgress => Ok(()),
        StackStatus::UpdateRollbackFailed => Err(Failure::new(
            format!("the stack `{name}` is in {status}: an earlier change could not be taken back"),
            format!("aws cloudformation continue-update-rollback --stack-name {name}"),
        )
        .into()),
        _ if status.ends_with("_IN_PROGRESS") => Err(Failure::new(
            format!("the stack `{name}` is in {status}: another operation is under way"),
            "wait until it has ended, then the same command again",
        )
        .into()),
        _ => Ok(()),
    }
}
