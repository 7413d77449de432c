//! Layer 1: `CloudFormation`'s resources, one to one, under `CloudFormation`'s own names. Values are not checked.
//!
//! Layer 2 is built from these; use layer 2 where it has what you need. Set a property that is missing here with `Resource::set`.

use crate::scope::{Resource, Scope};
use crate::value::Value;

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident, $props:ident, $kind:literal { $($property:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        pub struct $name;

        #[doc = concat!("Properties of `", $kind, "`, under `CloudFormation`'s names; those that are `None` are omitted.")]
        #[allow(non_snake_case)]
        #[derive(Clone, Debug, Default)]
        pub struct $props {
            $(
                #[doc = concat!("`", stringify!($property), "` of `", $kind, "`.")]
                pub $property: Option<Value>,
            )*
        }

        impl $name {
            /// `CloudFormation`'s type name.
            pub const TYPE: &'static str = $kind;

            /// Adds the resource at `scope`.
            #[allow(clippy::new_ret_no_self)]
            pub fn new(scope: &Scope, props: $props) -> Resource {
                let properties = [$((stringify!($property), props.$property)),*];
                let given = properties.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
                scope.add_resource(Self::TYPE, given.collect())
            }
        }
    )*};
}

resources! {
    /// An SQS queue (Template reference, `aws-resource-sqs-queue`).
    CfnQueue, CfnQueueProps, "AWS::SQS::Queue" {
        QueueName, MessageRetentionPeriod, VisibilityTimeout, SqsManagedSseEnabled, RedrivePolicy,
    }
    /// The access policy of SQS queues (Template reference, `aws-resource-sqs-queuepolicy`).
    CfnQueuePolicy, CfnQueuePolicyProps, "AWS::SQS::QueuePolicy" { Queues, PolicyDocument }
    /// A `DynamoDB` table (Template reference, `aws-resource-dynamodb-table`).
    CfnTable, CfnTableProps, "AWS::DynamoDB::Table" {
        BillingMode, AttributeDefinitions, KeySchema, GlobalSecondaryIndexes, TimeToLiveSpecification,
        PointInTimeRecoverySpecification, SSESpecification, StreamSpecification,
    }
    /// An S3 bucket (Template reference, `aws-resource-s3-bucket`).
    CfnBucket, CfnBucketProps, "AWS::S3::Bucket" {
        BucketEncryption, PublicAccessBlockConfiguration, OwnershipControls, VersioningConfiguration, LifecycleConfiguration,
    }
    /// The policy of an S3 bucket (Template reference, `aws-resource-s3-bucketpolicy`).
    CfnBucketPolicy, CfnBucketPolicyProps, "AWS::S3::BucketPolicy" { Bucket, PolicyDocument }
    /// A Lambda function (Template reference, `aws-resource-lambda-function`).
    CfnFunction, CfnFunctionProps, "AWS::Lambda::Function" {
        FunctionName, Description, Runtime, Architectures, Handler, Code, Role, MemorySize, Timeout, LoggingConfig, Environment,
    }
    /// How often a function's asynchronous invocations are retried, and where failed ones go (Template reference, `aws-resource-lambda-eventinvokeconfig`).
    CfnEventInvokeConfig, CfnEventInvokeConfigProps, "AWS::Lambda::EventInvokeConfig" {
        FunctionName, Qualifier, MaximumRetryAttempts, MaximumEventAgeInSeconds, DestinationConfig,
    }
    /// Invokes a function with the messages of a queue (Template reference, `aws-resource-lambda-eventsourcemapping`).
    CfnEventSourceMapping, CfnEventSourceMappingProps, "AWS::Lambda::EventSourceMapping" {
        FunctionName, EventSourceArn, BatchSize, MaximumBatchingWindowInSeconds, ScalingConfig, FunctionResponseTypes,
    }
    /// Lets a service invoke a function (Template reference, `aws-resource-lambda-permission`).
    CfnPermission, CfnPermissionProps, "AWS::Lambda::Permission" { Action, FunctionName, Principal, SourceArn }
    /// A log group (Template reference, `aws-resource-logs-loggroup`).
    CfnLogGroup, CfnLogGroupProps, "AWS::Logs::LogGroup" { LogGroupName, RetentionInDays }
    /// A role (Template reference, `aws-resource-iam-role`).
    CfnRole, CfnRoleProps, "AWS::IAM::Role" { Description, AssumeRolePolicyDocument, ManagedPolicyArns, Policies }
    /// A policy that can be attached to roles (Template reference, `aws-resource-iam-managedpolicy`).
    CfnManagedPolicy, CfnManagedPolicyProps, "AWS::IAM::ManagedPolicy" { Description, PolicyDocument }
    /// An `EventBridge` rule (Template reference, `aws-resource-events-rule`).
    CfnRule, CfnRuleProps, "AWS::Events::Rule" { Description, EventPattern, ScheduleExpression, State, Targets }
    /// An `EventBridge` pipe (Template reference, `aws-resource-pipes-pipe`).
    CfnPipe, CfnPipeProps, "AWS::Pipes::Pipe" {
        Description, RoleArn, Source, SourceParameters, Target, TargetParameters, DesiredState,
    }
    /// A group of schedules (Template reference, `aws-resource-scheduler-schedulegroup`).
    CfnScheduleGroup, CfnScheduleGroupProps, "AWS::Scheduler::ScheduleGroup" { Name }
    /// When `EventBridge` Scheduler invokes its target (Template reference, `aws-resource-scheduler-schedule`).
    CfnSchedule, CfnScheduleProps, "AWS::Scheduler::Schedule" {
        Description, GroupName, ScheduleExpression, ScheduleExpressionTimezone, FlexibleTimeWindow, State, Target,
    }
    /// A `CloudWatch` alarm (Template reference, `aws-resource-cloudwatch-alarm`).
    CfnAlarm, CfnAlarmProps, "AWS::CloudWatch::Alarm" {
        AlarmDescription, Namespace, MetricName, Dimensions, Statistic, Period, EvaluationPeriods, Threshold,
        ComparisonOperator, TreatMissingData, AlarmActions,
    }
    /// A `CloudWatch` dashboard (Template reference, `aws-resource-cloudwatch-dashboard`).
    CfnDashboard, CfnDashboardProps, "AWS::CloudWatch::Dashboard" { DashboardName, DashboardBody }
}
