//! How long a value is once it is deployed. Services count characters of what they get, not of the intrinsics in the template.

use serde_json::{Map, Value as Json, json};

use crate::limits::STACK_NAME_CHARACTERS_MAX;
use crate::names::Parameter;
use crate::tree::Tree;
use crate::value::Value;

/// Characters of the longest Region of the partition `aws` (`ap-southeast-2`).
const REGION_CHARACTERS: usize = 14;
/// Characters of an account's number.
const ACCOUNT_CHARACTERS: usize = 12;
/// Characters of a name that `CloudFormation` makes, or of an attribute that nobody can know here: not less than most.
const UNKNOWN_CHARACTERS: usize = 80;

/// What the values of a template become.
pub(crate) struct Longest<'a> {
    pub(crate) tree: &'a Tree,
    /// Characters of the parameter `queueNamePrefix`.
    pub(crate) queue_prefix_characters: usize,
}

impl Longest<'_> {
    /// Characters of the value as JSON without white space, which IAM and SQS do not count.
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

    /// A text as long as that of the variable.
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
    fn a_queues_arn_is_as_long_as_its_name_makes_it() {
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
    fn a_literal_in_a_text_stays_what_it_is() {
        let tree = Tree::default();
        let longest = Longest { tree: &tree, queue_prefix_characters: 0 };
        let value = Value::sub("arn:${AWS::Partition}:s3:::b/a${!*}b/*");
        assert_eq!(longest.characters(&value), "\"arn:aws:s3:::b/a${*}b/*\"".len());
    }
}
