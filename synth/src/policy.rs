//! Policy documents: statements, and how statements are merged so that nothing is repeated.

use crate::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// A policy statement (IAM user guide, "JSON policy elements").
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    effect: Effect,
    principal: Option<Value>,
    actions: Vec<&'static str>,
    resources: Vec<Value>,
    conditions: Vec<(&'static str, &'static str, Value)>,
}

impl Statement {
    /// Allows `actions` on `resources`. A trust policy names no resources.
    pub fn allow(actions: &[&'static str], resources: impl IntoIterator<Item = Value>) -> Self {
        let resources = resources.into_iter().collect();
        Self { effect: Effect::Allow, principal: None, actions: actions.to_vec(), resources, conditions: Vec::new() }
    }

    /// Denies `action` on `resources` to every request that does not use TLS.
    pub fn deny_without_tls(action: &'static str, resources: impl IntoIterator<Item = Value>) -> Self {
        let mut statement = Self::allow(&[action], resources).to("*").only_if("Bool", "aws:SecureTransport", "false");
        statement.effect = Effect::Deny;
        statement
    }

    /// Sets the principal. Resource policies and trust policies need one; a role's permissions do not.
    #[must_use]
    pub fn to(mut self, principal: impl Into<Value>) -> Self {
        self.principal = Some(principal.into());
        self
    }

    /// Sets a service as the principal, such as `events.amazonaws.com`.
    #[must_use]
    pub fn to_service(self, service: &str) -> Self {
        self.to(Value::map([("Service", service)]))
    }

    /// Adds a condition, such as operator `ArnEquals` with key `aws:SourceArn`. All conditions must hold.
    #[must_use]
    pub fn only_if(mut self, operator: &'static str, key: &'static str, value: impl Into<Value>) -> Self {
        self.conditions.push((operator, key, value.into()));
        self
    }

    /// The service that the actions belong to: the part of the first action before `:`.
    pub fn service(&self) -> &'static str {
        self.actions.first().and_then(|action| action.split(':').next()).unwrap_or_default()
    }

    fn alike(&self, other: &Self) -> bool {
        self.effect == other.effect && self.principal == other.principal && self.actions == other.actions
    }

    fn differs_only_in_resources(&self, other: &Self) -> bool {
        self.alike(other) && self.conditions == other.conditions
    }

    fn differs_only_in_value(&self, other: &Self) -> bool {
        self.resources == other.resources && self.same_condition_key(other)
    }

    /// Whether both have exactly one condition, with the same operator and key.
    fn same_condition_key(&self, other: &Self) -> bool {
        let one = |statement: &Self| match statement.conditions.as_slice() {
            [(operator, key, _)] => Some((*operator, *key)),
            _ => None,
        };
        self.alike(other) && one(self).is_some() && one(self) == one(other)
    }

    fn to_value(&self) -> Value {
        let mut fields = vec![("Effect", Value::from(if self.effect == Effect::Allow { "Allow" } else { "Deny" }))];
        if let Some(principal) = &self.principal {
            fields.push(("Principal", principal.clone()));
        }
        fields.push(("Action", one_or_list(self.actions.iter().map(|action| Value::from(*action)).collect())));
        // A trust policy has no `Resource`: it applies to its own role.
        if !self.resources.is_empty() {
            fields.push(("Resource", one_or_list(self.resources.clone())));
        }
        if !self.conditions.is_empty() {
            let conditions =
                self.conditions.iter().map(|(operator, key, value)| (*operator, Value::map([(*key, value.clone())])));
            fields.push(("Condition", Value::map(conditions)));
        }
        Value::map(fields)
    }
}

/// A policy document with as few statements as possible.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyDocument {
    statements: Vec<Statement>,
}

impl PolicyDocument {
    /// Adds a statement. Statements that differ only in their resources are merged into one with all the resources. Statements that differ only
    /// in the value of one condition are merged into one with all the values, which IAM reads as alternatives (IAM user guide, "Conditions with
    /// multiple context keys or values").
    pub fn add(&mut self, statement: Statement) {
        if let Some(old) = self.statements.iter_mut().find(|old| old.differs_only_in_resources(&statement)) {
            union(&mut old.resources, statement.resources);
        } else if let Some(old) = self.statements.iter_mut().find(|old| old.differs_only_in_value(&statement)) {
            unite_values(old, &statement);
        } else {
            self.statements.push(statement);
        }
    }

    /// Like [`Self::add`], but also merges statements that differ both in their resources and in the value of their one condition. The result is
    /// shorter and permits more, because each value then applies to each resource. In the execution role, only permissions to list folders have
    /// a condition: with folder `x/` of bucket `a` and folder `y/` of bucket `b`, the role may then list both folders in both buckets.
    pub fn join(&mut self, statement: Statement) {
        match self.statements.iter_mut().find(|old| old.same_condition_key(&statement)) {
            Some(old) => {
                unite_values(old, &statement);
                union(&mut old.resources, statement.resources);
            }
            None => self.add(statement),
        }
    }

