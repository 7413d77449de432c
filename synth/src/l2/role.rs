//! A role that a service assumes. It gets its permissions only through the grants of other constructs.

use std::cell::RefCell;
use std::rc::Rc;

use crate::l1::{CfnManagedPolicy, CfnManagedPolicyProps, CfnRole, CfnRoleProps};
use crate::policy::{PolicyDocument, Statement};
use crate::queue_name::PREFIX_ROOM_CHARACTERS;
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// Characters of all inline policies of a role together, without white space (IAM, quotas).
pub const INLINE_POLICY_CHARACTERS_MAX: usize = 10_240;
/// Characters of a managed policy, without white space (IAM, quotas).
pub const MANAGED_POLICY_CHARACTERS_MAX: usize = 6_144;
/// Managed policies of a role (IAM, quotas: 10 unless the account has a higher quota).
pub const MANAGED_POLICIES_MAX: usize = 10;

/// A role with one inline policy per service, and with managed policies if inline policies are too small.
#[derive(Clone)]
pub struct Role {
    resource: Resource,
    granted: Rc<RefCell<Granted>>,
}

/// The permissions of a role, in the order of the grants.
#[derive(Default)]
struct Granted {
    /// Those that do not depend on the queues.
    own: Vec<Statement>,
    /// Those for the queues; `None` before [`Role::begin_queues`].
    per_queue: Option<Vec<Statement>>,
}

impl Granted {
    fn all(&self) -> PolicyDocument {
        self.own.iter().chain(self.per_queue.iter().flatten()).cloned().collect()
    }
}

impl Role {
    /// Adds a role that `service` can assume, without permissions.
    pub fn new(scope: &Scope, description: &str, service: &str) -> Self {
        Self::trusting(scope, description, Statement::allow(&["sts:AssumeRole"], []).to_service(service))
    }

    /// Adds a role that `service` can assume only on behalf of `source` in this account.
    pub fn assumed_for(scope: &Scope, description: &str, service: &str, source: Value) -> Self {
        let trust = Statement::allow(&["sts:AssumeRole"], [])
            .to_service(service)
            .only_if("ArnEquals", "aws:SourceArn", source)
            .only_if("StringEquals", "aws:SourceAccount", Value::Ref("AWS::AccountId".into()));
        Self::trusting(scope, description, trust)
    }

    fn trusting(scope: &Scope, description: &str, trust: Statement) -> Self {
        let trust: PolicyDocument = std::iter::once(trust).collect();
        let resource = CfnRole::new(
            scope,
            CfnRoleProps {
                Description: Some(description.into()),
                AssumeRolePolicyDocument: Some(trust.to_value()),
                ..CfnRoleProps::default()
            },
        );
        Self { resource, granted: Rc::default() }
    }

    /// Adds a permission. Only grants of other constructs call this: they know the least privilege that is needed.
    pub(crate) fn permit(&self, statement: Statement) {
        let mut granted = self.granted.borrow_mut();
        if let Some(statements) = &mut granted.per_queue {
            statements.push(statement);
            return;
        }
        granted.own.push(statement);
        self.set_inline(&granted.all());
    }

    /// Marks all further permissions as those of the queues. They may exceed the size of inline policies, so they take effect only with
    /// [`Self::fit`].
    pub fn begin_queues(&self) {
        self.granted.borrow_mut().per_queue.get_or_insert_default();
    }

    /// Puts the permissions for queues into the inline policies or, if those would become too long, into managed policies. Records a problem if
    /// they do not fit there either. Call this after all grants.
    pub fn fit(&self) {
        let granted = self.granted.borrow();
        let all = granted.all();
        // The prefix of queue names is not counted, so that permissions that are inline in existing stacks stay inline.
        let characters: usize = all.by_service().iter().map(|(_, policy)| self.characters(policy, 0)).sum();
        if characters <= INLINE_POLICY_CHARACTERS_MAX {
            self.set_inline(&all);
            return;
        }
        self.set_inline(&granted.own.iter().cloned().collect());
        let policies = self.packed(granted.per_queue.as_deref().unwrap_or_default());
        if policies.len() > MANAGED_POLICIES_MAX {
            self.resource.scope().problem(format!(
                "the permissions for the queues take `{}` managed policies of {MANAGED_POLICY_CHARACTERS_MAX} characters, a role has \
                 {MANAGED_POLICIES_MAX}: let queues share buckets, clusters and secrets, give folders shorter names, or deploy two stacks",
                policies.len()
            ));
        }
        let arns = (1..).zip(&policies).map(|(number, policy)| self.add_managed(number, policy).reference());
        self.resource.set("ManagedPolicyArns", Value::list(arns.collect::<Vec<_>>()));
    }

    /// Adds a managed policy. The role refers to the policy, not the policy to the role, so that all permissions change at once with the role.
    fn add_managed(&self, number: u32, policy: &PolicyDocument) -> Resource {
        let scope = self.resource.scope().child(&format!("Queues{number}"));
        CfnManagedPolicy::new(
            &scope,
            CfnManagedPolicyProps {
                Description: Some("What the functions of the loader may do for some of its queues".into()),
                PolicyDocument: Some(policy.to_value()),
            },
        )
    }

    /// Distributes the statements, in their order and without repetition, over as few policies as possible.
    fn packed(&self, statements: &[Statement]) -> Vec<PolicyDocument> {
        let mut packed: Vec<PolicyDocument> = Vec::new();
        for (index, statement) in statements.iter().enumerate() {
            if statements[..index].contains(statement) {
                continue;
            }
            let mut joined = packed.last().cloned().unwrap_or_default();
            joined.join(statement.clone());
            let fits = self.characters(&joined.to_value(), PREFIX_ROOM_CHARACTERS) <= MANAGED_POLICY_CHARACTERS_MAX;
            match packed.last_mut() {
                Some(last) if fits => *last = joined,
                _ => packed.push(std::iter::once(statement.clone()).collect()),
            }
        }
        packed
    }

    fn characters(&self, policy: &Value, queue_prefix_characters: usize) -> usize {
        self.resource.scope().characters(policy, queue_prefix_characters)
    }

    fn set_inline(&self, document: &PolicyDocument) {
        let policies = document.by_service();
        let policies = policies
            .into_iter()
            .map(|(service, document)| Value::map([("PolicyName", service.into()), ("PolicyDocument", document)]));
        self.resource.set("Policies", Value::list(policies));
    }

    /// ARN of the role, for the policies of keys and buckets that the functions need.
    pub fn arn(&self) -> Value {
        self.resource.arn()
    }
}
