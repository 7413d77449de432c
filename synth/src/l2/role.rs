//! A role that a service assumes. Its permissions come only from the grants of other constructs.

use std::cell::RefCell;
use std::rc::Rc;

use crate::l1::{CfnManagedPolicy, CfnManagedPolicyProps, CfnRole, CfnRoleProps};
use crate::policy::{PolicyDocument, Statement};
use crate::queue_name::PREFIX_ROOM_CHARACTERS;
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// Characters of all inline policies of a role, without white space (IAM, quotas).
pub const INLINE_POLICY_CHARACTERS_MAX: usize = 10_240;
/// Characters of a managed policy, without white space (IAM, quotas).
pub const MANAGED_POLICY_CHARACTERS_MAX: usize = 6_144;
/// Managed policies of a role (IAM, quotas: 10 unless the account has asked for more).
pub const MANAGED_POLICIES_MAX: usize = 10;

/// A role with inline policies, one per service; or with managed policies too, where these do not hold everything.
#[derive(Clone)]
pub struct Role {
    resource: Resource,
    granted: Rc<RefCell<Granted>>,
}

/// The permissions of a role, in the order of the grants.
#[derive(Default)]
struct Granted {
    /// Those that it has whatever its queues are.
    own: Vec<Statement>,
    /// Those for one queue and another; `None` as long as none was promised.
    per_queue: Option<Vec<Statement>>,
}

impl Granted {
    fn all(&self) -> PolicyDocument {
        self.own.iter().chain(self.per_queue.iter().flatten()).cloned().collect()
    }
}

impl Role {
    /// A role that `service` assumes, without any permission.
    pub fn new(scope: &Scope, description: &str, service: &str) -> Self {
        Self::trusting(scope, description, Statement::allow(&["sts:AssumeRole"], []).to_service(service))
    }

    /// A role that `service` assumes on behalf of `source` of this account only.
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

    /// Adds to what the role may do. Called by the grants of other constructs, which know the least that is needed.
    pub(crate) fn permit(&self, statement: Statement) {
        let mut granted = self.granted.borrow_mut();
        if let Some(statements) = &mut granted.per_queue {
            statements.push(statement);
            return;
        }
        granted.own.push(statement);
        self.set_inline(&granted.all());
    }

    /// What is granted from now on is for the queues of the template: there may be more of it than inline policies hold, so
    /// [`Self::fit`] puts it in place.
    pub fn begin_queues(&self) {
        self.granted.borrow_mut().per_queue.get_or_insert_default();
    }

    /// Puts the permissions for queues into the inline policies, or, where these would be longer than IAM takes, into managed ones; a
    /// problem where these do not hold them either. Called when all grants are made.
    pub fn fit(&self) {
        let granted = self.granted.borrow();
        let all = granted.all();
        // A prefix of the queues' names is not counted here: what fits inline today stays there.
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

    /// The role names the policy, so that a change of the role puts all its permissions in place at once.
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

    /// As few policies as hold the statements in their order; a statement that stands in one is in no other.
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

    /// ARN of the role: what a key's or a bucket's policy names to let the functions in.
    pub fn arn(&self) -> Value {
        self.resource.arn()
    }
}
