//! DynamoDB: conditional writes as the core describes them, consistent reads, the index of tables with work.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, KeysAndAttributes, Put, TransactWriteItem,
};
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY, TTL_ATTRIBUTE, WORK_ATTRIBUTE, WORK_INDEX};
use loader_core::ids::DbTable;
use loader_core::tracker::item::{Item, Millis, PendingLoad, RunningLoad, SortKey};
use loader_core::tracker::wire;
use loader_core::tracker::write::{Condition, Transaction, WriteAction, Written};
use loader_reconcile::ports::{Answer, PortError, Surroundings, Tracker};

use crate::{Aws, errors};

type Attributes = HashMap<String, AttributeValue>;

/// Keys of one `BatchGetItem` (`API_BatchGetItem`).
const BATCH_GET_KEYS_MAX: usize = 100;
/// Tries of a call that the SDK does not repeat by itself: conflicts of transactions, unprocessed keys.
const TRIES_MAX: u32 = 8;

impl Tracker for Aws {
    async fn running(&self, table: &DbTable) -> Answer<Option<RunningLoad>> {
        const OPERATION: &str = "dynamodb:GetItem";
        let get = self.dynamodb.get_item().table_name(&self.settings.tracker_table).consistent_read(true);
        let answer = get
            .set_key(Some(item_key(table, &SortKey::running())))
            .send()
            .await
            .map_err(|error| errors::sort(OPERATION, &error))?;
        match answer.item.map(|item| decode(OPERATION, item)).transpose()? {
            Some(Item::Running(running)) => Ok(Some(running)),
            _ => Ok(None),
        }
    }

    async fn backlog(&self, table: &DbTable, limit: usize) -> Answer<Vec<PendingLoad>> {
        const OPERATION: &str = "dynamodb:Query";
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .dynamodb
                .query()
                .table_name(&self.settings.tracker_table)
                .consistent_read(true)
                .key_condition_expression("#table = :table AND begins_with(#key, :pending)")
                .expression_attribute_names("#table", TRACKER_PARTITION_KEY)
                .expression_attribute_names("#key", TRACKER_SORT_KEY)
                .expression_attribute_values(":table", AttributeValue::S(table.0.clone()))
                .expression_attribute_values(":pending", AttributeValue::S("PENDING#".into()))
                .limit(i32::try_from(limit - found.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| errors::sort(OPERATION, &error))?;
            for item in page.items.unwrap_or_default() {
                if let Item::Pending(pending) = decode(OPERATION, item)? {
                    found.push(pending);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() || found.len() >= limit {
                return Ok(found);
            }
        }
    }

    async fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> Answer<Vec<PendingLoad>> {
        let mut found = BTreeMap::new();
        for item in self.batch_get(table, keys, None).await? {
            if let Item::Pending(pending) = decode("dynamodb:BatchGetItem", item)? {
                found.insert(pending.key.clone(), pending);
            }
        }
        Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
    }

    async fn existing(&self, table: &DbTable, keys: &BTreeSet<SortKey>, now: Millis) -> Answer<BTreeSet<SortKey>> {
        let alive = |item: &Attributes| {
            let expires =
                item.get(TTL_ATTRIBUTE).and_then(|value| value.as_n().ok()).and_then(|n| n.parse::<i64>().ok());
            expires.is_none_or(|seconds| seconds * 1000 >= now)
        };
        let keys: Vec<SortKey> = keys.iter().cloned().collect();
        let items = self.batch_get(table, &keys, Some("#key, #ttl")).await?;
        let key = |item: &Attributes| item.get(TRACKER_SORT_KEY).and_then(|key| key.as_s().ok()).cloned();
        Ok(items.iter().filter(|item| alive(item)).filter_map(key).map(SortKey).collect())
    }

    async fn write(&self, transaction: &Transaction) -> Answer<Written> {
        for attempt in 1..=TRIES_MAX {
            let answer = match transaction.actions.as_slice() {
                [WriteAction::Put(item, condition)] => self.put(&transaction.table, item, condition).await,
                actions => self.transact(&transaction.table, actions).await,
            };
            match answer {
                Err(Conflict::Conflict) => self.sleep(conflict_wait_millis(attempt, self.now())).await,
                Err(Conflict::Port(error)) => return Err(error),
                Ok(written) => return Ok(written),
            }
        }
        Err(PortError {
            operation: "dynamodb:TransactWriteItems",
            unknown: false,
            class: loader_core::outcome::FailureClass::RetryLater,
            message: format!("in conflict with other transactions {TRIES_MAX} times"),
        })
    }

    async fn tables_with_work(&self) -> Answer<BTreeSet<DbTable>> {
        let mut tables = BTreeSet::new();
        let mut start = None;
        loop {
            let page = self
                .dynamodb
                .scan()
                .table_name(&self.settings.tracker_table)
                .index_name(WORK_INDEX)
                .projection_expression("#work")
                .expression_attribute_names("#work", WORK_ATTRIBUTE)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| errors::sort("dynamodb:Scan", &error))?;
            let work = |item: &Attributes| item.get(WORK_ATTRIBUTE).and_then(|value| value.as_s().ok()).cloned();
            tables.extend(page.items().iter().filter_map(work).map(DbTable));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(tables);
            }
        }
    }
}

