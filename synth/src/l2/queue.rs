//! A queue: encrypted, TLS only, with a dead-letter queue where messages are consumed.

use std::cell::RefCell;
use std::rc::Rc;

use crate::l1::{CfnQueue, CfnQueuePolicy, CfnQueuePolicyProps, CfnQueueProps};
use crate::l2::role::Role;
use crate::l2::source_bucket::SourceBucket;
use crate::policy::{PolicyDocument, Statement, one_or_list};
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// Longest retention of a message, in seconds: 14 days (SQS, quotas).
pub const RETENTION_SECONDS_MAX: u32 = 14 * 24 * 3600;
/// Longest visibility timeout in seconds: 12 hours (SQS, quotas).
pub const VISIBILITY_TIMEOUT_SECONDS_MAX: u32 = 12 * 3600;
/// Fewest receives before a message goes to the dead-letter queue: with fewer, throttling alone would send messages there (Lambda developer guide, "Using Lambda with Amazon SQS").
pub const MAX_RECEIVE_COUNT_MIN: u32 = 5;
/// Most receives before a message goes to the dead-letter queue (SQS, `SetQueueAttributes`).
pub const MAX_RECEIVE_COUNT_MAX: u32 = 1000;
/// Bytes of a queue's policy (SQS developer guide, "Using custom policies").
pub const POLICY_BYTES_MAX: usize = 8_192;

/// Name, timeout and dead letters of a queue.
#[derive(Default)]
pub struct QueueProps<'a> {
    /// Physical name; default: `CloudFormation` makes one.
    pub name: Option<Value>,
    /// Seconds that a received message is hidden, 0 to 43,200; default 30. Too short and a message is delivered while it is worked on.
    pub visibility_timeout_seconds: Option<u32>,
    /// Where messages go that were received too often, and after how many receives (5 to 1,000); default: nowhere.
    pub dead_letters: Option<(&'a Queue, u32)>,
    /// The policy that it shares with others; default: its own.
    pub shared_policy: Option<&'a SharedPolicy>,
}

/// An SQS queue with its policy. Messages are kept for 14 days.
#[derive(Clone)]
pub struct Queue {
    resource: Resource,
    /// Its own policy; `None` when it shares one.
    policy: Option<(Resource, Rc<RefCell<PolicyDocument>>)>,
}

impl Queue {
    /// A queue that nobody but this account may use, and that only over TLS.
    pub fn new(scope: &Scope, props: &QueueProps<'_>) -> Self {
        check(scope, props);
        let resource = CfnQueue::new(
            scope,
            CfnQueueProps {
                QueueName: props.name.clone(),
                MessageRetentionPeriod: Some(RETENTION_SECONDS_MAX.into()),
                VisibilityTimeout: props.visibility_timeout_seconds.map(Into::into),
                // SSE-SQS: S3 and EventBridge can write to it without a key policy of their own.
                SqsManagedSseEnabled: Some(true.into()),
                RedrivePolicy: props.dead_letters.map(|(queue, count)| {
                    Value::map([("deadLetterTargetArn", queue.arn()), ("maxReceiveCount", count.into())])
                }),
            },
        );
        if let Some(shared) = props.shared_policy {
            shared.add(&resource);
            return Self { resource, policy: None };
        }
        let policy = policy_of(&scope.child("Policy"), [resource.reference()]);
        let queue = Self { resource, policy: Some((policy, Rc::default())) };
        queue.state(everything_over_tls());
        queue
    }

    /// Lets a role receive and delete messages: what an event source mapping needs (Lambda developer guide, "Execution role permissions").
    pub fn grant_consume_messages(&self, role: &Role) {
        let actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
        role.permit(Statement::allow(&actions, [self.arn()]));
    }

    /// Lets a role send messages, as the on-failure destination of a function's invocations needs it (Lambda developer guide, "Destinations").
    pub fn grant_send_messages(&self, role: &Role) {
        role.permit(Statement::allow(&["sqs:SendMessage"], [self.arn()]));
    }

    /// Lets `EventBridge` send messages on behalf of one rule (`EventBridge` user guide, "Using dead-letter queues"). A rule's ARN holds its
    /// account.
    pub fn grant_send_to_rule(&self, rule_arn: Value) {
        self.state(self.allow_service("events.amazonaws.com", rule_arn));
    }

    /// Lets S3 send messages on behalf of one bucket.
    pub fn grant_send_to_bucket(&self, bucket: &SourceBucket) {
        self.state(allow_buckets(self.arn(), bucket.arn()));
    }

    /// Keeps what the queue's policy says when its resource goes while the queue stays: another policy has taken the queue over by then,
    /// and the removal of this one would take that away (Template reference, `aws-resource-sqs-queuepolicy`: the last one that is put holds).
    pub fn keep_policy(&self) {
        if let Some((policy, _)) = &self.policy {
            policy.retain();
        }
    }

    fn allow_service(&self, service: &str, source: Value) -> Statement {
        let statement = Statement::allow(&["sqs:SendMessage"], [self.arn()]).to_service(service);
        statement.only_if("ArnEquals", "aws:SourceArn", source)
    }

