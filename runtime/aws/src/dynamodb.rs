//! DynamoDB: conditional writes as the core describes them, consistent reads, and the index of tables with work.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, KeysAndAttributes, Put, PutRequest, TransactWriteItem,
    WriteRequest,
};
use futures::{StreamExt, TryStreamExt, stream};
use loader_core::contract::{TRACKER_SORT_KEY, WORK_ATTRIBUTE, WORK_INDEX};
use loader_core::ids::DbTable;
use loader_core::limits::{BATCH_GET_KEYS_MAX, BATCH_WRITE_ITEMS_MAX, LOAD_METADATA_BYTES_MAX, LOAD_PENDINGS_MAX};
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::listing::Listing;
use loader_core::tracker::view::{TableState, Work};
use loader_core::tracker::write::{Condition, Transaction, WriteAction, Written};
use loader_core::tracker::{pack, wire};
use loader_reconcile::ports::{PortError, PortResult, Surroundings, Tracker};

use crate::attributes::{Attributes, Expression, decode, encode, expression, item_key};
use crate::{Aws, errors, query};

/// Maximum number of items in the first read of a table: the slot, and a short backlog.
const STATE_ITEMS_MAX: i32 = 10;
/// Number of batches of keys or ledger entries sent concurrently.
const BATCHES_AT_ONCE: usize = 8;
/// Number of attempts for what the SDK does not repeat: conflicts between transactions, unprocessed keys and items.
const TRIES_MAX: u32 = 8;

