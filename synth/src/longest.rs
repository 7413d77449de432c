//! Estimates how long a value is once it is deployed. Services count the characters of the resolved value, not of the intrinsics in the
//! template.

use serde_json::{Map, Value as Json, json};

use crate::limits::STACK_NAME_CHARACTERS_MAX;
use crate::names::Parameter;
use crate::tree::Tree;
use crate::value::Value;

/// Characters of the longest Region of the partition `aws` (`ap-southeast-2`).
const REGION_CHARACTERS: usize = 14;
/// Characters of an account ID.
const ACCOUNT_CHARACTERS: usize = 12;
/// Assumed characters of a name that `CloudFormation` generates, or of an attribute that is unknown here; most are shorter.
const UNKNOWN_CHARACTERS: usize = 80;

/// Resolves the values of a template to texts of the greatest length they can have.
pub(crate) struct Longest<'a> {
    pub(crate) tree: &'a Tree,
    /// Characters of the parameter `queueNamePrefix`.
    pub(crate) queue_prefix_characters: usize,
}

impl Longest<'_> {
    /// Characters of the value as JSON. White space is left out because IAM and SQS do not count it.
    pub(crate) fn characters(&self, value: &Value) -> usize {
        self.deployed(value).to_string().chars().count()
    }

    fn deployed(&self, value: &Value) -> Json {
        match value {
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => value.to_json(),
            Value::List(items) => items.iter().map(|item| self.deployed(item)).collect(),
            Value::Map(fields) => {
                let fields: Map<String, Json> =
                    fields.iter().map(|(name, value)| (name.clone(), self.deployed(value))).collect();
                Json::Object(fields)
            }
            Value::Ref(name) => json!(self.variable(name)),
            Value::GetAtt(id, attribute) => json!(self.variable(&format!("{id}.{attribute}"))),
            Value::Sub(text) | Value::SubWith(text, _) => json!(self.substituted(text)),
            Value::If(_, then, _) => self.deployed(then),
        }
    }

    fn substituted(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            match name.strip_prefix('!') {
                Some(literal) => whole.extend(["${", literal, "}"]),
                None => whole.push_str(&self.variable(name)),
            }
            whole.push_str(rest);
        }
        whole
    }

    /// A placeholder of the variable's length.
    fn variable(&self, name: &str) -> String {
        let characters = match name {
            "AWS::Partition" => "aws".len(),
            "AWS::Region" => REGION_CHARACTERS,
            "AWS::AccountId" => ACCOUNT_CHARACTERS,
            "AWS::StackName" => STACK_NAME_CHARACTERS_MAX,
            _ if name == Parameter::QueueNamePrefix.name() => self.queue_prefix_characters,
            _ => match name.split_once('.') {
                Some((id, "Arn")) => self.arn_characters(id),
                _ => UNKNOWN_CHARACTERS,
            },
        };
        "x".repeat(characters)
    }

    fn arn_characters(&self, id: &str) -> usize {
        let name = match self.tree.property(id, "QueueName") {
            Some(Value::Text(text) | Value::Sub(text)) => self.substituted(text).len(),
            _ => UNKNOWN_CHARACTERS,
        };
        "arn:aws:sqs:::".len() + REGION_CHARACTERS + ACCOUNT_CHARACTERS + name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    #[test]
    fn the_length_of_a_queues_arn_depends_on_its_name() {
        let mut tree = Tree::default();
        let name = Value::sub("${queueNamePrefix}orders");
        tree.entries.push(Entry::new("OrdersQueue", "AWS::SQS::Queue", vec![("QueueName".into(), name)]));
        let longest = |queue_prefix_characters| Longest { tree: &tree, queue_prefix_characters };
        let arn = "arn:aws:sqs:ap-southeast-2:123456789012:orders";
        let value = Value::GetAtt("OrdersQueue".into(), "Arn".into());
        assert_eq!(longest(0).characters(&value), arn.len() + 2, "with its quotes");
        assert_eq!(longest(5).characters(&value), arn.len() + 7);
    }

    #[test]
    fn an_escaped_variable_is_counted_as_a_literal() {
        let tree = Tree::default();
        let longest = Longest { tree: &tree, queue_prefix_characters: 0 };
        let value = Value::sub("arn:${AWS::Partition}:s3:::b/a${!*}b/*");
        assert_eq!(longest.characters(&value), "\"arn:aws:s3:::b/a${*}b/*\"".len());
    }
}
