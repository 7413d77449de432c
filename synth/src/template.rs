//! The template: what the tree is written to. Its bytes depend on nothing but the tree.

use loader_core::problem::Problem;
use serde_json::{Map, Value as Json, json};

use crate::json::{dense, pretty};
use crate::scope::{RemovalPolicy, Tree};
use crate::value::Value;

/// Bytes of a template that is sent with the request (`CloudFormation`, quotas: "Template body size in a request").
pub const TEMPLATE_BODY_BYTES_MAX: usize = 51_200;
/// Resources of one template (`CloudFormation`, quotas).
pub const RESOURCES_MAX: usize = 500;

/// A template parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name: letters and digits.
    pub name: &'static str,
    /// What it is, for the person who fills it in.
    pub description: String,
    /// Value when nothing is given.
    pub default: String,
    /// Regular expression that a value matches as a whole.
    pub allowed_pattern: Option<String>,
    /// What to say when it does not match.
    pub constraint: Option<String>,
    /// Characters of a value at most.
    pub max_length: Option<u32>,
}

impl Parameter {
    fn to_json(&self) -> Json {
        let mut fields = Map::new();
        fields.insert("Type".into(), json!("String"));
        fields.insert("Description".into(), json!(self.description));
        fields.insert("Default".into(), json!(self.default));
        if let Some(pattern) = &self.allowed_pattern {
            fields.insert("AllowedPattern".into(), json!(pattern));
        }
        if let Some(constraint) = &self.constraint {
            fields.insert("ConstraintDescription".into(), json!(constraint));
        }
        if let Some(length) = self.max_length {
            fields.insert("MaxLength".into(), json!(length));
        }
        Json::Object(fields)
    }
}

/// A condition: the value is not empty.
pub(crate) struct Condition {
    pub(crate) name: &'static str,
    pub(crate) not_empty: Value,
}

/// A value that the stack tells after deployment.
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) value: Value,
}

/// A resource as it stands in the template.
pub(crate) struct Entry {
    pub(crate) logical_id: String,
    kind: &'static str,
    properties: Vec<(String, Value)>,
    pub(crate) depends_on: Vec<String>,
    pub(crate) removal_policy: Option<RemovalPolicy>,
}

impl Entry {
    pub(crate) fn new(logical_id: &str, kind: &'static str, properties: Vec<(String, Value)>) -> Self {
        let logical_id = logical_id.to_owned();
        Self { logical_id, kind, properties, depends_on: Vec::new(), removal_policy: None }
    }

    pub(crate) fn set(&mut self, property: &str, value: Value) {
        match self.properties.iter_mut().find(|(name, _)| name == property) {
            Some((_, old)) => *old = value,
            None => self.properties.push((property.to_owned(), value)),
        }
    }

    fn to_json(&self) -> Json {
        let mut fields = Map::new();
        fields.insert("Type".into(), json!(self.kind));
        match self.removal_policy {
            // `RetainExceptOnCreate`: a first deployment that fails leaves no empty table and bucket behind.
            Some(RemovalPolicy::Retain) => {
                fields.insert("DeletionPolicy".into(), json!("RetainExceptOnCreate"));
                fields.insert("UpdateReplacePolicy".into(), json!("Retain"));
            }
            Some(RemovalPolicy::Delete) => {
                fields.insert("DeletionPolicy".into(), json!("Delete"));
                fields.insert("UpdateReplacePolicy".into(), json!("Delete"));
            }
            None => {}
        }
        if !self.depends_on.is_empty() {
            fields.insert("DependsOn".into(), json!(self.depends_on));
        }
        fields.insert("Properties".into(), Value::Map(self.properties.clone()).to_json());
        Json::Object(fields)
    }
}

/// A `CloudFormation` template.
#[derive(Clone, Debug)]
pub struct Template {
    json: Json,
    notes: Vec<Problem>,
}

impl Template {
    pub(crate) fn new(description: &str, tree: Tree) -> Self {
        let section = |fields: Map<String, Json>| Json::Object(fields);
        let parameters = tree.parameters.iter().map(|p| (p.name.to_owned(), p.to_json())).collect();
        let conditions = tree.conditions.iter().map(|condition| {
            let equals = json!({ "Fn::Equals": [condition.not_empty.to_json(), ""] });
            (condition.name.to_owned(), json!({ "Fn::Not": [equals] }))
        });
        let resources = tree.entries.iter().map(|entry| (entry.logical_id.clone(), entry.to_json())).collect();
        let outputs = tree.outputs.iter().map(|output| {
            let value = match output.description.as_str() {
                "" => json!({ "Value": output.value.to_json() }),
                text => json!({ "Description": text, "Value": output.value.to_json() }),
            };
            (output.name.clone(), value)
        });
        let json = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": description,
            "Parameters": section(parameters),
            "Conditions": section(conditions.collect()),
            "Resources": section(resources),
            "Outputs": section(outputs.collect()),
        });
        Self { json, notes: tree.notes }
    }

    /// The template's text: the same tree gives the same bytes; ends in a line feed. It is laid out for people, or with a line per resource
    /// where that is what keeps it within [`TEMPLATE_BODY_BYTES_MAX`].
    pub fn to_json(&self) -> String {
        let text = pretty(&self.json);
        if text.len() <= TEMPLATE_BODY_BYTES_MAX { text } else { dense(&self.json) }
    }

    /// Bytes of [`Self::to_json`], to be compared with [`TEMPLATE_BODY_BYTES_MAX`].
    pub fn size_bytes(&self) -> usize {
        self.to_json().len()
    }

    /// The template as a JSON value.
    pub fn as_value(&self) -> &Json {
        &self.json
    }

    /// What is right but should be known, each with the path of its construct.
    pub fn notes(&self) -> &[Problem] {
        &self.notes
    }
}