impl Tracker for Aws {
    /// One query in descending order: the slot sorts after every pending load, so it is read before them.
    async fn state(&self, table: &DbTable) -> PortResult<TableState> {
        const OPERATION: &str = "dynamodb:Query";
        let page = self
            .items_query(table, "#table = :table AND #key BETWEEN :from AND :slot", SortKey::PENDING.to_owned())
            .expression_attribute_values(":slot", AttributeValue::S(SortKey::slot().0))
            .scan_index_forward(false)
            .limit(STATE_ITEMS_MAX)
            .send()
            .await
            .map_err(|error| errors::sort(OPERATION, &error))?;
        let mut state = TableState { complete: page.last_evaluated_key.is_none(), ..TableState::default() };
        for item in page.items.unwrap_or_default() {
            match decode(OPERATION, item)? {
                Item::Slot(slot) => state.slot = slot,
                Item::Pending(pending) => state.backlog.insert(0, pending),
                Item::File(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => {}
            }
        }
        Ok(state)
    }

    async fn backlog(&self, table: &DbTable, limit: usize) -> PortResult<(Vec<PendingLoad>, Option<SortKey>)> {
        let query =
            self.items_query(table, "#table = :table AND begins_with(#key, :from)", SortKey::PENDING.to_owned());
        let pending = |item| if let Item::Pending(pending) = item { Some(pending) } else { None };
        // What two loads take is enough for now.
        let (items, complete) = query::collect(query, limit, more_than(2 * LOAD_METADATA_BYTES_MAX)).await?;
        let mut backlog: Vec<PendingLoad> = items.into_iter().filter_map(pending).collect();
        let rest = backlog.last().filter(|_| !complete).map(|last| last.key.clone());
        if rest.as_ref().is_some_and(|last| !last.is_requested()) {
            // So many live files are waiting that no requested one was read: read those for one load.
            let query =
                self.items_query(table, "#table = :table AND begins_with(#key, :from)", SortKey::REQUESTED.to_owned());
            let (items, _) = query::collect(query, LOAD_PENDINGS_MAX, more_than(LOAD_METADATA_BYTES_MAX)).await?;
            backlog.extend(items.into_iter().filter_map(pending));
        }
        Ok((backlog, rest))
    }

    async fn waiting(
        &self,
        table: &DbTable,
        after: Option<SortKey>,
    ) -> PortResult<(Vec<PendingLoad>, Option<SortKey>)> {
        const OPERATION: &str = "dynamodb:Query";
        let query =
            self.items_query(table, "#table = :table AND begins_with(#key, :from)", SortKey::PENDING.to_owned());
        let page = query.set_exclusive_start_key(after.map(|key| item_key(table, &key))).send().await;
        let page = page.map_err(|error| errors::sort(OPERATION, &error))?;
        let mut pendings = Vec::new();
        for item in page.items.unwrap_or_default() {
            if let Item::Pending(pending) = decode(OPERATION, item)? {
                pendings.push(pending);
            }
        }
        let last = page.last_evaluated_key.and(pendings.last()).map(|pending| pending.key.clone());
        Ok((pendings, last))
    }

    async fn listings(&self, table: &DbTable) -> PortResult<Vec<Listing>> {
        let query =
            self.items_query(table, "#table = :table AND begins_with(#key, :from)", SortKey::LISTING.to_owned());
        let listing = |item| if let Item::Listing(listing) = item { Some(listing) } else { None };
        let (items, _) = query::collect(query, usize::MAX, |_| false).await?;
        Ok(items.into_iter().filter_map(listing).collect())
    }

    async fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> PortResult<Vec<PendingLoad>> {
        let mut found = BTreeMap::new();
        for item in self.batch_get(table, keys, &[]).await? {
            if let Item::Pending(pending) = decode("dynamodb:BatchGetItem", item)? {
                found.insert(pending.key.clone(), pending);
            }
        }
        Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
    }

    async fn ledger(
        &self,
        table: &DbTable,
        object_ids: &BTreeSet<String>,
        now: Millis,
    ) -> PortResult<BTreeMap<String, LedgerMark>> {
        let keys: Vec<SortKey> = object_ids.iter().map(|id| SortKey::file_of(id)).collect();
        let mut marks = BTreeMap::new();
        for item in self.batch_get(table, &keys, &wire::LEDGER_ATTRIBUTES).await? {
            let attributes = serde_dynamo::from_item(item).map_err(|error| error.to_string());
            let mark = attributes.and_then(|attributes| wire::decode_mark(&attributes, now));
            marks.extend(mark.map_err(|why| errors::unexpected("dynamodb:BatchGetItem", why))?);
        }
        Ok(marks)
    }

    async fn entered(&self, table: &DbTable, object_ids: &BTreeSet<String>) -> PortResult<BTreeMap<String, Millis>> {
        let keys: Vec<SortKey> = object_ids.iter().map(|id| SortKey::file_of(id)).collect();
        let mut times = BTreeMap::new();
        for item in self.batch_get(table, &keys, &wire::ENTERED_ATTRIBUTES).await? {
            let attributes = serde_dynamo::from_item(item).map_err(|error| error.to_string());
            let time = attributes.and_then(|attributes| wire::decode_entered(&attributes));
            times.extend([time.map_err(|why| errors::unexpected("dynamodb:BatchGetItem", why))?]);
        }
        Ok(times)
    }

    async fn enter(&self, table: &DbTable, entries: &[LedgerEntry]) -> PortResult<()> {
        let chunks: Vec<Vec<LedgerEntry>> = entries.chunks(BATCH_WRITE_ITEMS_MAX).map(<[_]>::to_vec).collect();
        stream::iter(chunks)
            .map(|chunk| self.batch_write(table, chunk))
            .buffer_unordered(BATCHES_AT_ONCE)
            .try_collect()
            .await
    }

    async fn write(&self, transaction: &Transaction) -> PortResult<Written> {
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

    async fn tables_with_work(&self) -> PortResult<BTreeMap<DbTable, Work>> {
        let mut tables: BTreeMap<DbTable, Work> = BTreeMap::new();
        let mut start = None;
        loop {
            let page = self
                .dynamodb
                .scan()
                .table_name(&self.settings.tracker_table)
                .index_name(WORK_INDEX)
                .projection_expression("#work, #key")
                .expression_attribute_names("#work", WORK_ATTRIBUTE)
                .expression_attribute_names("#key", TRACKER_SORT_KEY)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| errors::sort("dynamodb:Scan", &error))?;
            for item in page.items() {
                let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
                if let (Some(table), Some(key)) = (text(WORK_ATTRIBUTE), text(TRACKER_SORT_KEY)) {
                    tables.entry(DbTable(table)).or_default().add(&SortKey(key));
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(tables);
            }
        }
    }
}

/// Whether the pending loads seen so far exceed this size in bytes.
fn more_than(bytes_max: usize) -> impl FnMut(&Item) -> bool {
    let mut bytes = 0;
    move |item| {
        bytes += if let Item::Pending(pending) = item { pack::item_bytes(pending) } else { 0 };
        bytes > bytes_max
    }
}

/// Adds the table and the condition to a write. The builders have the same methods, but no common trait.
macro_rules! conditional {
    ($builder:expr, $table:expr, $condition:expr) => {{
        let Expression { text, names, values } = $condition;
        $builder
            .table_name($table)
            .set_condition_expression(text)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
    }};
}

enum Conflict {
    /// In conflict with another transaction; nothing was written.
    Conflict,
    Port(PortError),
}

impl Aws {
    /// A single put needs no transaction, which would cost twice as much.
    async fn put(&self, table: &DbTable, item: &Item, condition: &Condition) -> Result<Written, Conflict> {
        const OPERATION: &str = "dynamodb:PutItem";
        let attributes = encode(table, item).map_err(|error| broken(OPERATION, &error))?;
        let put = self.dynamodb.put_item().set_item(Some(attributes));
        let put = conditional!(put, &self.settings.tracker_table, expression(condition));
        match put.send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(e) if e.is_conditional_check_failed_exception() => Ok(Written::Refused(vec![0])),
                Some(e) if e.is_transaction_conflict_exception() => Err(Conflict::Conflict),
                _ => Err(Conflict::Port(errors::sort(OPERATION, &error))),
            },
        }
    }

