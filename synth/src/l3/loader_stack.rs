//! The loader's stack: tracker, bucket, role, three functions, two rules, dead-letter queue, alarms, dashboard, and the source of each table.

use loader_core::contract;
use loader_core::problem::Problems;

use crate::l2::{
    Bucket, BucketProps, DataApi, Index, Queue, QueueProps, RetryProps, Role, Rule, RuleProps, RuleTarget,
    SharedPolicy, Table, TableProps, Trigger,
};
use crate::l3::alarms::{self, AlarmsProps};
use crate::l3::dashboard;
use crate::l3::events;
use crate::l3::functions::{Functions, FunctionsProps};
use crate::l3::parameters::Parameters;
use crate::l3::schedules;
use crate::l3::shared::Shared;
use crate::l3::table_source::{TableSource, TableSourceProps, check_names};
use crate::limits::OUTPUTS_MAX;
use crate::names::{LogicalId, Output, Parameter, SHARED_DEAD_LETTERS_OUTPUT};
use crate::props::LoaderProps;
use crate::scope::{Scope, Stack};
use crate::template::Template;
use crate::value::Value;

/// Days that an overwritten or deleted version of an object in the loader's bucket is kept.
const OLD_VERSIONS_DAYS: u32 = 30;

/// Builds the template of the whole stack, or returns all problems, each with the path of its construct.
pub fn loader_template(props: &LoaderProps) -> Result<Template, Problems> {
    let stack = Stack::new("Loader");
    LoaderStack::build(stack.scope(), props);
    stack.synth("Loads files from S3 into Redshift tables: each at most once, one load per table at a time.")
}

/// The parts of the stack that alarms and outputs refer to.
struct LoaderStack {
    tracker: Table,
    bucket: Bucket,
    role: Role,
    dead_letters: Queue,
    functions: Functions,
    shared: Option<Shared>,
    sources: Vec<TableSource>,
}

impl LoaderStack {
    fn build(scope: &Scope, props: &LoaderProps) {
        let parameters = Parameters::new(scope, props);
        let dead_letters = Queue::new(&scope.child(LogicalId::DeadLetters.name()), &QueueProps::default());
        let tracker = tracker(scope, props);
        let bucket = bucket(scope, props);
        let role = role(scope, &tracker, &bucket);
        if props.queues.iter().any(|queue| queue.config.limits.timeout_minutes.is_some()) {
            DataApi::grant_cancel_statements(&role);
        }
        let functions = Functions::new(
            scope,
            &FunctionsProps {
                props,
                parameters: &parameters,
                role: &role,
                bucket: &bucket,
                tracker: &tracker,
                dead_letters: &dead_letters,
            },
        );
        rules(scope, &functions, &dead_letters);
        if props.events {
            events::add(scope, &tracker, &dead_letters);
        }
        schedules::add(scope, props, &functions.bulk, &dead_letters);
        role.begin_queues();
        let dead_letters_policy = SharedPolicy::new(&scope.child("DlqTlsOnly"));
        let n_queues = props.queues.iter().filter(|queue| queue.config.fed_by.is_none()).count();
        let shared = Shared::new(scope, n_queues, &dead_letters_policy);
        let with = TableSourceProps {
            props,
            function: &functions.microbatch,
            role: &role,
            dead_letters_policy: &dead_letters_policy,
            shared: shared.as_ref(),
        };
        let sources = sources(scope, &with);
        role.fit();
        shared.iter().for_each(Shared::finish);
        let stack = Self { tracker, bucket, role, dead_letters, functions, shared, sources };
        stack.add_alarms(scope, props, &parameters.alarm_actions);
        dashboard::add(scope, stack.shared.as_ref(), &stack.sources);
        stack.add_outputs(scope, props);
    }

    fn add_alarms(&self, scope: &Scope, props: &LoaderProps, actions: &Value) {
        let Self { functions, dead_letters, sources, .. } = self;
        let shared = self.shared.as_ref();
        alarms::add(scope, &AlarmsProps { props, actions, functions, dead_letters, shared, sources });
    }

