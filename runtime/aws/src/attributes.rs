//! Items and conditions in the form of DynamoDB: attributes by name, and expressions over them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY};
use loader_core::ids::DbTable;
use loader_core::tracker::item::{Item, SortKey};
use loader_core::tracker::wire;
use loader_core::tracker::write::Condition;
use loader_reconcile::ports::PortResult;

use crate::errors;

/// The attributes of an item, or some of them.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// The key of an item.
pub(crate) fn item_key(table: &DbTable, key: &SortKey) -> Attributes {
    HashMap::from([
        (TRACKER_PARTITION_KEY.to_owned(), AttributeValue::S(table.0.clone())),
        (TRACKER_SORT_KEY.to_owned(), AttributeValue::S(key.0.clone())),
    ])
}

/// The attributes of an item.
pub(crate) fn encode(table: &DbTable, item: &Item) -> Result<Attributes, serde_dynamo::Error> {
    serde_dynamo::to_item(wire::encode(table, item))
}

/// Reads an item from its attributes.
pub(crate) fn decode(operation: &'static str, item: Attributes) -> PortResult<Item> {
    let item = serde_dynamo::from_item(item).map_err(|error| errors::unexpected(operation, error.to_string()))?;
    wire::decode(item).map_err(|error| errors::unexpected(operation, error.to_string()))
}

#[derive(Default)]
pub(crate) struct Expression {
    /// The condition; `None`: it is always true.
    pub text: Option<String>,
    pub names: Option<HashMap<String, String>>,
    pub values: Option<Attributes>,
}

/// A condition as a DynamoDB expression.
pub(crate) fn expression(condition: &Condition) -> Expression {
    let make = |text: &str, names: &[(&str, &str)], values: Vec<(&str, AttributeValue)>| Expression {
        text: Some(text.to_owned()),
        names: Some(names.iter().map(|(short, name)| ((*short).to_owned(), (*name).to_owned())).collect()),
        values: (!values.is_empty())
            .then(|| values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
    };
    let table = ("#table", TRACKER_PARTITION_KEY);
    match condition {
        Condition::Always => Expression::default(),
        Condition::Absent | Condition::Version(0) | Condition::Slot { version: 0, .. } => {
            make("attribute_not_exists(#table)", &[table], vec![])
        }
        Condition::Present => make("attribute_exists(#table)", &[table], vec![]),
        Condition::Version(version) => make(
            "#version = :version",
            &[("#version", wire::SLOT_VERSION)],
            vec![(":version", AttributeValue::N(version.to_string()))],
        ),
        Condition::Slot { version, load_id: None } => make(
            "#version = :version AND attribute_not_exists(#load)",
            &[("#version", wire::SLOT_VERSION), ("#load", wire::SLOT_LOAD_ID)],
            vec![(":version", AttributeValue::N(version.to_string()))],
        ),
        Condition::Slot { version, load_id: Some(load_id) } => make(
            "#version = :version AND #load = :load",
            &[("#version", wire::SLOT_VERSION), ("#load", wire::SLOT_LOAD_ID)],
            vec![(":version", AttributeValue::N(version.to_string())), (":load", AttributeValue::S(load_id.0.clone()))],
        ),
    }
}
