//! A `DynamoDB` table: on demand, encrypted with the account's key for `DynamoDB`, point-in-time recovery, kept on removal.

use crate::l1::{CfnTable, CfnTableProps};
use crate::l2::role::Role;
use crate::policy::Statement;
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// What a table is like. Keys are strings.
pub struct TableProps {
    /// Name of the partition key.
    pub partition_key: &'static str,
    /// Name of the sort key.
    pub sort_key: &'static str,
    /// Attribute with the time of an item's expiry, in epoch seconds.
    pub ttl_attribute: &'static str,
    /// An index that holds keys only, of the items that have its partition key.
    pub index: Option<Index>,
    /// Whether every change of an item goes to a stream, with the item before and after.
    pub has_stream: bool,
}

/// A sparse index; its sort key is the table's.
#[derive(Clone, Copy)]
pub struct Index {
    /// Name of the index, part of its ARN.
    pub name: &'static str,
    /// Attribute that only the items of the index have.
    pub partition_key: &'static str,
}

/// A table of the stack, with at most one index.
#[derive(Clone)]
pub struct Table {
    resource: Resource,
    index: Option<Index>,
}

impl Table {
    /// A table that stays when the stack goes.
    pub fn new(scope: &Scope, props: &TableProps) -> Self {
        let attributes =
            [props.partition_key, props.sort_key].into_iter().chain(props.index.map(|index| index.partition_key));
        let attributes = attributes.map(|name| Value::map([("AttributeName", name), ("AttributeType", "S")]));
        let indexes = props.index.map(|index| {
            Value::list([Value::map([
                ("IndexName", index.name.into()),
                ("KeySchema", keys(index.partition_key, props.sort_key)),
                ("Projection", Value::map([("ProjectionType", "KEYS_ONLY")])),
            ])])
        });
        let images = Value::map([("StreamViewType", "NEW_AND_OLD_IMAGES")]);
        let resource = CfnTable::new(
            scope,
            CfnTableProps {
                BillingMode: Some("PAY_PER_REQUEST".into()),
                AttributeDefinitions: Some(Value::list(attributes)),
                KeySchema: Some(keys(props.partition_key, props.sort_key)),
                GlobalSecondaryIndexes: indexes,
                TimeToLiveSpecification: Some(Value::map([
                    ("AttributeName", props.ttl_attribute.into()),
                    ("Enabled", Value::Bool(true)),
                ])),
                PointInTimeRecoverySpecification: Some(Value::map([("PointInTimeRecoveryEnabled", true)])),
                SSESpecification: Some(Value::map([("SSEEnabled", true)])),
                StreamSpecification: props.has_stream.then_some(images),
            },
        );
        resource.retain();
        Self { resource, index: props.index }
    }

    /// Lets a role read and write items, one by one, in batches or in a transaction. A transaction needs the permissions of its parts and
    /// none of its own (`DynamoDB` developer guide, "IAM and transactions"); a batch needs its own only (service authorization reference,
    /// "DynamoDB"). No scan.
    pub fn grant_read_write(&self, role: &Role) {
        let actions = [
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:Query",
            "dynamodb:PutItem",
            "dynamodb:DeleteItem",
            "dynamodb:ConditionCheckItem",
            "dynamodb:BatchWriteItem",
        ];
        role.permit(Statement::allow(&actions, [self.resource.arn()]));
    }

    /// Lets a role scan the index, and only the index. A table without one is a problem.
    pub fn grant_scan_index(&self, role: &Role) {
        let Some(index) = self.index else {
            self.resource.scope().problem("has no index to scan: give one");
            return;
        };
        let arn = Value::sub(format!("${{{}.Arn}}/index/{}", self.resource.logical_id(), index.name));
        role.permit(Statement::allow(&["dynamodb:Scan"], [arn]));
    }

    /// Lets a role read the stream (`EventBridge` user guide, "Permissions for Amazon EventBridge Pipes").
    pub fn grant_read_stream(&self, role: &Role) {
        let actions =
            ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];
        role.permit(Statement::allow(&actions, [self.stream_arn()]));
    }

    /// ARN of the stream: only where the table has one.
    pub fn stream_arn(&self) -> Value {
        self.resource.attribute("StreamArn")
    }

    /// Physical name, made by `CloudFormation`.
    pub fn name(&self) -> Value {
        self.resource.reference()
    }
}

fn keys(partition: &str, sort: &str) -> Value {
    Value::list(
        [("HASH", partition), ("RANGE", sort)]
            .map(|(kind, name)| Value::map([("AttributeName", name), ("KeyType", kind)])),
    )
}