enum Conflict {
    /// With another transaction: nothing was written.
    Conflict,
    Port(PortError),
}

impl Aws {
    /// One put needs no transaction, and costs half.
    async fn put(&self, table: &DbTable, item: &Item, condition: &Condition) -> Result<Written, Conflict> {
        const OPERATION: &str = "dynamodb:PutItem";
        let Expression { text, names, values } = expression(condition);
        let attributes = encode(table, item).map_err(|error| broken(OPERATION, &error))?;
        let put = self
            .dynamodb
            .put_item()
            .table_name(&self.settings.tracker_table)
            .set_item(Some(attributes))
            .set_condition_expression(text)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        match put.send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(e) if e.is_conditional_check_failed_exception() => Ok(Written::Refused(vec![0])),
                Some(e) if e.is_transaction_conflict_exception() => Err(Conflict::Conflict),
                _ => Err(Conflict::Port(errors::sort(OPERATION, &error))),
            },
        }
    }

    /// The SDK gives every call a request token of its own and repeats it with the call, so a lost answer is no second write.
    async fn transact(&self, table: &DbTable, actions: &[WriteAction]) -> Result<Written, Conflict> {
        const OPERATION: &str = "dynamodb:TransactWriteItems";
        let items: Result<Vec<_>, _> = actions.iter().map(|action| self.transact_item(table, action)).collect();
        let items = items.map_err(|error| broken(OPERATION, error.as_ref()))?;
        match self.dynamodb.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => {
                let canceled = error.as_service_error().and_then(|e| match e {
                    aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(e) => {
                        Some(e.cancellation_reasons())
                    }
                    _ => None,
                });
                match canceled {
                    Some(reasons) => judge(reasons, &error.to_string()),
                    None => Err(Conflict::Port(errors::sort(OPERATION, &error))),
                }
            }
        }
    }

    fn transact_item(
        &self,
        table: &DbTable,
        action: &WriteAction,
    ) -> Result<TransactWriteItem, Box<dyn std::error::Error>> {
        let Expression { text, names, values } = expression(action.condition());
        let name = &self.settings.tracker_table;
        let item = TransactWriteItem::builder();
        Ok(match action {
            WriteAction::Put(whole, _) => item.put(
                Put::builder()
                    .table_name(name)
                    .set_item(Some(encode(table, whole)?))
                    .set_condition_expression(text)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
            WriteAction::Delete(key, _) => item.delete(
                Delete::builder()
                    .table_name(name)
                    .set_key(Some(item_key(table, key)))
                    .set_condition_expression(text)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
            WriteAction::Check(key, _) => item.condition_check(
                ConditionCheck::builder()
                    .table_name(name)
                    .set_key(Some(item_key(table, key)))
                    .set_condition_expression(text)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
        }
        .build())
    }

    /// Reads items by key, in any order; asks again for keys that were not processed.
    async fn batch_get(&self, table: &DbTable, keys: &[SortKey], projection: Option<&str>) -> Answer<Vec<Attributes>> {
        const OPERATION: &str = "dynamodb:BatchGetItem";
        let name = &self.settings.tracker_table;
        let mut items = Vec::new();
        for chunk in keys.chunks(BATCH_GET_KEYS_MAX) {
            let mut wanted = KeysAndAttributes::builder()
                .set_keys(Some(chunk.iter().map(|key| item_key(table, key)).collect()))
                .consistent_read(true);
            if let Some(projection) = projection {
                wanted = wanted
                    .projection_expression(projection)
                    .expression_attribute_names("#key", TRACKER_SORT_KEY)
                    .expression_attribute_names("#ttl", TTL_ATTRIBUTE);
            }
            let wanted = wanted.build().map_err(|error| errors::unexpected(OPERATION, error.to_string()))?;
            let mut rest = Some(HashMap::from([(name.clone(), wanted)]));
            for attempt in 1.. {
                let Some(request) = rest.take().filter(|request| !request.is_empty()) else { break };
                if attempt > TRIES_MAX {
                    return Err(errors::lost(OPERATION, format!("keys unprocessed {TRIES_MAX} times")));
                }
                if attempt > 1 {
                    self.sleep(conflict_wait_millis(attempt, self.now())).await;
                }
                let answer = self.dynamodb.batch_get_item().set_request_items(Some(request)).send().await;
                let answer = answer.map_err(|error| errors::sort(OPERATION, &error))?;
                items.extend(answer.responses.and_then(|mut tables| tables.remove(name)).unwrap_or_default());
                rest = answer.unprocessed_keys;
            }
        }
        Ok(items)
    }
}

/// False conditions name themselves; a conflict or a throttle is no answer to the conditions.
fn judge(reasons: &[CancellationReason], said: &str) -> Result<Written, Conflict> {
    let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
    let codes: Vec<String> = reasons.iter().map(code).collect();
    let refused: Vec<usize> = codes
        .iter()
        .enumerate()
        .filter(|(_, code)| *code == "ConditionalCheckFailed")
        .map(|(index, _)| index)
        .collect();
    if !refused.is_empty() {
        return Ok(Written::Refused(refused));
    }
    let passing = ["None", "TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"];
    if codes.iter().all(|code| passing.contains(&code.as_str())) {
        return Err(Conflict::Conflict);
    }
    let texts: Vec<&str> = reasons.iter().filter_map(CancellationReason::message).collect();
    Err(Conflict::Port(errors::unexpected("dynamodb:TransactWriteItems", format!("{said}: {}", texts.join("; ")))))
}

fn conflict_wait_millis(attempt: u32, now: Millis) -> u64 {
    let full = 25_u64 << attempt.min(6);
    full / 2 + now.unsigned_abs() % (full / 2)
}

fn item_key(table: &DbTable, key: &SortKey) -> Attributes {
    HashMap::from([
        (TRACKER_PARTITION_KEY.to_owned(), AttributeValue::S(table.0.clone())),
        (TRACKER_SORT_KEY.to_owned(), AttributeValue::S(key.0.clone())),
    ])
}

fn encode(table: &DbTable, item: &Item) -> Result<Attributes, serde_dynamo::Error> {
    serde_dynamo::to_item(wire::encode(table, item))
}

fn broken(operation: &'static str, error: &dyn std::error::Error) -> Conflict {
    Conflict::Port(errors::unexpected(operation, error.to_string()))
}

/// The item that these attributes are.
pub(crate) fn decode(operation: &'static str, item: Attributes) -> Answer<Item> {
    let item = serde_dynamo::from_item(item).map_err(|error| errors::unexpected(operation, error.to_string()))?;
    wire::decode(item).map_err(|error| errors::unexpected(operation, error.to_string()))
}

#[derive(Default)]
struct Expression {
    text: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<Attributes>,
}

fn expression(condition: &Condition) -> Expression {
    let make = |text: &str, names: &[(&str, &str)], values: Vec<(&str, AttributeValue)>| Expression {
        text: Some(text.to_owned()),
        names: Some(names.iter().map(|(short, name)| ((*short).to_owned(), (*name).to_owned())).collect()),
        values: (!values.is_empty())
            .then(|| values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
    };
    let table = ("#table", TRACKER_PARTITION_KEY);
    match condition {
        Condition::Always => Expression::default(),
        Condition::Absent => make("attribute_not_exists(#table)", &[table], vec![]),
        Condition::Present => make("attribute_exists(#table)", &[table], vec![]),
        Condition::AbsentOrExpired(now) => make(
            "attribute_not_exists(#table) OR #expires < :now",
            &[table, ("#expires", TTL_ATTRIBUTE)],
            vec![(":now", AttributeValue::N((now / 1000).to_string()))],
        ),
        Condition::Slot { load_id, version } => make(
            "#load = :load AND #version = :version",
            &[("#load", "load_id"), ("#version", "version")],
            vec![(":load", AttributeValue::S(load_id.0.clone())), (":version", AttributeValue::N(version.to_string()))],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect()
    }

    #[test]
    fn false_conditions_are_named_by_their_position() {
        let judged = judge(&reasons(&["None", "ConditionalCheckFailed", "TransactionConflict"]), "");
        assert!(matches!(judged, Ok(Written::Refused(refused)) if refused == [1]));
    }

    #[test]
    fn a_conflict_is_no_refusal() {
        assert!(matches!(judge(&reasons(&["None", "TransactionConflict"]), ""), Err(Conflict::Conflict)));
    }

    #[test]
    fn what_nobody_knows_is_an_error() {
        assert!(matches!(judge(&reasons(&["ValidationError"]), ""), Err(Conflict::Port(_))));
    }
}
