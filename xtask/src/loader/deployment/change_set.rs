//! A change set: the list of what a deployment would change, which a person can read first.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    Capability, ChangeAction, ChangeSetStatus, ChangeSetType, Parameter, PolicyAction, Replacement, ResourceAttribute,
    ResourceChange, StackStatus,
};
use serde::Serialize;
use serde_json::Value;

use crate::ground::aws::{Aws, failed};
use crate::ground::clock::now_millis;
use crate::ground::output::Out;
use crate::ground::stack::Stack;

const POLL: Duration = Duration::from_millis(500);
const POLL_LOCAL: Duration = Duration::from_millis(50);
const POLLS_MAX: u32 = 600;
/// Types of resources that grant or remove permissions.
const PERMISSION_TYPES: [&str; 4] =
    ["AWS::IAM::", "AWS::Lambda::Permission", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"];

/// A resource that would change.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// `Add`, `Modify` or `Remove`.
    pub action: String,
    pub id: String,
    pub kind: String,
    /// Physical id; for a queue, its URL.
    #[serde(skip)]
    pub physical_id: Option<String>,
    /// Whether a removed resource stays in the account.
    #[serde(skip)]
    pub is_kept: bool,
    /// Whether the existing resource is replaced: `True`, `False` or `Conditional`.
    pub replacement: Option<String>,
    /// Properties that change.
    pub properties: Vec<String>,
    /// Whether the change grants or removes permissions.
    pub permissions: bool,
}

impl Change {
    fn new(change: &ResourceChange) -> Self {
        let kind = change.resource_type().unwrap_or_default().to_owned();
        let targets = change.details().iter().filter_map(|detail| detail.target());
        let mut properties: Vec<String> = targets
            .filter_map(|target| target.name().or_else(|| target.attribute().map(ResourceAttribute::as_str)))
            .map(str::to_owned)
            .collect();
        properties.sort();
        properties.dedup();
        let modified = change.action() == Some(&ChangeAction::Modify);
        Self {
            action: change.action().map_or("", ChangeAction::as_str).to_owned(),
            id: change.logical_resource_id().unwrap_or_default().to_owned(),
            replacement: change.replacement().filter(|_| modified).map(|replacement| replacement.as_str().to_owned()),
            physical_id: change.physical_resource_id().map(str::to_owned),
            is_kept: change.policy_action() == Some(&PolicyAction::Retain),
            permissions: PERMISSION_TYPES.iter().any(|prefix| kind.starts_with(prefix)),
            properties,
            kind,
        }
    }

    /// All resources of a template, each as an addition.
    pub fn all_new(template: &Value) -> Vec<Self> {
        let resources = template["Resources"].as_object().into_iter().flatten();
        let change = |(id, resource): (&String, &Value)| {
            let kind = resource["Type"].as_str().unwrap_or_default();
            let change = ResourceChange::builder().action(ChangeAction::Add).logical_resource_id(id);
            Self::new(&change.resource_type(kind).build())
        };
        resources.map(change).collect()
    }

    /// Whether the existing resource may be replaced.
    pub fn is_replacement(&self) -> bool {
        self.replacement.as_deref().is_some_and(|replacement| replacement != Replacement::False.as_str())
    }

    fn line(&self, out: Out) -> String {
        let sign = match self.action.as_str() {
            "Add" => out.good("+"),
            "Remove" => out.bad("-"),
            _ => out.attention("~"),
        };
        let mut line = format!("   {sign} {:<36} {}", self.id, self.kind);
        if !self.properties.is_empty() {
            line.push_str(&out.dim(&format!("  {}", self.properties.join(", "))));
        }
        if self.is_replacement() {
            line.push_str(&out.bad(if self.replacement.as_deref() == Some("True") {
                "  REPLACED"
            } else {
                "  may be REPLACED"
            }));
        }
        if self.permissions {
            line.push_str(&out.attention("  permissions"));
        }
        line
    }
}

/// A change set that can be executed.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    pub id: String,
    /// ARN of its stack.
    pub stack_id: String,
    /// Whether it creates the stack.
    pub creates: bool,
    pub changes: Vec<Change>,
}

/// The template of a change set, in the request or in a bucket.
#[derive(Clone, Debug)]
pub enum TemplateSource {
    /// The text, if it is small enough for a request.
    Body(String),
    /// URL of the uploaded template.
    Url(String),
}

