//! The three functions, which differ only in name, timeout and trigger.

use loader_core::contract::{self, Function as Name};

use crate::l2::{AsyncProps, Bucket, Function, FunctionProps, LogGroup, Queue, Role, Table};
use crate::l3::parameters::Parameters;
use crate::names::{LogicalId, Parameter, function_name, log_group_name};
use crate::props::LoaderProps;
use crate::scope::Scope;
use crate::value::Value;

/// The inputs of the functions.
pub(super) struct FunctionsProps<'a> {
    pub(super) props: &'a LoaderProps,
    pub(super) parameters: &'a Parameters,
    pub(super) role: &'a Role,
    pub(super) bucket: &'a Bucket,
    pub(super) tracker: &'a Table,
    pub(super) dead_letters: &'a Queue,
}

/// The three functions.
pub(super) struct Functions {
    pub(super) microbatch: Function,
    pub(super) next: Function,
    pub(super) bulk: Function,
}

impl Functions {
    pub(super) fn new(scope: &Scope, with: &FunctionsProps<'_>) -> Self {
        let [microbatch, next, bulk] = Name::ALL.map(|name| function(scope, name, with));
        Self { microbatch, next, bulk }
    }

    pub(super) fn all(&self) -> [(Name, &Function); 3] {
        [(Name::MicrobatchLoader, &self.microbatch), (Name::NextLoader, &self.next), (Name::BulkLoader, &self.bulk)]
    }
}

fn function(scope: &Scope, name: Name, with: &FunctionsProps<'_>) -> Function {
    let scope = scope.child(LogicalId::Function(name).name());
    let log_group_name = Value::sub(log_group_name("${AWS::StackName}", name));
    let log_group = LogGroup::new(&scope.child("Logs"), log_group_name, with.props.log_retention_days);
    let function = Function::new(
        &scope,
        FunctionProps {
            name: Value::sub(function_name("${AWS::StackName}", name)),
            description: description(name),
            code: (with.parameters.assets_bucket.clone(), reference(Parameter::CodeKey(name))),
            architecture: with.props.architecture,
            memory_mb: with.props.memory_mb,
            timeout_seconds: name.timeout_seconds(),
            environment: environment(with),
            role: with.role,
            log_group: &log_group,
        },
    );
    // Retries are safe: load ids are derived from the objects, so a repeated invocation loads nothing twice.
    let age_seconds_max = 3600;
    function.configure_async(&AsyncProps { retries: 2, age_seconds_max, on_failure: with.dead_letters });
    function
}

const fn description(name: Name) -> &'static str {
    match name {
        Name::MicrobatchLoader => "Records the files that SQS messages name, and starts loads",
        Name::NextLoader => "Settles loads whose statement has ended and starts the next; sweeps every minute",
        Name::BulkLoader => "Records the files of whole folders on request, and starts loads",
    }
}

fn environment(with: &FunctionsProps<'_>) -> Vec<(&'static str, Value)> {
    let bucket = with.bucket.name();
    vec![
        (contract::CONFIG_BUCKET, bucket.clone()),
        (contract::CONFIG_PREFIX, contract::CONFIG_PREFIX_DEFAULT.into()),
        (contract::DDB_TRACKER, with.tracker.name()),
        // The loader does not use these two, but users have them in their scripts.
        (contract::PENDING_BUCKET, bucket.clone()),
        (contract::PENDING_PREFIX, contract::PENDING_PREFIX_DEFAULT.into()),
        (contract::MANIFEST_BUCKET, bucket),
        (contract::MANIFEST_PREFIX, contract::MANIFEST_PREFIX_DEFAULT.into()),
        (contract::STATEMENT_NAME_PREFIX, reference(Parameter::StatementNamePrefix)),
        (contract::STACK_NAME, Value::Ref("AWS::StackName".to_owned())),
    ]
}

fn reference(parameter: Parameter) -> Value {
    Value::Ref(parameter.name().to_owned())
}
