//! Reads what `status` needs: each table's slot, backlog, quarantine and last hour from the tracker, and its queues.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use loader_core::config::LoadConfig;
use loader_core::tracker::item::{History, Quarantined};
use loader_core::tracker::view::TableState;
use synth::names::{LogicalId, Output, SHARED_DEAD_LETTERS_OUTPUT};

use crate::ground::clock::now_millis;
use crate::loader::tracker::Tracker;
use crate::loader::{dead_letters, logs};
use crate::operate::tables::Tables;

/// Number of tables or queues read concurrently.
const AT_ONCE: usize = 16;
const HOUR_MILLIS: i64 = 3_600_000;
/// The time of two missed sweeps.
const SILENCE_MILLIS: i64 = 120_000;

/// What was read about a table, or about queues that belong to none.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The target table, as the tracker spells its key.
    pub table: Option<String>,
    /// Slot and backlog.
    pub state: TableState,
    /// All quarantined items.
    pub quarantine: Vec<Quarantined>,
    /// Loads that ended in the last hour.
    pub hour: Vec<History>,
    /// The newest finished load.
    pub last: Option<History>,
    /// Its queues.
    pub queues: Vec<QueueFacts>,
}

/// What was read about a queue.
#[derive(Clone, Debug)]
pub struct QueueFacts {
    /// Name in SQS.
    pub name: String,
    /// Its configuration, or what is wrong with it.
    pub config: Result<Arc<LoadConfig>, String>,
    /// Number of messages in its dead-letter queue.
    pub dead_letters: Option<u64>,
}

impl QueueFacts {
    fn table(&self) -> Option<String> {
        self.config.as_ref().ok().map(|config| config.db_table().0)
    }
}

/// Reads every table, by name, and then what belongs to no table. `only`: one table and its queues.
pub async fn read(tables: &Tables, only: Option<&str>) -> Result<Vec<Facts>> {
    let queues = queues(tables).await?;
    let mut names: BTreeSet<String> = queues.iter().filter_map(QueueFacts::table).collect();
    names.extend(tables.tracker.tables_with_work().await?);
    if let Some(only) = only {
        names = BTreeSet::from([only.to_owned()]);
    }
    let mut by_table: BTreeMap<Option<String>, Vec<QueueFacts>> = BTreeMap::new();
    for queue in queues {
        by_table.entry(queue.table()).or_default().push(queue);
    }
    let without_table = by_table.remove(&None).unwrap_or_default();
    let mut found: Vec<Facts> = stream::iter(names)
        .map(|table| {
            let queues = by_table.get(&Some(table.clone())).cloned().unwrap_or_default();
            of_table(&tables.tracker, table, queues)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    if only.is_none() {
        found.extend(without_table.into_iter().map(|queue| Facts { queues: vec![queue], ..Facts::default() }));
    }
    Ok(found)
}

async fn of_table(tracker: &Tracker, table: String, queues: Vec<QueueFacts>) -> Result<Facts> {
    let (state, quarantine, hour, last) = tokio::try_join!(
        tracker.state(&table),
        tracker.quarantine(&table),
        tracker.loaded(&table, now_millis() - HOUR_MILLIS..=i64::MAX),
        tracker.last_load(&table),
    )?;
    Ok(Facts { table: Some(table), state, quarantine, hour, last, queues })
}

/// Every queue that has a configuration, and dead-letter queues without a queue if they contain messages.
async fn queues(tables: &Tables) -> Result<Vec<QueueFacts>> {
    let sqs = tables.aws.sqs();
    let mut queues: Vec<QueueFacts> = stream::iter(tables.configs().await?)
        .map(|(name, config)| {
            let sqs = &sqs;
            async move {
                let dead_letters = dead_letters::count(sqs, &name).await?;
                let config = config.map_err(|problems| problems.to_string());
                anyhow::Ok(QueueFacts { name, config, dead_letters })
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let own = dead_letters::count_of_url(&sqs, tables.stack.output(Output::DeadLettersUrl)?).await?;
    if own > 0 {
        let why = "invocations that failed: load the folders of bulk requests among them (runbook, Dead letters); the sweep has done the \
                   work of all others, so then purge it (SQS console)";
        let config = Err(why.to_owned());
        queues.push(QueueFacts { name: Output::DeadLettersUrl.name().to_owned(), config, dead_letters: Some(own) });
    }
    queues.extend(silent_sweep(tables).await?);
    if let Some(url) = tables.stack.shared_dead_letters() {
        let shared = dead_letters::count_of_url(&sqs, url).await?;
        if shared > 0 {
            let why = "messages that queues gave up: look for `refused` in cargo xtask logs, remove the cause, then cargo xtask redrive \
                       with any of the queues";
            let (name, config) = (SHARED_DEAD_LETTERS_OUTPUT.to_owned(), Err(why.to_owned()));
            queues.push(QueueFacts { name, config, dead_letters: Some(shared) });
        }
    }
    Ok(queues)
}

/// The sweep, if none has completed for a while. Right after a deployment, it has not had its minute yet.
async fn silent_sweep(tables: &Tables) -> Result<Option<QueueFacts>> {
    let since = now_millis() - SILENCE_MILLIS;
    let stack = &tables.stack;
    if stack.changed_millis > since || logs::has_swept(&tables.aws.logs(), &stack.name, since).await? {
        return Ok(None);
    }
    let why = "no sweep has completed for two minutes, so lost events are not made up for: is NextLoader's rule enabled, and what \
               does its log say? Deploying again enables the rule (runbook, Sweep)";
    let name = LogicalId::Sweep.name().to_owned();
    Ok(Some(QueueFacts { name, config: Err(why.to_owned()), dead_letters: None }))
}
