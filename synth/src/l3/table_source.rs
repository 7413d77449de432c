//! One table's source: its queue and dead-letter queue, the event source mapping, and the permissions that its configuration needs.

use loader_core::copy_options::Naming;
use loader_core::drift::is_compared;
use loader_core::ids::DbTable;
use loader_core::limits;

use crate::l2::{BatchProps, Function, Queue, QueueProps, Role, SharedPolicy, SourceBucket, Warehouse};
use crate::l3::shared::Shared;
use crate::names::{Parameter, queue_url_output};
use crate::props::{LoaderProps, QueueSource};
use crate::queue_name::{check_queue_name, dead_letters_name};
use crate::scope::Scope;
use crate::value::Value;

/// What the sources of all tables have in common.
#[derive(Clone, Copy)]
pub(super) struct TableSourceProps<'a> {
    /// The loader's props.
    pub(super) props: &'a LoaderProps,
    /// The function that is invoked with the queue's messages.
    pub(super) function: &'a Function,
    /// The functions' execution role.
    pub(super) role: &'a Role,
    /// The policy that the dead-letter queues share.
    pub(super) dead_letters_policy: &'a SharedPolicy,
    /// What the queues of a large stack share.
    pub(super) shared: Option<&'a Shared>,
}

/// The source of one table.
pub(super) struct TableSource {
    name: String,
    table: DbTable,
    /// Name of the queue that feeds the table: its own, or another table's.
    fed_by: String,
    /// The table's own queue; `None` if another table's queue feeds it.
    queue: Option<Queue>,
    /// The queue's own dead-letter queue; `None` if it shares one.
    dead_letters: Option<Queue>,
    /// Whether it names a warehouse's file.
    is_paced: bool,
}

impl TableSource {
    /// Adds the queue of `source`, connects it to the function, and grants the role what the configuration needs.
    pub(super) fn new(scope: &Scope, source: &QueueSource, with: &TableSourceProps<'_>) -> Self {
        let (queue, dead_letters) = match source.config.fed_by {
            Some(_) => (None, None),
            None => queues(scope, source, with),
        };
        grant_files(scope, source, queue.as_ref(), with);
        let target = &source.config.target;
        if let Err(problems) = source.config.check_addresses() {
            problems.0.iter().for_each(|problem| scope.problem(problem.to_string()));
        }
        let warehouse = Warehouse::new(scope, &target.warehouse);
        warehouse.grant_execute(scope, with.role, &target.database, &source.config.login);
        let fed_by = source.config.fed_by.clone().unwrap_or_else(|| source.name.clone());
        let (name, table) = (source.name.clone(), source.config.db_table());
        Self { name, table, fed_by, queue, dead_letters, is_paced: source.config.pace.is_some() }
    }

    /// Name of the queue, without the stack's prefix.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The table that is loaded.
    pub(super) fn table(&self) -> &DbTable {
        &self.table
    }

    /// Name of the queue that feeds the table, without the stack's prefix.
    pub(super) fn fed_by(&self) -> &str {
        &self.fed_by
    }

    /// Whether it names a warehouse's file.
    pub(super) const fn is_paced(&self) -> bool {
        self.is_paced
    }

    /// The queue's own dead-letter queue; `None` if it shares one.
    pub(super) fn dead_letters(&self) -> Option<&Queue> {
        self.dead_letters.as_ref()
    }

    pub(super) fn add_outputs(&self, scope: &Scope) {
        if let Some(queue) = &self.queue {
            scope.add_output(queue_url_output(queue.logical_id()), "", queue.url());
        }
    }
}

/// Adds a queue that invokes the function, and its dead-letter queue unless the queues share one.
fn queues(scope: &Scope, source: &QueueSource, with: &TableSourceProps<'_>) -> (Option<Queue>, Option<Queue>) {
    let dead_letters = with.shared.is_none().then(|| {
        Queue::new(
            &scope.child("Dlq"),
            &QueueProps {
                name: Some(named(&dead_letters_name(&source.name))),
                shared_policy: Some(with.dead_letters_policy),
                ..QueueProps::default()
            },
        )
    });
    let given_up = dead_letters.as_ref().or(with.shared.map(|shared| &shared.dead_letters));
    let queue = Queue::new(
        &scope.child("Queue"),
        &QueueProps {
            name: Some(named(&source.name)),
            visibility_timeout_seconds: Some(limits::SQS_VISIBILITY_TIMEOUT_SECONDS_MIN),
            dead_letters: given_up.map(|dead_letters| (dead_letters, with.props.max_receive_count)),
            shared_policy: with.shared.map(|shared| shared.policy(&source.name)),
        },
    );
    queue.keep_policy();
    let batch = BatchProps {
        batch_size: limits::SQS_BATCH_SIZE,
        window_seconds: limits::SQS_BATCHING_WINDOW_SECONDS,
        maximum_concurrency: with.props.maximum_concurrency,
    };
    with.function.add_event_source(&scope.child("Mapping"), &queue, &batch);
    (Some(queue), dead_letters)
}

/// The name of a queue, with the stack's prefix.
fn named(name: &str) -> Value {
    Value::sub(format!("${{{}}}{name}", Parameter::QueueNamePrefix.name()))
}

/// Lets S3 send notifications about the folder to the queue, and the role read the folder's files, the JSONPaths file that they are
/// compared by, and the inventories of their bucket.
fn grant_files(scope: &Scope, source: &QueueSource, queue: Option<&Queue>, with: &TableSourceProps<'_>) {
    let Some(folder) = &source.config.source else {
        scope.note(
            "names no `source`: nobody may send to its queue and the functions may read no files; \
             add `\"source\": \"s3://bucket/folder/\"`, or grant both by hand",
        );
        return;
    };
    let bucket = SourceBucket::from_name(&folder.bucket);
    bucket.grant_read(with.role, &folder.prefix);
    if let Some(Naming::Paths(paths)) = source.config.options.naming().filter(|_| is_compared(&source.config)) {
        SourceBucket::from_name(&paths.bucket).grant_read_object(with.role, &paths.key);
    }
    if let Some(lists) = &source.config.inventory {
        SourceBucket::from_name(&lists.bucket).grant_read(with.role, &lists.prefix);
    }
    match (queue, with.shared) {
        (None, _) => {}
        (Some(_), Some(shared)) => shared.policy(&source.name).grant_send_to_bucket(&bucket),
        (Some(queue), None) => queue.grant_send_to_bucket(&bucket),
    }
}

/// Records a problem for every name that SQS would refuse or that occurs twice.
pub(super) fn check_names(scope: &Scope, queues: &[QueueSource]) {
    for (index, QueueSource { name, .. }) in queues.iter().enumerate() {
        let scope = scope.child_named(name);
        if let Err(problem) = check_queue_name(name) {
            scope.problem(problem);
        }
        if queues[..index].iter().any(|other| other.name == *name) {
            scope.problem(format!("queue `{name}` exists twice: give each table its own"));
        }
        if queues.iter().any(|other| dead_letters_name(&other.name) == *name) {
            scope.problem(format!("`{name}` is the name of another queue's dead-letter queue: give it another"));
        }
    }
}