    fn add_outputs(&self, scope: &Scope, props: &LoaderProps) {
        let text = "Bucket of configuration files and manifests";
        scope.add_output(Output::LoaderBucketName.name(), text, self.bucket.name());
        let text = "DynamoDB table of waiting, running and finished loads";
        scope.add_output(Output::TrackerTableName.name(), text, self.tracker.name());
        scope.add_output(Output::LoaderRoleArn.name(), "Role of the functions", self.role.arn());
        for (function, handle) in self.functions.all() {
            scope.add_output(Output::FunctionName(function).name(), "", handle.name());
            scope.add_output(Output::FunctionArn(function).name(), "", handle.arn());
        }
        let text = "Dead-letter queue of failed invocations and undelivered events";
        scope.add_output(Output::DeadLettersUrl.name(), text, self.dead_letters.url());
        if let Some(shared) = &self.shared {
            let text = "Dead-letter queue that all tables' queues share";
            scope.add_output(SHARED_DEAD_LETTERS_OUTPUT, text, shared.dead_letters.url());
        }
        let n_queues = self.sources.iter().filter(|source| source.fed_by() == source.name()).count();
        let n_own = Output::ALL.len() + usize::from(self.shared.is_some()) + usize::from(props.events);
        if n_own + n_queues > OUTPUTS_MAX {
            scope.note(format!(
                "more queues than the {OUTPUTS_MAX} outputs of a stack: there is no output with a queue's URL, ask SQS for it by the queue's name"
            ));
            return;
        }
        for source in &self.sources {
            source.add_outputs(scope);
        }
    }
}

fn tracker(scope: &Scope, props: &LoaderProps) -> Table {
    Table::new(
        &scope.child(LogicalId::Tracker.name()),
        &TableProps {
            partition_key: contract::TRACKER_PARTITION_KEY,
            sort_key: contract::TRACKER_SORT_KEY,
            ttl_attribute: contract::TTL_ATTRIBUTE,
            index: Some(Index { name: contract::WORK_INDEX, partition_key: contract::WORK_ATTRIBUTE }),
            has_stream: props.events,
        },
    )
}

fn bucket(scope: &Scope, props: &LoaderProps) -> Bucket {
    let expiring = vec![(contract::MANIFEST_PREFIX_DEFAULT, props.manifest_days)];
    Bucket::new(
        &scope.child(LogicalId::LoaderBucket.name()),
        &BucketProps { expiring, old_versions_days: OLD_VERSIONS_DAYS },
    )
}

/// Adds one role for all three functions, because the Data API shows a statement only to the role that submitted it (Redshift management
/// guide, "Data API").
fn role(scope: &Scope, tracker: &Table, bucket: &Bucket) -> Role {
    let role = Role::new(
        &scope.child(LogicalId::LoaderRole.name()),
        "Execution role of the loader's three functions",
        "lambda.amazonaws.com",
    );
    tracker.grant_read_write(&role);
    tracker.grant_scan_index(&role);
    bucket.grant_list(&role);
    bucket.grant_read(&role, contract::CONFIG_PREFIX_DEFAULT);
    bucket.grant_read_write(&role, contract::MANIFEST_PREFIX_DEFAULT);
    DataApi::grant_inspect_statements(&role);
    role
}

fn rules(scope: &Scope, functions: &Functions, dead_letters: &Queue) {
    let prefix = Value::sub(format!("${{{}}}/", Parameter::StatementNamePrefix.name()));
    let detail = Value::map([
        ("state", Value::list(contract::STATEMENT_STATES_ENDED)),
        ("statementName", Value::list([Value::map([("prefix", prefix)])])),
    ]);
    let pattern = Value::map([
        ("source", Value::list([contract::STATEMENT_EVENT_SOURCE])),
        ("detail-type", Value::list([contract::STATEMENT_EVENT_DETAIL_TYPE])),
        ("detail", detail),
    ]);
    Rule::new(
        &scope.child(LogicalId::StatementEnded.name()),
        RuleProps {
            description: "When a statement of the loader ends: settles its load and starts the next",
            trigger: Trigger::Event(pattern),
            // The event is only a hint, and the sweep finds the statement too, so retrying for an hour is enough.
            target: RuleTarget {
                function: &functions.next,
                input: None,
                retries: RetryProps { retries_max: 10, age_seconds_max: 3600 },
                dead_letters,
            },
        },
    );
    let input = serde_json::json!({ contract::SWEEP_FIELD: true }).to_string();
    Rule::new(
        &scope.child(LogicalId::Sweep.name()),
        RuleProps {
            description: "Every minute: reconciles every table that has work, even if an event was lost",
            trigger: Trigger::Schedule(contract::SWEEP_SCHEDULE),
            // The next sweep starts in a minute, so a retry gains nothing.
            target: RuleTarget {
                function: &functions.next,
                input: Some(input),
                retries: RetryProps { retries_max: 0, age_seconds_max: 60 },
                dead_letters,
            },
        },
    );
}

fn sources(scope: &Scope, with: &TableSourceProps<'_>) -> Vec<TableSource> {
    let scope = scope.child_root("queues");
    check_names(&scope, &with.props.queues);
    let mut queues: Vec<_> = with.props.queues.iter().collect();
    queues.sort_by(|a, b| a.name.cmp(&b.name));
    queues.dedup_by(|a, b| a.name == b.name);
    queues.into_iter().map(|queue| TableSource::new(&scope.child_named(&queue.name), queue, with)).collect()
}