impl ChangeSet {
    /// Asks CloudFormation what would change. `None` if nothing would.
    pub async fn create(
        aws: &Aws,
        name: &str,
        template: TemplateSource,
        parameters: Vec<Parameter>,
    ) -> Result<Option<Self>> {
        let existing = Stack::find(aws, name).await?;
        let existing = existing.filter(|stack| stack.status != StackStatus::ReviewInProgress);
        let kind = if existing.is_some() { ChangeSetType::Update } else { ChangeSetType::Create };
        let request = aws
            .cloudformation()
            .create_change_set()
            .stack_name(name)
            .change_set_name(format!("xtask-{}", now_millis()))
            .description("cargo xtask deploy")
            .change_set_type(kind)
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityNamedIam)
            .set_parameters(Some(parameters));
        let request = match template {
            TemplateSource::Body(text) => request.template_body(text),
            TemplateSource::Url(url) => request.template_url(url),
        };
        let created = request.send().await.map_err(failed("create the change set"))?;
        let id = created.id().context("the change set has no id")?.to_owned();
        let stack_id = created.stack_id().context("the change set has no stack id")?.to_owned();
        let changes = wait(aws, &id).await?;
        let set = Self { id, stack_id, creates: existing.is_none(), changes: changes.unwrap_or_default() };
        if set.changes.is_empty() && !set.creates {
            set.discard(aws).await?;
            return Ok(None);
        }
        Ok(Some(set))
    }

    /// Deletes the change set, and the empty stack that was created with it.
    pub async fn discard(&self, aws: &Aws) -> Result<()> {
        let client = aws.cloudformation();
        client.delete_change_set().change_set_name(&self.id).send().await.map_err(failed("remove the change set"))?;
        if self.creates {
            client.delete_stack().stack_name(&self.stack_id).send().await.map_err(failed("remove the empty stack"))?;
        }
        Ok(())
    }

    /// Executes the change set.
    pub async fn execute(&self, aws: &Aws) -> Result<()> {
        let request = aws.cloudformation().execute_change_set().change_set_name(&self.id);
        request.send().await.map_err(failed("execute the change set"))?;
        Ok(())
    }

    /// What a person must agree to; `None` if the changes are harmless.
    pub fn concern(&self) -> Option<String> {
        let n_replaced = self.changes.iter().filter(|change| change.is_replacement()).count();
        let n_permissions = self.changes.iter().filter(|change| change.permissions).count();
        match (n_replaced, n_permissions) {
            (0, 0) => None,
            (0, n) => Some(format!("{n} of the changes grant or remove permissions")),
            (n, 0) => Some(format!("{n} of the changes replace a resource")),
            (n, m) => Some(format!("{n} of the changes replace a resource, {m} grant or remove permissions")),
        }
    }
}

/// Prints the changes, one line each.
pub fn show(out: Out, changes: &[Change]) {
    for change in changes {
        out.line(change.line(out));
    }
}

/// Waits for the list of changes; `None` if CloudFormation says that nothing changes.
async fn wait(aws: &Aws, id: &str) -> Result<Option<Vec<Change>>> {
    let pause = if aws.local.is_some() { POLL_LOCAL } else { POLL };
    for _ in 0..POLLS_MAX {
        let described = describe(aws, id, None).await?;
        match described.status() {
            Some(ChangeSetStatus::CreateComplete) => return all_changes(aws, id, described).await.map(Some),
            Some(ChangeSetStatus::Failed) => {
                let reason = described.status_reason().unwrap_or_default();
                if reason.contains("didn't contain changes") || reason.contains("No updates are to be performed") {
                    return Ok(None);
                }
                bail!("CloudFormation refused the change set: {reason}");
            }
            _ => tokio::time::sleep(pause).await,
        }
    }
    bail!("the change set was not ready within {} s: run the same command again", (pause * POLLS_MAX).as_secs())
}

async fn all_changes(aws: &Aws, id: &str, mut page: DescribeChangeSetOutput) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    loop {
        changes.extend(page.changes().iter().filter_map(|change| change.resource_change()).map(Change::new));
        match page.next_token() {
            Some(token) => page = describe(aws, id, Some(token.to_owned())).await?,
            None => return Ok(changes),
        }
    }
}

async fn describe(aws: &Aws, id: &str, token: Option<String>) -> Result<DescribeChangeSetOutput> {
    let request = aws.cloudformation().describe_change_set().change_set_name(id).set_next_token(token);
    request.send().await.map_err(failed("read the change set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(changes: &[(&str, &str, Option<&str>)]) -> ChangeSet {
        let change = |(action, kind, replacement): &(&str, &str, Option<&str>)| {
            let change =
                ResourceChange::builder().action((*action).into()).resource_type(*kind).logical_resource_id("X");
            Change::new(&change.set_replacement(replacement.map(Replacement::from)).build())
        };
        let changes = changes.iter().map(change).collect();
        ChangeSet { id: String::new(), stack_id: String::new(), creates: false, changes }
    }

    #[test]
    fn without_a_stack_every_resource_is_new() {
        let template =
            serde_json::json!({"Resources": {"A": {"Type": "AWS::SQS::Queue"}, "B": {"Type": "AWS::IAM::Role"}}});
        let changes = Change::all_new(&template);
        let listed: Vec<_> = changes.iter().map(|change| (change.action.as_str(), change.id.as_str())).collect();
        assert_eq!(listed, [("Add", "A"), ("Add", "B")]);
        assert!(changes[1].permissions && !changes[0].permissions);
    }

    #[test]
    fn new_code_needs_no_confirmation() {
        assert_eq!(set(&[("Modify", "AWS::Lambda::Function", Some("False"))]).concern(), None);
    }

    #[test]
    fn a_replacement_needs_confirmation() {
        let concern = set(&[("Modify", "AWS::SQS::Queue", Some("True"))]).concern().unwrap();
        assert_eq!(concern, "1 of the changes replace a resource");
        assert!(set(&[("Modify", "AWS::SQS::Queue", Some("Conditional"))]).concern().is_some());
    }

    #[test]
    fn a_changed_policy_needs_confirmation() {
        for kind in ["AWS::IAM::Role", "AWS::SQS::QueuePolicy", "AWS::Lambda::Permission"] {
            assert!(set(&[("Modify", kind, Some("False"))]).concern().is_some(), "{kind}");
        }
    }
}