    /// The document as a property's value.
    pub fn to_value(&self) -> Value {
        document(&self.statements)
    }

    /// One document for each service, with the service's name, in the order of the first grants.
    pub fn by_service(&self) -> Vec<(&'static str, Value)> {
        let mut services: Vec<&'static str> = Vec::new();
        for statement in &self.statements {
            if !services.contains(&statement.service()) {
                services.push(statement.service());
            }
        }
        services
            .into_iter()
            .map(|service| {
                let own: Vec<Statement> =
                    self.statements.iter().filter(|statement| statement.service() == service).cloned().collect();
                (service, document(&own))
            })
            .collect()
    }
}

impl FromIterator<Statement> for PolicyDocument {
    fn from_iter<T: IntoIterator<Item = Statement>>(statements: T) -> Self {
        let mut document = Self::default();
        statements.into_iter().for_each(|statement| document.add(statement));
        document
    }
}

fn unite_values(old: &mut Statement, other: &Statement) {
    let mut values = as_list(&old.conditions[0].2);
    union(&mut values, as_list(&other.conditions[0].2));
    old.conditions[0].2 = one_or_list(values);
}

fn document(statements: &[Statement]) -> Value {
    let statements = Value::list(statements.iter().map(Statement::to_value));
    Value::map([("Version", "2012-10-17".into()), ("Statement", statements)])
}

fn union(values: &mut Vec<Value>, more: Vec<Value>) {
    for value in more {
        if !values.contains(&value) {
            values.push(value);
        }
    }
}

fn as_list(value: &Value) -> Vec<Value> {
    match value {
        Value::List(values) => values.clone(),
        other => vec![other.clone()],
    }
}

pub(crate) fn one_or_list(mut values: Vec<Value>) -> Value {
    if values.len() == 1 { values.remove(0) } else { Value::List(values) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_grant_twice_is_one_statement() {
        let mut document = PolicyDocument::default();
        document.add(Statement::allow(&["s3:GetObject"], ["a".into()]));
        document.add(Statement::allow(&["s3:GetObject"], ["b".into(), "a".into()]));
        document.add(Statement::allow(&["s3:GetObject"], ["c".into()]).only_if("StringLike", "s3:prefix", "x/*"));
        let expected = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["a", "b"]},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "c", "Condition": {"StringLike": {"s3:prefix": "x/*"}}},
        ]});
        assert_eq!(document.to_value().to_json(), expected);
    }

    #[test]
    fn values_of_one_condition_are_alternatives() {
        let list = |prefix: &str| {
            Statement::allow(&["s3:ListBucket"], ["b".into()]).only_if("StringLike", "s3:prefix", prefix)
        };
        let mut document = PolicyDocument::default();
        document.add(list("x/*"));
        document.add(list("y/*"));
        document.add(list("x/*"));
        document.add(Statement::allow(&["s3:ListBucket"], ["b".into()]));
        let found = document.to_value().to_json();
        assert_eq!(found["Statement"][0]["Condition"], json!({"StringLike": {"s3:prefix": ["x/*", "y/*"]}}));
        assert_eq!(found["Statement"].as_array().map(Vec::len), Some(2), "a statement without condition stays alone");
    }

    #[test]
    fn in_joined_statements_each_value_applies_to_each_resource() {
        let list = |bucket: &str, prefix: &str| {
            Statement::allow(&["s3:ListBucket"], [bucket.into()]).only_if("StringLike", "s3:prefix", prefix)
        };
        let mut document = PolicyDocument::default();
        document.join(list("a", "x/*"));
        document.join(list("b", "y/*"));
        document.join(list("b", "x/*"));
        document.join(Statement::allow(&["s3:ListBucket"], ["c".into()]));
        let expected = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": ["a", "b"], "Condition": {"StringLike": {"s3:prefix": ["x/*", "y/*"]}}},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "c"},
        ]});
        assert_eq!(document.to_value().to_json(), expected);
    }

    #[test]
    fn each_service_has_a_document_of_its_own() {
        let mut document = PolicyDocument::default();
        document.add(Statement::allow(&["sqs:SendMessage"], ["q".into()]));
        document.add(Statement::allow(&["s3:GetObject"], ["b".into()]));
        document.add(Statement::allow(&["sqs:ReceiveMessage"], ["q".into()]));
        let services: Vec<&str> = document.by_service().into_iter().map(|(service, _)| service).collect();
        assert_eq!(services, ["sqs", "s3"]);
    }
}