    fn state(&self, statement: Statement) {
        let Some((resource, document)) = &self.policy else {
            self.resource.scope().problem(
                "shares its policy with other queues: give it its own, or grant it to all queues of the policy",
            );
            return;
        };
        document.borrow_mut().add(statement);
        resource.set("PolicyDocument", document.borrow().to_value());
    }

    /// ARN, for mappings, redrive policies and destinations.
    pub fn arn(&self) -> Value {
        self.resource.arn()
    }

    /// Physical name, with the stack's prefix: the dimension of its metrics.
    pub fn name(&self) -> Value {
        self.resource.attribute("QueueName")
    }

    /// URL, by which SQS's API identifies a queue.
    pub fn url(&self) -> Value {
        self.resource.reference()
    }

    /// Logical id, from which the name of the queue's output is made.
    pub fn logical_id(&self) -> &str {
        self.resource.logical_id()
    }
}

/// One policy for several queues: everything comes over TLS, and from this account unless the policy lets S3 send for some buckets.
pub struct SharedPolicy {
    scope: Scope,
    queues: RefCell<Vec<Value>>,
    buckets: RefCell<Vec<Value>>,
    resource: RefCell<Option<Resource>>,
}

impl SharedPolicy {
    /// A policy without queues: it appears in the template with the first.
    pub fn new(scope: &Scope) -> Self {
        let (queues, buckets, resource) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { scope: scope.clone(), queues, buckets, resource }
    }

    /// Lets S3 send messages to **each** of its queues on behalf of one bucket.
    pub fn grant_send_to_bucket(&self, bucket: &SourceBucket) {
        let mut buckets = self.buckets.borrow_mut();
        if !buckets.contains(&bucket.arn()) {
            buckets.push(bucket.arn());
        }
        drop(buckets);
        self.state();
    }

    /// As [`Queue::keep_policy`].
    pub fn keep(&self) {
        if let Some(resource) = &*self.resource.borrow() {
            resource.retain();
        }
    }

    /// Notes a problem when the policy is longer than SQS takes. Called when all grants are made.
    pub fn check_size(&self) {
        let bytes = self.scope.characters(&self.document(), 0);
        if bytes > POLICY_BYTES_MAX {
            self.scope.problem(format!(
                "the policy that queues share takes `{bytes}` bytes, SQS takes {POLICY_BYTES_MAX}: let queues share buckets, or deploy two stacks"
            ));
        }
    }

    fn add(&self, queue: &Resource) {
        self.queues.borrow_mut().push(queue.reference());
        let resource = self.resource.borrow_mut().get_or_insert_with(|| policy_of(&self.scope, [])).clone();
        resource.set("Queues", Value::List(self.queues.borrow().clone()));
        self.state();
    }

    fn state(&self) {
        if let Some(resource) = &*self.resource.borrow() {
            resource.set("PolicyDocument", self.document());
        }
    }

    fn document(&self) -> Value {
        let buckets = self.buckets.borrow();
        let sent = (!buckets.is_empty()).then(|| allow_buckets("*".into(), one_or_list(buckets.clone())));
        [everything_over_tls()].into_iter().chain(sent).collect::<PolicyDocument>().to_value()
    }
}

/// As long as the bucket belongs to this account: a bucket's ARN holds none, and its name is free again once it is deleted (S3 user guide,
/// "Granting permissions to publish event notification messages").
fn allow_buckets(queue: Value, buckets: Value) -> Statement {
    Statement::allow(&["sqs:SendMessage"], [queue])
        .to_service("s3.amazonaws.com")
        .only_if("ArnEquals", "aws:SourceArn", buckets)
        .only_if("StringEquals", "aws:SourceAccount", Value::Ref("AWS::AccountId".into()))
}

/// In the policy of a queue `*` is the queue itself, and this statement forbids only: naming the queue would say no more.
fn everything_over_tls() -> Statement {
    Statement::deny_without_tls("sqs:*", ["*".into()])
}

fn policy_of<const N: usize>(scope: &Scope, queues: [Value; N]) -> Resource {
    let queues = Some(Value::list(queues));
    CfnQueuePolicy::new(scope, CfnQueuePolicyProps { Queues: queues, ..CfnQueuePolicyProps::default() })
}

fn check(scope: &Scope, props: &QueueProps<'_>) {
    if let Some(seconds) = props.visibility_timeout_seconds.filter(|s| *s > VISIBILITY_TIMEOUT_SECONDS_MAX) {
        scope.problem(format!("visibility timeout `{seconds}` s: at most {VISIBILITY_TIMEOUT_SECONDS_MAX} s"));
    }
    let counts = MAX_RECEIVE_COUNT_MIN..=MAX_RECEIVE_COUNT_MAX;
    if let Some((_, count)) = props.dead_letters.filter(|(_, count)| !counts.contains(count)) {
        scope.problem(format!(
            "max receive count `{count}`: give {MAX_RECEIVE_COUNT_MIN} to {MAX_RECEIVE_COUNT_MAX}; fewer sends messages to the dead-letter queue that were only throttled"
        ));
    }
}
