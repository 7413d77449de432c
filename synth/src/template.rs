//! The template, generated from the tree of constructs and nothing else.

use loader_core::problem::Problem;
use serde_json::{Map, Value as Json, json};

use crate::json::{dense, pretty};
use crate::limits::{OUTPUTS_MAX, PARAMETERS_MAX, RESOURCES_MAX, TEMPLATE_BODY_BYTES_MAX, TEMPLATE_OBJECT_BYTES_MAX};
use crate::tree::Tree;

/// A template within `CloudFormation`'s limits, with notes for the person who deploys it.
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

    /// The template's text, which ends in a line feed. The same tree gives the same bytes. The text is formatted for people unless it would
    /// exceed [`TEMPLATE_BODY_BYTES_MAX`]; then it has no spaces, and one line for each resource.
    pub fn to_json(&self) -> String {
        let text = pretty(&self.json);
        if text.len() <= TEMPLATE_BODY_BYTES_MAX { text } else { dense(&self.json) }
    }

    /// Bytes of [`Self::to_json`]; compare with [`TEMPLATE_BODY_BYTES_MAX`].
    pub fn size_bytes(&self) -> usize {
        self.to_json().len()
    }

    /// Number of resources; compare with [`RESOURCES_MAX`].
    pub fn resources(&self) -> usize {
        self.count("Resources")
    }

    fn count(&self, section: &str) -> usize {
        self.json[section].as_object().map_or(0, Map::len)
    }

    /// Checks `CloudFormation`'s limits for a template in S3. The error states the limit.
    pub(crate) fn check_size(&self) -> Result<(), String> {
        let bytes = self.size_bytes();
        let sections = [("Resources", RESOURCES_MAX), ("Outputs", OUTPUTS_MAX), ("Parameters", PARAMETERS_MAX)];
        for (section, max) in sections {
            let count = self.count(section);
            if count > max {
                let things = section.to_lowercase();
                return Err(format!("`{count}` {things}: a stack has {max}, so deploy two with fewer queues"));
            }
        }
        if bytes > TEMPLATE_OBJECT_BYTES_MAX {
            return Err(format!(
                "a template of `{bytes}` bytes: CloudFormation takes {TEMPLATE_OBJECT_BYTES_MAX}, so deploy two with fewer queues"
            ));
        }
        Ok(())
    }

    /// The template as JSON.
    pub fn as_value(&self) -> &Json {
        &self.json
    }

    /// What is valid but should be known, each with the path of its construct.
    pub fn notes(&self) -> &[Problem] {
        &self.notes
    }
}
