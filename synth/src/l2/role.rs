//! A role that a service assumes. Its permissions come only from the grants of other constructs.

use std::cell::RefCell;
use std::rc::Rc;

use crate::l1::{CfnRole, CfnRoleProps};
use crate::policy::{PolicyDocument, ROLE_INLINE_POLICY_CHARACTERS_MAX, Statement};
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// A role with inline policies, one per service.
#[derive(Clone)]
pub struct Role {
    resource: Resource,
    permissions: Rc<RefCell<PolicyDocument>>,
}

impl Role {
    /// A role that `service` assumes, without any permission.
    pub fn new(scope: &Scope, description: &str, service: &str) -> Self {
        let mut trust = PolicyDocument::default();
        trust.add(Statement::allow(&["sts:AssumeRole"], []).to_service(service));
        let resource = CfnRole::new(
            scope,
            CfnRoleProps {
                Description: Some(description.into()),
                AssumeRolePolicyDocument: Some(trust.to_value()),
                ..CfnRoleProps::default()
            },
        );
        Self { resource, permissions: Rc::default() }
    }

    /// Adds to what the role may do. Called by the grants of other constructs, which know the least that is needed.
    pub(crate) fn permit(&self, statement: Statement) {
        self.permissions.borrow_mut().add(statement);
        let policies = self.permissions.borrow().by_service();
        let policies = policies
            .into_iter()
            .map(|(service, document)| Value::map([("PolicyName", service.into()), ("PolicyDocument", document)]));
        self.resource.set("Policies", Value::list(policies));
    }

    /// Notes a problem when the inline policies are certainly longer than IAM takes. Called when all grants are made.
    pub fn check_size(&self) {
        let length: usize =
            self.permissions.borrow().by_service().iter().map(|(_, policy)| policy.to_json().to_string().len()).sum();
        if length > ROLE_INLINE_POLICY_CHARACTERS_MAX {
            self.resource.scope().problem(format!(
                "the role's inline policies take `{length}` characters, IAM takes {ROLE_INLINE_POLICY_CHARACTERS_MAX}: \
                 let queues share buckets and clusters, or deploy two stacks"
            ));
        }
    }

    /// ARN of the role: what a key's or a bucket's policy names to let the functions in.
    pub fn arn(&self) -> Value {
        self.resource.arn()
    }
}