    /// The SDK gives each call a request token and repeats it with the call, so a repeat after a lost answer does not write twice.
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
        let (name, condition) = (&self.settings.tracker_table, expression(action.condition()));
        let item = TransactWriteItem::builder();
        Ok(match action {
            WriteAction::Put(whole, _) => {
                item.put(conditional!(Put::builder().set_item(Some(encode(table, whole)?)), name, condition).build()?)
            }
            WriteAction::Delete(key, _) => item
                .delete(conditional!(Delete::builder().set_key(Some(item_key(table, key))), name, condition).build()?),
            WriteAction::Check(key, _) => item.condition_check(
                conditional!(ConditionCheck::builder().set_key(Some(item_key(table, key))), name, condition).build()?,
            ),
        }
        .build())
    }

    /// Writes ledger entries, repeating those that were not processed.
    async fn batch_write(&self, table: &DbTable, entries: Vec<LedgerEntry>) -> PortResult<()> {
        const OPERATION: &str = "dynamodb:BatchWriteItem";
        let put = |entry: LedgerEntry| {
            let item = encode(table, &Item::File(entry)).map_err(|error| error.to_string())?;
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(|error| error.to_string())?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let requests: Result<Vec<WriteRequest>, String> = entries.into_iter().map(put).collect();
        let requests = requests.map_err(|why| errors::unexpected(OPERATION, why))?;
        let mut rest = HashMap::from([(self.settings.tracker_table.clone(), requests)]);
        for attempt in 1..=TRIES_MAX {
            let answer = self.dynamodb.batch_write_item().set_request_items(Some(rest)).send().await;
            rest = answer.map_err(|error| errors::sort(OPERATION, &error))?.unprocessed_items.unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            self.sleep(conflict_wait_millis(attempt, self.now())).await;
        }
        Err(errors::lost(OPERATION, format!("items unprocessed {TRIES_MAX} times")))
    }

    /// Reads items by key, in any order; only these attributes if any are given.
    async fn batch_get(&self, table: &DbTable, keys: &[SortKey], attributes: &[&str]) -> PortResult<Vec<Attributes>> {
        let chunks: Vec<Vec<SortKey>> = keys.chunks(BATCH_GET_KEYS_MAX).map(<[_]>::to_vec).collect();
        let pages: Vec<Vec<Attributes>> = stream::iter(chunks)
            .map(|chunk| self.batch_get_page(table, chunk, attributes))
            .buffer_unordered(BATCHES_AT_ONCE)
            .try_collect()
            .await?;
        Ok(pages.into_iter().flatten().collect())
    }

    /// Repeats the request for keys that were not processed.
    async fn batch_get_page(
        &self,
        table: &DbTable,
        keys: Vec<SortKey>,
        attributes: &[&str],
    ) -> PortResult<Vec<Attributes>> {
        const OPERATION: &str = "dynamodb:BatchGetItem";
        let name = &self.settings.tracker_table;
        let names: Vec<String> = (0..attributes.len()).map(|index| format!("#a{index}")).collect();
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(|key| item_key(table, key)).collect()))
            .consistent_read(true)
            .set_projection_expression((!names.is_empty()).then(|| names.join(", ")))
            .set_expression_attribute_names(
                (!names.is_empty())
                    .then(|| names.iter().cloned().zip(attributes.iter().map(|name| (*name).to_owned())).collect()),
            )
            .build()
            .map_err(|error| errors::unexpected(OPERATION, error.to_string()))?;
        let mut rest = HashMap::from([(name.clone(), wanted)]);
        let mut items = Vec::new();
        for attempt in 1..=TRIES_MAX {
            let answer = self.dynamodb.batch_get_item().set_request_items(Some(rest)).send().await;
            let answer = answer.map_err(|error| errors::sort(OPERATION, &error))?;
            items.extend(answer.responses.and_then(|mut tables| tables.remove(name)).unwrap_or_default());
            rest = answer.unprocessed_keys.unwrap_or_default();
            if rest.is_empty() {
                return Ok(items);
            }
            self.sleep(conflict_wait_millis(attempt, self.now())).await;
        }
        Err(errors::lost(OPERATION, format!("keys unprocessed {TRIES_MAX} times")))
    }
}

/// The reasons show which conditions were false. A conflict or throttling says nothing about the conditions, so the transaction is
/// repeated.
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

fn broken(operation: &'static str, error: &dyn std::error::Error) -> Conflict {
    Conflict::Port(errors::unexpected(operation, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect()
    }

    #[test]
    fn false_conditions_are_reported_by_position() {
        let judged = judge(&reasons(&["None", "ConditionalCheckFailed", "TransactionConflict"]), "");
        assert!(matches!(judged, Ok(Written::Refused(refused)) if refused == [1]));
    }

    #[test]
    fn a_conflict_is_not_a_refusal() {
        assert!(matches!(judge(&reasons(&["None", "TransactionConflict"]), ""), Err(Conflict::Conflict)));
    }

    #[test]
    fn an_unknown_code_is_an_error() {
        assert!(matches!(judge(&reasons(&["ValidationError"]), ""), Err(Conflict::Port(_))));
    }
}
