//! Values in a template: literals, and intrinsics that `CloudFormation` resolves when it deploys (Template reference, "Intrinsic functions").
//!
//! A value that is known only at deployment is passed on and never parsed.

use serde_json::{Map, Value as Json, json};

/// The value of a property, a condition or an output.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// An integer. No property that is used here needs a fraction.
    Number(i64),
    /// A literal text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object; its fields keep their order.
    Map(Vec<(String, Value)>),
    /// `Ref`: a parameter, a pseudo parameter or a resource.
    Ref(String),
    /// `Fn::GetAtt`: an attribute of a resource.
    GetAtt(String, String),
    /// `Fn::Sub`: a text in which `${name}` refers to a parameter or resource and `${name.attribute}` to an attribute.
    Sub(String),
    /// `Fn::Sub` with its own values for some of the `${…}`.
    SubWith(String, Vec<(String, Value)>),
    /// `Fn::If`: the name of a condition, the value if it is true, the value if it is false.
    If(String, Box<Value>, Box<Value>),
}

impl Value {
    /// An object whose fields keep this order.
    pub fn map<K: Into<String>, V: Into<Self>>(fields: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// A list of anything that converts to a value.
    pub fn list<V: Into<Self>>(items: impl IntoIterator<Item = V>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// `Fn::Sub` if the text contains a variable, otherwise the plain text, because cfn-lint warns about a `Fn::Sub` without variables.
    pub fn sub(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.contains("${") { Self::Sub(text) } else { text.as_str().into() }
    }

    /// `AWS::NoValue`: `CloudFormation` removes the property (Template reference, "Pseudo parameters").
    pub fn none() -> Self {
        Self::Ref("AWS::NoValue".into())
    }

    /// `Fn::If` on a condition of the template.
    pub fn when(condition: &str, then: impl Into<Self>, otherwise: impl Into<Self>) -> Self {
        Self::If(condition.to_owned(), Box::new(then.into()), Box::new(otherwise.into()))
    }

    /// The value as JSON, as the template contains it.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Bool(value) => json!(value),
            Self::Number(value) => json!(value),
            Self::Text(value) => json!(value),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(fields) => {
                let fields: Map<String, Json> =
                    fields.iter().map(|(name, value)| (name.clone(), value.to_json())).collect();
                Json::Object(fields)
            }
            Self::Ref(name) => json!({ "Ref": name }),
            Self::GetAtt(id, attribute) => json!({ "Fn::GetAtt": [id, attribute] }),
            Self::Sub(text) => json!({ "Fn::Sub": text }),
            Self::SubWith(text, values) => json!({ "Fn::Sub": [text, Self::Map(values.clone()).to_json()] }),
            Self::If(condition, then, otherwise) => {
                json!({ "Fn::If": [condition, then.to_json(), otherwise.to_json()] })
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(items)
    }
}

/// Escapes a literal for `Fn::Sub`, which would read `${` as a variable.
pub fn sub_literal(text: &str) -> String {
    text.replace("${", "${!")
}

/// Escapes a literal for an IAM resource or pattern: `*`, `?` and `$` become `${*}`, `${?}` and `${$}` (IAM user guide, "Policy variables").
/// Inside `Fn::Sub` it needs [`sub_literal`] as well.
pub fn iam_literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, letter| {
        match letter {
            '*' | '?' | '$' => escaped.extend(["${", letter.to_string().as_str(), "}"]),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intrinsics_are_written_as_cloudformation_reads_them() {
        let value = Value::map([
            ("a", Value::Ref("P".into())),
            ("b", Value::GetAtt("R".into(), "Arn".into())),
            ("c", Value::when("C", Value::sub("${P}/"), Value::none())),
            ("d", Value::SubWith("${V}/${P}".into(), vec![("V".into(), "v".into())])),
        ]);
        let expected = json!({
            "a": {"Ref": "P"},
            "b": {"Fn::GetAtt": ["R", "Arn"]},
            "c": {"Fn::If": ["C", {"Fn::Sub": "${P}/"}, {"Ref": "AWS::NoValue"}]},
            "d": {"Fn::Sub": ["${V}/${P}", {"V": "v"}]}
        });
        assert_eq!(value.to_json(), expected);
    }

    #[test]
    fn wildcards_and_variables_in_a_name_are_escaped() {
        assert_eq!(iam_literal("a*b?c$d"), "a${*}b${?}c${$}d");
        assert_eq!(sub_literal("${x} $y"), "${!x} $y");
    }
}
