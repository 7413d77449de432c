//! What prevents a deployment: the remains of a failed first attempt, or another operation in progress.

use anyhow::Result;
use aws_sdk_cloudformation::types::{ResourceStatus, StackStatus};

use crate::ground::ask;
use crate::ground::aws::{Aws, failed};
use crate::ground::output::{Failure, Out};
use crate::ground::stack::{self, Stack};

/// Whether a stack can be changed.
#[derive(Debug)]
enum Readiness {
    /// It can be changed.
    Ready,
    /// Its creation failed, so it can only be deleted.
    Leftover,
    /// It cannot be changed now.
    Busy(Failure),
}

/// The remains of a failed first attempt, which CloudFormation can only delete.
#[derive(Debug)]
pub struct Leftover {
    stack: Stack,
    /// The remaining resources: logical ID and type.
    resources: Vec<(String, String)>,
}

/// The remains of a failed first attempt, if that is what the stack is. Fails if the stack cannot be changed now.
pub async fn find(aws: &Aws, existing: Option<&Stack>) -> Result<Option<Leftover>> {
    let Some(stack) = existing else { return Ok(None) };
    match readiness(&stack.name, &stack.status) {
        Readiness::Ready => Ok(None),
        Readiness::Busy(failure) => Err(failure.into()),
        Readiness::Leftover => Ok(Some(Leftover { stack: stack.clone(), resources: resources(aws, stack).await? })),
    }
}

fn readiness(name: &str, status: &StackStatus) -> Readiness {
    let text = status.as_str();
    match status {
        StackStatus::RollbackComplete | StackStatus::RollbackFailed | StackStatus::CreateFailed => Readiness::Leftover,
        StackStatus::ReviewInProgress => Readiness::Ready,
        StackStatus::UpdateRollbackFailed => Readiness::Busy(Failure::new(
            format!("the stack `{name}` is in {text}: an earlier change could not be rolled back"),
            format!("aws cloudformation continue-update-rollback --stack-name {name}"),
        )),
        _ if text.ends_with("_IN_PROGRESS") => Readiness::Busy(Failure::new(
            format!("the stack `{name}` is in {text}: another operation is in progress"),
            "wait until it has ended, then run the same command again",
        )),
        _ => Readiness::Ready,
    }
}

async fn resources(aws: &Aws, stack: &Stack) -> Result<Vec<(String, String)>> {
    let described = aws.cloudformation().describe_stack_resources().stack_name(&stack.id).send().await;
    let described = described.map_err(failed(format!("list the resources of the stack `{}`", stack.name)))?;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let left = described
        .stack_resources()
        .iter()
        .filter(|resource| resource.resource_status() != Some(&ResourceStatus::DeleteComplete));
    Ok(left.map(|resource| (text(resource.logical_resource_id()), text(resource.resource_type()))).collect())
}

impl Leftover {
    /// Prints what a deployment would delete first.
    pub fn show(&self, out: Out) {
        out.line(format!("   {}: a deployment deletes it first", self.what()));
        for (id, kind) in &self.resources {
            out.line(format!("   {} {id:<36} {kind}", out.bad("-")));
        }
    }

    fn what(&self) -> String {
        let (name, status) = (&self.stack.name, self.stack.status.as_str());
        let left = match self.resources.len() {
            0 => "nothing but its name is left".to_owned(),
            1 => "1 resource is left".to_owned(),
            n => format!("{n} resources are left"),
        };
        format!("the stack {name} is in {status}, its creation failed and {left}")
    }

    /// Asks for confirmation to delete the remains.
    pub fn confirm(&self, out: Out, agreed: bool) -> Result<(), Failure> {
        self.show(out);
        let question = format!("Delete the stack {} and deploy?", self.stack.name);
        ask::confirm(out, agreed, &question, format!("not deployed: {}", self.what()))
    }

    /// Deletes the remains.
    pub async fn remove(&self, out: Out, aws: &Aws) -> Result<()> {
        let status = self.stack.status.as_str();
        let step = out.step(format!("removing what is left of the first attempt ({status})"));
        stack::delete(aws, &self.stack, &step).await?;
        step.done(format!("removed what was left of the first attempt ({status})"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ground::output::{Exit, Format};

    fn leftover() -> Leftover {
        let stack = Stack {
            name: "s".to_owned(),
            id: "arn".to_owned(),
            status: StackStatus::RollbackFailed,
            outputs: BTreeMap::new(),
            parameters: BTreeMap::new(),
            changed_millis: 0,
        };
        Leftover { stack, resources: vec![("Tracker".to_owned(), "AWS::DynamoDB::Table".to_owned())] }
    }

    #[test]
    fn only_a_failed_creation_is_a_leftover() {
        use StackStatus::{
            CreateComplete, CreateFailed, ReviewInProgress, RollbackComplete, RollbackFailed, UpdateRollbackComplete,
        };
        for status in [RollbackComplete, RollbackFailed, CreateFailed] {
            assert!(matches!(readiness("s", &status), Readiness::Leftover), "{status:?}");
        }
        for status in [CreateComplete, UpdateRollbackComplete, ReviewInProgress] {
            assert!(matches!(readiness("s", &status), Readiness::Ready), "{status:?}");
        }
        for status in [StackStatus::UpdateInProgress, StackStatus::UpdateRollbackFailed] {
            assert!(matches!(readiness("s", &status), Readiness::Busy(_)), "{status:?}");
        }
    }

    #[test]
    fn a_leftover_is_deleted_only_by_agreement() {
        let out = Out::new(Format::Json);
        leftover().confirm(out, true).unwrap();
        let failure = leftover().confirm(out, false).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.message.contains("the stack s is in ROLLBACK_FAILED"), "{}", failure.message);
        assert!(failure.message.contains("1 resource is left"), "{}", failure.message);
    }
}
