//! Items with any content, for the test that reads them back.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::*;
use crate::bulk_request::Position;
use crate::fit::{AddedColumn, Fit};
use crate::ident::Ident;
use crate::ids::{ObjectVersion, Version};
use crate::inventory::Line;
use crate::sql::columns::{Identity, TargetColumn, TargetColumns};
use crate::tracker::listing::Counts;
use crate::tracker::slot::{KnownColumns, Pause, Prepared, RunningLoad, Slot, Step};

/// An item of any kind.
pub fn any_item() -> impl Strategy<Value = Item> {
    prop_oneof![a_pending(), a_failed(), an_entry(), a_history(), a_slot(), an_audit(), a_listing()]
}

fn config() -> Arc<LoadConfig> {
    let document =
        r#"{"copy": {"role_arn": "default", "table_name": "t"}, "cluster": {"identifier": "c", "db_name": "d"}}"#;
    LoadConfig::parse(document).unwrap()
}

fn a_source() -> impl Strategy<Value = ConfigSource> {
    let config = config();
    proptest::option::of("[a-z]{1,8}").prop_map(move |queue| ConfigSource { queue, recorded: config.clone() })
}

fn an_object() -> impl Strategy<Value = WaitingObject> {
    let version = prop_oneof![".{1,9}".prop_map(Version::Id), "[0-9a-f]{32}".prop_map(Version::ETag)];
    ("[a-z]{3}", ".{1,9}", version, any::<u64>()).prop_map(|(bucket, key, version, size_bytes)| WaitingObject {
        object: ObjectVersion { bucket, key, version },
        size_bytes,
    })
}

fn objects() -> impl Strategy<Value = Vec<WaitingObject>> {
    proptest::collection::vec(an_object(), 0..5)
}

fn a_pending() -> impl Strategy<Value = Item> {
    let times = (any::<i64>(), proptest::option::of(any::<i64>()));
    let rest = (times, proptest::option::of(".{0,5}"), any::<i64>(), any::<u32>(), any::<bool>());
    (objects(), a_source(), rest).prop_map(|(objects, source, rest)| {
        let ((recorded_millis, created_millis), group, not_before_millis, set_aside, entered) = rest;
        let key = SortKey("PENDING#00000000000001#x".into());
        Item::Pending(PendingLoad {
            key,
            objects,
            source,
            recorded_millis,
            created_millis,
            group,
            not_before_millis,
            set_aside,
            entered,
            recorded_by: None,
        })
    })
}

fn a_class() -> impl Strategy<Value = FailureClass> {
    (0..FailureClass::ALL.len()).prop_map(|at| FailureClass::ALL[at])
}

fn a_failed() -> impl Strategy<Value = Item> {
    (objects(), a_source(), a_class(), ".{0,9}", proptest::option::of("[a-z]{1,5}")).prop_map(
        |(objects, source, class, error, statement_id)| {
            let key = SortKey("FAILED#00000000000001#x".into());
            Item::Failed(Quarantined {
                key,
                objects,
                source,
                class,
                error,
                statement_id,
                remedy: class.remedy().into(),
                is_misfit: class == FailureClass::BadInput,
            })
        },
    )
}

fn an_entry() -> impl Strategy<Value = Item> {
    let mark = prop_oneof![
        Just(LedgerMark::Accepted),
        "[0-9a-f]{32}".prop_map(|id| LedgerMark::Loaded(LoadId(id))),
        Just(LedgerMark::Quarantined),
    ];
    (an_object(), mark, any::<i64>(), any::<i64>()).prop_map(|(waiting, mark, entered_millis, expires_at)| {
        Item::File(LedgerEntry { object: waiting.object, mark, entered_millis, expires_at, recorded: None })
    })
}

fn a_name() -> impl Strategy<Value = StatementName> {
    ("[a-z/]{1,5}", "[0-9a-f]{32}", 1_u32..).prop_map(|(prefix, load_id, attempt)| StatementName {
        prefix,
        table: DbTable("cluster:c:d:public.t".into()),
        load_id: LoadId(load_id),
        attempt,
    })
}

fn a_history() -> impl Strategy<Value = Item> {
    let counts = (any::<u64>(), any::<u64>(), any::<u64>(), proptest::option::of(any::<i64>()), any::<u32>());
    let times = (any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>());
    ("[a-z]{0,5}", proptest::option::of(a_name()), counts, times).prop_map(|(statement_id, name, counts, times)| {
        let (number, n_objects, size_bytes, rows, attempts) = counts;
        let (arrival_millis, queue_wait_millis, load_millis, expires_at) = times;
        Item::Loaded(History {
            key: SortKey("LOADED#00000000000001#x".into()),
            load_id: LoadId("x".into()),
            number,
            statement_id,
            statement_name: name,
            manifest: "s3://m/a.json".into(),
            n_objects,
            size_bytes,
            rows,
            arrival_millis,
            queue_wait_millis,
            load_millis,
            attempts,
            added: vec![
                AddedColumn { name: Ident::exact("more"), kind: "DECIMAL(38, 2)".into() };
                (attempts % 3) as usize
            ],
            expires_at,
        })
    })
}

