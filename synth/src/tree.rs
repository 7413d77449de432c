//! What the constructs of a stack add to it: parameters, conditions, resources, outputs, notes and problems.

use loader_core::problem::{Problem, Problems};
use serde_json::{Map, Value as Json, json};

use crate::value::Value;

/// Everything collected while the tree is built.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) parameters: Vec<ParameterProps>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) outputs: Vec<OutputEntry>,
    pub(crate) notes: Vec<Problem>,
    pub(crate) problems: Problems,
}

impl Tree {
    /// A property of a resource, if it is set.
    pub(crate) fn property(&self, logical_id: &str, name: &str) -> Option<&Value> {
        let entry = self.entries.iter().find(|entry| entry.logical_id == logical_id)?;
        entry.properties.iter().find(|(property, _)| property == name).map(|(_, value)| value)
    }
}

/// A parameter of type `String` (Template reference, "Parameters").
#[derive(Clone, Debug)]
pub struct ParameterProps {
    /// Name: letters and digits, at most 255.
    pub name: &'static str,
    /// What the parameter and its default mean, for the person who sets it. At most 4,000 characters.
    pub description: String,
    /// Default value for a new stack.
    pub default: String,
    /// Regular expression that the whole value must match; default: any value.
    pub allowed_pattern: Option<String>,
    /// `CloudFormation`'s message for a value that does not match; default: the expression itself.
    pub constraint: Option<String>,
    /// Maximum number of characters; default: `CloudFormation`'s own limit of 4,096 bytes.
    pub max_length: Option<usize>,
}

impl ParameterProps {
    pub(crate) fn to_json(&self) -> Json {
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

/// A condition that is true if the value is not empty.
pub(crate) struct Condition {
    pub(crate) name: &'static str,
    pub(crate) not_empty: Value,
}

/// A value that `CloudFormation` returns for the deployed stack.
pub(crate) struct OutputEntry {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) value: Value,
}

/// A resource of the template.
pub(crate) struct Entry {
    pub(crate) logical_id: String,
    kind: &'static str,
    properties: Vec<(String, Value)>,
    pub(crate) retained: bool,
}

impl Entry {
    pub(crate) fn new(logical_id: &str, kind: &'static str, properties: Vec<(String, Value)>) -> Self {
        let logical_id = logical_id.to_owned();
        Self { logical_id, kind, properties, retained: false }
    }

    pub(crate) fn set(&mut self, property: &str, value: Value) {
        match self.properties.iter_mut().find(|(name, _)| name == property) {
            Some((_, old)) => *old = value,
            None => self.properties.push((property.to_owned(), value)),
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        let mut fields = Map::new();
        fields.insert("Type".into(), json!(self.kind));
        if self.retained {
            // `RetainExceptOnCreate`: a first deployment that fails leaves no empty table and bucket behind.
            fields.insert("DeletionPolicy".into(), json!("RetainExceptOnCreate"));
            fields.insert("UpdateReplacePolicy".into(), json!("Retain"));
        }
        fields.insert("Properties".into(), Value::Map(self.properties.clone()).to_json());
        Json::Object(fields)
    }
}
