//! What a platform team asks for: least privilege, nothing public, and everything encrypted, retained and monitored.

mod common;

use std::collections::BTreeSet;

use common::assertions::{Assertions, list};
use common::{assertions, queue_with, ten_queues, two_queues};
use loader_core::contract::Function;
use serde_json::{Value as Json, json};

/// The actions for which the service has no resources (service authorization reference, "Redshift Data API").
const WITHOUT_RESOURCES: [&str; 3] =
    ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:ListStatements"];

/// Every action that the execution role has. To add one, justify it in docs/security.md.
const ACTIONS: [&str; 26] = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "redshift-data:BatchExecuteStatement",
    "redshift-data:DescribeStatement",
    "redshift-data:ExecuteStatement",
    "redshift-data:GetStatementResult",
    "redshift-data:ListStatements",
    "redshift-serverless:GetCredentials",
    "redshift:GetClusterCredentials",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:PutObject",
    "secretsmanager:GetSecretValue",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
];

fn everything() -> Assertions {
    assertions(ten_queues().into_iter().chain(two_queues()).collect())
}

#[test]
fn the_role_allows_exactly_the_listed_actions() {
    let found: BTreeSet<String> = everything().permissions().into_iter().map(|permission| permission.action).collect();
    let expected: BTreeSet<String> = ACTIONS.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_security_page_explains_every_permission() {
    let page = include_str!("../../docs/security.md");
    for action in ACTIONS {
        let name = action.split(':').next_back().unwrap();
        assert!(page.contains(name), "docs/security.md does not explain `{action}`");
    }
}

#[test]
fn no_action_is_a_wildcard() {
    for permission in everything().permissions() {
        assert!(!permission.action.contains('*'), "{permission:?}");
    }
}

#[test]
fn only_actions_without_resources_are_allowed_on_all_resources() {
    for permission in everything().permissions() {
        let expected = WITHOUT_RESOURCES.contains(&permission.action.as_str());
        assert_eq!(permission.resource == json!("*"), expected, "{permission:?}");
    }
}

#[test]
fn a_wildcard_is_only_at_the_end_of_a_folder_or_for_workgroups() {
    for permission in everything().permissions().iter().filter(|permission| permission.resource != json!("*")) {
        let text = permission.resource["Fn::Sub"].as_str().unwrap_or_default();
        let wild = text.replace("${!*}", "").contains('*');
        let folder = permission.action.starts_with("s3:") && text.ends_with("/*");
        let workgroup = text.ends_with(":workgroup/*");
        assert!(!wild || folder || workgroup, "{permission:?}");
    }
}

#[test]
fn only_files_in_the_folders_of_the_queues_can_be_read() {
    let stack = assertions(two_queues());
    let read = stack.permitted("s3:GetObject");
    let expected = [
        json!({"Fn::Sub": "${LoaderBucket.Arn}/rs-loader-config/*"}),
        json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::example-earthquakes/feed/*"}),
        json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::example-weather/daily/*"}),
        json!({"Fn::Sub": "${LoaderBucket.Arn}/manifests/*"}),
    ];
    assert_eq!(read, expected);
    let written = stack.permitted("s3:PutObject");
    assert_eq!(written, expected[3..]);
    for permission in stack.permissions().iter().filter(|permission| permission.action.starts_with("s3:List")) {
        let own = permission.resource == json!({"Fn::GetAtt": ["LoaderBucket", "Arn"]});
        assert!(own || !permission.condition["StringLikeIfExists"]["s3:prefix"].is_null(), "{permission:?}");
    }
}

#[test]
fn a_json_paths_file_is_read_only_where_files_are_compared_by_it() {
    let granted = |wish: &'static str| {
        let stack = assertions(vec![queue_with("a", |value| {
            value["source"] = json!("s3://one/x/");
            value["copy"]["options"] = json!("JSON 's3://two/paths*.json'");
            value["options"] = json!({"on_schema_change": wish});
        })]);
        stack.permitted("s3:GetObject").contains(&json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::two/paths${!*}.json"}))
    };
    assert!(granted("fail") && !granted("ignore"));
}

#[test]
fn queues_of_one_bucket_share_a_policy_statement() {
    let source = |folder: &'static str| move |value: &mut Json| value["source"] = json!(format!("s3://one/{folder}/"));
    let stack = assertions(vec![queue_with("a", source("x")), queue_with("b", source("y"))]);
    let listed: Vec<_> = stack.permissions().into_iter().filter(|p| p.action == "s3:ListBucketVersions").collect();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].condition["StringLikeIfExists"]["s3:prefix"], json!(["x/*", "y/*"]));
}

#[test]
fn special_characters_in_a_folder_are_escaped() {
    let stack = assertions(vec![queue_with("a", |value| value["source"] = json!("s3://one/a*b$/"))]);
    let read = stack.permitted("s3:GetObject");
    assert!(read.contains(&json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::one/a${!*}b${!$}/*"})), "{read:?}");
    let listed = stack.permissions().into_iter().find(|p| p.action == "s3:ListBucketVersions").unwrap();
    assert_eq!(listed.condition["StringLikeIfExists"]["s3:prefix"], json!("a${*}b${$}/*"));
}

#[test]
fn a_source_can_be_a_whole_bucket() {
    let stack = assertions(vec![queue_with("a", |value| value["source"] = json!("s3://one"))]);
    let read = stack.permitted("s3:GetObject");
    assert!(read.contains(&json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::one/*"})), "{read:?}");
    let listed = stack.permissions().into_iter().find(|p| p.action == "s3:ListBucketVersions").unwrap();
    assert_eq!(listed.condition, Json::Null);
}

#[test]
fn inventories_are_read_where_a_queue_names_them_and_nowhere_else() {
    let lists = |value: &mut Json| {
        value["source"] = json!("s3://files/sales/");
        value["source_check"] = json!({"every": "1 day", "inventory": "s3://lists/inv/files/all/"});
    };
    let checked = |value: &mut Json| {
        value["source"] = json!("s3://files/sales/");
        value["source_check"] = json!({"every": "1 day"});
    };
    let (with, without) = (assertions(vec![queue_with("a", lists)]), assertions(vec![queue_with("a", checked)]));
    let of_lists: Vec<_> = with
        .permissions()
        .into_iter()
        .filter(|permission| permission.resource.to_string().contains(":lists"))
        .map(|permission| (permission.action, permission.resource, permission.condition))
        .collect();
    let objects = json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::lists/inv/files/all/*"});
    let bucket = json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::lists"});
    let below = json!({"StringLikeIfExists": {"s3:prefix": "inv/files/all/*"}});
    let expected = [
        ("s3:GetObject".to_owned(), objects, Json::Null),
        ("s3:ListBucket".to_owned(), bucket.clone(), below.clone()),
        ("s3:ListBucketVersions".to_owned(), bucket, below),
    ];
    assert_eq!(of_lists, expected);
    assert_eq!(with.permissions().len(), without.permissions().len() + 3);
}

#[test]
fn a_queue_without_a_source_grants_no_files() {
    let queue = queue_with("a", |value| {
        value.as_object_mut().unwrap().remove("source");
    });
    let stack = assertions(vec![queue]);
    assert!(stack.permitted("s3:ListBucketVersions").is_empty());
    let statements = list(&stack.properties("AQueuePolicy")["PolicyDocument"]["Statement"]);
    assert!(statements.iter().all(|statement| statement["Effect"] == "Deny"), "{statements:?}");
}

#[test]
fn each_way_to_sign_in_grants_only_its_own_permission() {
    let with = |cluster: Json| assertions(vec![queue_with("a", |value| value["cluster"] = cluster)]);
    let none = Vec::<Json>::new();
    let redshift = |rest: &str| json!({"Fn::Sub": format!("arn:${{AWS::Partition}}:redshift:${{AWS::Region}}:${{AWS::AccountId}}:{rest}")});

    let user = with(json!({"identifier": "c", "db_name": "d", "db_user": "u"}));
    assert_eq!(user.permitted("redshift:GetClusterCredentials"), [redshift("dbuser:c/u"), redshift("dbname:c/d")]);
    assert_eq!(user.permitted("redshift-data:BatchExecuteStatement"), [redshift("cluster:c")]);
    assert_eq!(user.permitted("secretsmanager:GetSecretValue"), none);

    let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:loader-AbC123";
    let secret = with(json!({"identifier": "c", "db_name": "d", "secret_arn": arn}));
    assert_eq!(secret.permitted("secretsmanager:GetSecretValue"), [json!(arn)]);
    assert_eq!(secret.permitted("redshift:GetClusterCredentials"), none);

    let arn = "arn:aws:redshift-serverless:eu-central-1:123456789012:workgroup/8a7b";
    let serverless = with(json!({"workgroup": arn, "db_name": "d"}));
    assert_eq!(serverless.permitted("redshift-serverless:GetCredentials"), [json!(arn)]);
    assert_eq!(serverless.permitted("redshift-data:ExecuteStatement"), [json!(arn)]);
    assert_eq!(serverless.permitted("redshift:GetClusterCredentials"), none);
}

#[test]
fn nothing_is_permitted_twice() {
    let mut seen = BTreeSet::new();
    for permission in everything().permissions() {
        let text = format!("{} {} {}", permission.action, permission.resource, permission.condition);
        assert!(seen.insert(text.clone()), "{text}");
    }
}

#[test]
fn only_lambda_can_assume_the_role() {
    let stack = everything();
    assert_eq!(stack.of_type("AWS::IAM::Role").len(), 1, "one role for the three functions");
    let trust = &stack.properties("LoaderRole")["AssumeRolePolicyDocument"]["Statement"];
    assert_eq!(trust[0]["Principal"], json!({"Service": "lambda.amazonaws.com"}));
    assert_eq!(trust.as_array().map(Vec::len), Some(1));
}

#[test]
fn nothing_is_public() {
    let stack = everything();
    for (id, bucket) in stack.of_type("AWS::S3::Bucket") {
        let block = &bucket["Properties"]["PublicAccessBlockConfiguration"];
        assert!(block.as_object().unwrap().values().all(|value| value == true), "{id}");
        assert_eq!(block.as_object().unwrap().len(), 4, "{id}");
    }
    for (id, resource) in stack.resources() {
        for statement in list(&resource["Properties"]["PolicyDocument"]["Statement"]) {
            let everyone = statement["Principal"] == "*" && statement["Effect"] == "Allow";
            assert!(!everyone, "{id} allows everyone: {statement}");
            let bound =
                statement["Effect"] == "Deny" || !statement["Condition"]["ArnEquals"]["aws:SourceArn"].is_null();
            assert!(bound, "{id} is not limited to a source: {statement}");
        }
    }
    for (id, permission) in stack.of_type("AWS::Lambda::Permission") {
        assert!(!permission["Properties"]["SourceArn"].is_null(), "{id}");
    }
}

#[test]
fn s3_may_send_only_on_behalf_of_the_queues_bucket_in_this_account() {
    let stack = assertions(two_queues());
    let statements = list(&stack.properties("WeatherQueuePolicy")["PolicyDocument"]["Statement"]);
    let allowed: Vec<&Json> = statements.iter().filter(|statement| statement["Effect"] == "Allow").collect();
    let expected = json!({
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": ["WeatherQueue", "Arn"]},
        "Condition": {
            "ArnEquals": {"aws:SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:s3:::example-weather"}},
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }
    });
    assert_eq!(allowed, [&expected]);
}

#[test]
fn requests_without_tls_are_denied() {
    let stack = everything();
    let refuses = |resource: &Json| {
        list(&resource["Properties"]["PolicyDocument"]["Statement"]).iter().any(|statement| {
            statement["Effect"] == "Deny" && statement["Condition"] == json!({"Bool": {"aws:SecureTransport": "false"}})
        })
    };
    let policies = stack.of_type("AWS::SQS::QueuePolicy").into_iter().filter(|(_, policy)| refuses(policy));
    let safe: Vec<Json> = policies.flat_map(|(_, policy)| list(&policy["Properties"]["Queues"])).collect();
    for (id, _) in stack.of_type("AWS::SQS::Queue") {
        let times = safe.iter().filter(|queue| **queue == json!({ "Ref": id })).count();
        assert_eq!(times, 1, "{id}: the last policy wins, so there must be one only");
    }
    assert!(refuses(stack.resource("LoaderBucketPolicy")));
}

#[test]
fn everything_is_encrypted() {
    let stack = everything();
    for (id, queue) in stack.of_type("AWS::SQS::Queue") {
        assert_eq!(queue["Properties"]["SqsManagedSseEnabled"], true, "{id}");
    }
    stack.has_properties("Tracker", &json!({"SSESpecification": {"SSEEnabled": true}}));
    let rule = &stack.properties("LoaderBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256");
}

#[test]
fn data_is_kept_when_the_stack_is_deleted() {
    let stack = everything();
    for id in ["Tracker", "LoaderBucket"] {
        assert_eq!(stack.resource(id)["DeletionPolicy"], "RetainExceptOnCreate", "{id}");
        assert_eq!(stack.resource(id)["UpdateReplacePolicy"], "Retain", "{id}");
    }
    stack.has_properties("Tracker", &json!({"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}}));
    stack.has_properties("LoaderBucket", &json!({"VersioningConfiguration": {"Status": "Enabled"}}));
}

#[test]
fn only_manifests_and_old_versions_expire() {
    let stack = everything();
    let rules = stack.properties("LoaderBucket")["LifecycleConfiguration"]["Rules"].as_array().unwrap();
    let expiring: Vec<&Json> = rules.iter().filter(|rule| !rule["ExpirationInDays"].is_null()).collect();
    assert_eq!(expiring.len(), 1);
    assert_eq!((&expiring[0]["Prefix"], &expiring[0]["ExpirationInDays"]), (&json!("manifests/"), &json!(90)));
    assert!(rules.iter().any(|rule| !rule["AbortIncompleteMultipartUpload"].is_null()));
}

#[test]
fn logs_expire() {
    let stack = everything();
    for function in Function::ALL {
        let group = format!("{}Logs", function.name());
        stack.has_properties(&group, &json!({"RetentionInDays": 30}));
        stack.has_properties(function.name(), &json!({"LoggingConfig": {"LogGroup": {"Ref": group}}}));
    }
}

#[test]
fn whatever_fails_goes_to_a_dead_letter_queue_with_an_alarm() {
    let stack = everything();
    let dead_letters = json!({"Fn::GetAtt": ["DeadLetters", "Arn"]});
    let configs = stack.of_type("AWS::Lambda::EventInvokeConfig");
    assert_eq!(configs.len(), Function::ALL.len());
    for (id, config) in configs {
        assert_eq!(config["Properties"]["DestinationConfig"]["OnFailure"]["Destination"], dead_letters, "{id}");
    }
    for (id, rule) in stack.of_type("AWS::Events::Rule") {
        for target in list(&rule["Properties"]["Targets"]) {
            assert_eq!(target["DeadLetterConfig"]["Arn"], dead_letters, "{id}");
            assert!(!target["RetryPolicy"]["MaximumEventAgeInSeconds"].is_null(), "{id}");
        }
    }
    for (id, mapping) in stack.of_type("AWS::Lambda::EventSourceMapping") {
        let queue = mapping["Properties"]["EventSourceArn"]["Fn::GetAtt"][0].as_str().unwrap();
        let redrive = &stack.properties(queue)["RedrivePolicy"];
        assert!(redrive["maxReceiveCount"].as_u64().is_some_and(|count| count >= 5), "{id}");
    }
    let watched: Vec<Json> = stack
        .of_type("AWS::CloudWatch::Alarm")
        .into_iter()
        .flat_map(|(_, alarm)| list(&alarm["Properties"]["Dimensions"]))
        .map(|dimension| dimension["Value"]["Fn::GetAtt"][0].clone())
        .collect();
    for (id, _) in stack.of_type("AWS::SQS::Queue").into_iter().filter(|(id, _)| !id.ends_with("Queue")) {
        assert!(watched.contains(&json!(id)), "no alarm watches {id}");
    }
}

#[test]
fn messages_are_kept_for_fourteen_days() {
    for (id, queue) in everything().of_type("AWS::SQS::Queue") {
        assert_eq!(queue["Properties"]["MessageRetentionPeriod"], 14 * 24 * 3600, "{id}");
    }
}

#[test]
fn a_message_stays_hidden_while_it_may_be_processed() {
    let stack = everything();
    for (id, mapping) in stack.of_type("AWS::Lambda::EventSourceMapping") {
        let queue = mapping["Properties"]["EventSourceArn"]["Fn::GetAtt"][0].as_str().unwrap();
        let function = mapping["Properties"]["FunctionName"]["Ref"].as_str().unwrap();
        let number = |value: &Json| value.as_u64().unwrap();
        let hidden = number(&stack.properties(queue)["VisibilityTimeout"]);
        let timeout = number(&stack.properties(function)["Timeout"]);
        let window = number(&mapping["Properties"]["MaximumBatchingWindowInSeconds"]);
        assert!(hidden >= 6 * timeout + window, "{id}: {hidden} s");
        let batch = number(&mapping["Properties"]["BatchSize"]);
        assert!(batch <= 10 || window >= 1, "{id}");
        assert!(number(&mapping["Properties"]["ScalingConfig"]["MaximumConcurrency"]) >= 2, "{id}");
    }
}