fn a_prepared() -> impl Strategy<Value = Prepared> {
    (a_name(), any::<u64>(), any::<u64>(), any::<i64>(), any::<i64>(), any::<u32>(), any::<bool>()).prop_map(
        |(statement_name, n_objects, size_bytes, prepared_millis, not_before_millis, refusals, uncertain)| Prepared {
            manifest: "s3://m/a.json".into(),
            n_objects,
            size_bytes,
            fit: Fit {
                columns: vec![Ident::exact("a \"b\""); (refusals % 3) as usize],
                added: vec![AddedColumn { name: Ident::exact("b"), kind: "SUPER".into() }; (refusals % 2) as usize],
            },
            statement_name,
            prepared_millis,
            not_before_millis,
            refusals,
            uncertain,
        },
    )
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Claimed),
        (any::<i64>(), a_class(), ".{0,9}").prop_map(|(not_before_millis, class, reason)| Step::Waiting {
            not_before_millis,
            class,
            reason
        }),
        a_prepared().prop_map(Step::Prepared),
        (a_prepared(), "[a-z]{1,5}", any::<i64>(), any::<Option<i64>>()).prop_map(
            |(prepared, statement_id, submitted_millis, cancelled_millis)| Step::Submitted {
                prepared,
                statement_id,
                submitted_millis,
                cancelled_millis
            }
        ),
        proptest::option::of("[a-z]{1,5}").prop_map(|statement_id| Step::GivenUp { statement_id }),
    ]
}

fn a_load() -> impl Strategy<Value = RunningLoad> {
    let times = (any::<i64>(), any::<i64>(), any::<i64>());
    let counts = (any::<u32>(), any::<u32>(), any::<u32>());
    let keys = proptest::collection::vec("PENDING#[0-9]{14}#[0-9a-f]{32}".prop_map(SortKey), 0..4);
    (a_step(), times, counts, keys, a_source()).prop_map(|(step, times, counts, pending_keys, source)| RunningLoad {
        load_id: LoadId("x".into()),
        holder: "me".into(),
        touched_millis: times.0,
        claimed_millis: times.1,
        recorded_millis: times.2,
        attempt: counts.0,
        failures: counts.1,
        refreshes: counts.2,
        awaits_operator: counts.2 % 2 == 0,
        pending_keys,
        source,
        step,
    })
}

fn a_slot() -> impl Strategy<Value = Item> {
    let column = (".{1,5}", "[a-z ]{0,9}", any::<bool>()).prop_map(|(name, kind, nullable)| TargetColumn {
        name: Ident::exact(name),
        kind,
        nullable,
        identity: Identity::No,
    });
    let columns = proptest::collection::vec(column, 0..3).prop_map(TargetColumns::Asked);
    let known = (columns, any::<i64>()).prop_map(|(columns, asked_millis)| KnownColumns { columns, asked_millis });
    let pause = (".{0,9}", any::<i64>(), proptest::option::of(".{0,9}")).prop_map(|(by, since_millis, reason)| Pause {
        by,
        since_millis,
        reason,
    });
    let searched = proptest::option::of("PENDING#[0-9]{14}#[0-9a-f]{32}".prop_map(SortKey));
    let options = (proptest::option::of(known), proptest::option::of(pause), searched, proptest::option::of(a_load()));
    (any::<u64>(), any::<u64>(), any::<bool>(), options).prop_map(
        |(version, number, requested, (columns, pause, searched, load))| {
            Item::Slot(Slot { version, number, requested, columns, pause, searched, load })
        },
    )
}

fn an_audit() -> impl Strategy<Value = Item> {
    let texts = (".{0,9}", "[a-z]{1,9}", ".{0,9}", proptest::option::of(".{0,9}"));
    (0..i64::MAX / 10_000_000, texts, any::<i64>()).prop_map(|(at, (by, command, what, why), expires_at)| {
        Item::Audit(Audit { key: SortKey::audit(at, "0123"), by, command, what, why, expires_at })
    })
}

fn a_listing() -> impl Strategy<Value = Item> {
    let texts = (".{0,9}", ".{0,9}", proptest::option::of("[a-z]{1,9}"), proptest::option::of(".{0,9}"));
    let numbers = (any::<u64>(), any::<u32>(), any::<[u64; 4]>(), any::<Option<(usize, u64)>>());
    let times = (any::<i64>(), any::<i64>(), any::<Option<i64>>());
    (texts, numbers, times).prop_map(|((request, key, version_id, error), numbers, times)| {
        let (version, turns, [objects, bytes, new_objects, again_objects], line) = numbers;
        let line = line.map(|(file, line)| Line { file, line });
        let (touched_millis, started_millis, given_up) = times;
        let (counts, holder) = (Counts { objects, bytes, new_objects, again_objects }, "me".into());
        let (key, position) = (SortKey::listing("0123"), Position { key, version_id, line });
        Item::Listing(Listing {
            key,
            version,
            request,
            position,
            holder,
            touched_millis,
            started_millis,
            turns,
            counts,
            error,
            given_up,
        })
    })
}
