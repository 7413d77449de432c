//! The content of the stack: names, keys, formats and numbers that users and functions rely on.

mod common;

use std::collections::BTreeSet;

use clap::ValueEnum;
use common::{assertions, queue_with, template, ten_queues, two_queues};
use loader_core::contract::{self, Function};
use loader_core::limits;
use serde_json::{Value as Json, json};
use synth::limits::TEMPLATE_BODY_BYTES_MAX;
use synth::names::{Output, Parameter};
use synth::{Architecture, LoaderProps, SynthProps, loader_template, synthesize, workspace};

#[test]
fn every_parameter_has_a_default_and_a_description() {
    let stack = assertions(two_queues());
    let parameters = stack.json()["Parameters"].as_object().unwrap();
    let mut names: Vec<&str> = parameters.keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "alarmTopicArn",
        "assetsBucket",
        "bulkLoaderKey",
        "microbatchLoaderKey",
        "nextLoaderKey",
        "queueNamePrefix",
        "statementNamePrefix",
    ];
    assert_eq!(names, expected);
    for (name, parameter) in parameters {
        assert!(parameter["Default"].is_string(), "{name} has no default: deploying by hand would ask for it");
        assert!(parameter["Description"].as_str().is_some_and(|text| text.len() > 20), "{name} is not described");
    }
    assert_eq!(parameters["statementNamePrefix"]["Default"], "dev");
    assert_eq!(parameters["microbatchLoaderKey"]["Default"], "microbatch-loader.zip");
}

#[test]
fn the_functions_have_the_settings_of_the_contract() {
    let stack = assertions(two_queues());
    for function in Function::ALL {
        let name = format!("${{AWS::StackName}}-{}", function.name());
        stack.has_properties(
            function.name(),
            &json!({
                "FunctionName": {"Fn::Sub": name},
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Architectures": ["x86_64"],
                "MemorySize": 512,
                "Timeout": function.timeout_seconds(),
                "Role": {"Fn::GetAtt": ["LoaderRole", "Arn"]},
                "Code": {"S3Key": {"Ref": Parameter::CodeKey(function).name()}},
                "Environment": {"Variables": {
                    "CONFIG_BUCKET": {"Ref": "LoaderBucket"},
                    "CONFIG_PREFIX": "rs-loader-config/",
                    "DDB_TRACKER": {"Ref": "Tracker"},
                    "PENDING_BUCKET": {"Ref": "LoaderBucket"},
                    "PENDING_PREFIX": "pending/",
                    "MANIFEST_BUCKET": {"Ref": "LoaderBucket"},
                    "MANIFEST_PREFIX": "manifests/",
                    "STATEMENT_NAME_PREFIX": {"Ref": "statementNamePrefix"},
                    "STACK_NAME": {"Ref": "AWS::StackName"}
                }}
            }),
        );
    }
}

#[test]
fn the_zips_come_from_the_default_assets_bucket_unless_another_is_given() {
    let stack = assertions(Vec::new());
    let bucket = &stack.properties("NextLoader")["Code"]["S3Bucket"];
    let own = json!({"Fn::Sub": "rs-loader-assets-${AWS::AccountId}-${AWS::Region}"});
    assert_eq!(*bucket, json!({"Fn::If": ["HasAssetsBucket", {"Ref": "assetsBucket"}, own]}));
}

#[test]
fn the_tracker_has_the_keys_that_the_functions_use() {
    assertions(Vec::new()).has_properties(
        "Tracker",
        &json!({
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [
                {"AttributeName": "db_table", "KeyType": "HASH"},
                {"AttributeName": "status_timestamp", "KeyType": "RANGE"}
            ],
            "GlobalSecondaryIndexes": [{
                "IndexName": contract::WORK_INDEX,
                "KeySchema": [
                    {"AttributeName": contract::WORK_ATTRIBUTE, "KeyType": "HASH"},
                    {"AttributeName": "status_timestamp", "KeyType": "RANGE"}
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"}
            }],
            "TimeToLiveSpecification": {"AttributeName": contract::TTL_ATTRIBUTE, "Enabled": true}
        }),
    );
}

#[test]
fn the_statement_rule_matches_ended_statements_with_the_prefix() {
    let stack = assertions(Vec::new());
    let expected = json!({
        "source": ["aws.redshift-data"],
        "detail-type": ["Redshift Data Statement Status Change"],
        "detail": {
            "state": ["FINISHED", "FAILED", "ABORTED"],
            "statementName": [{"prefix": {"Fn::Sub": "${statementNamePrefix}/"}}]
        }
    });
    assert_eq!(stack.properties("StatementEnded")["EventPattern"], expected);
}

#[test]
fn the_sweep_runs_every_minute_with_a_constant_input() {
    let stack = assertions(Vec::new());
    stack.has_properties("Sweep", &json!({"ScheduleExpression": "rate(1 minute)", "State": "ENABLED"}));
    let target = &stack.properties("Sweep")["Targets"][0];
    assert_eq!(target["Arn"], json!({"Fn::GetAtt": ["NextLoader", "Arn"]}));
    let input: Json = serde_json::from_str(target["Input"].as_str().unwrap()).unwrap();
    assert_eq!(input, json!({"sweep": true}));
}

#[test]
fn a_queue_feeds_microbatch_loader() {
    let stack = assertions(two_queues());
    stack.has_properties(
        "WeatherQueue",
        &json!({
            "QueueName": {"Fn::Sub": "${queueNamePrefix}weather"},
            "VisibilityTimeout": limits::SQS_VISIBILITY_TIMEOUT_SECONDS_MIN,
            "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["WeatherDlq", "Arn"]}, "maxReceiveCount": 5}
        }),
    );
    stack.has_properties("WeatherDlq", &json!({"QueueName": {"Fn::Sub": "${queueNamePrefix}weather-dlq"}}));
    stack.has_properties(
        "WeatherMapping",
        &json!({
            "FunctionName": {"Ref": "MicrobatchLoader"},
            "EventSourceArn": {"Fn::GetAtt": ["WeatherQueue", "Arn"]},
            "BatchSize": limits::SQS_BATCH_SIZE,
            "MaximumBatchingWindowInSeconds": limits::SQS_BATCHING_WINDOW_SECONDS,
            "ScalingConfig": {"MaximumConcurrency": 2},
            "FunctionResponseTypes": ["ReportBatchItemFailures"]
        }),
    );
}

#[test]
fn logical_ids_do_not_change() {
    let stack = assertions(two_queues());
    let mut ids: Vec<&str> = stack.resources().keys().map(String::as_str).collect();
    ids.sort_unstable();
    insta::assert_snapshot!(ids.join("\n"));
}

#[test]
fn another_queue_changes_no_logical_id() {
    let before = assertions(two_queues());
    let mut queues = two_queues();
    queues.insert(0, queue_with("a-b", |_| {}));
    queues.push(queue_with("a_b", |_| {}));
    let after = assertions(queues);
    for (id, resource) in
        before.resources().iter().filter(|(id, _)| !["LoaderRole", "DlqTlsOnly", "Dashboard"].contains(&id.as_str()))
    {
        assert_eq!(resource, after.resource(id), "{id}");
    }
}

#[test]
fn the_order_of_the_queues_does_not_matter() {
    let mut queues = two_queues();
    queues.reverse();
    assert_eq!(template(queues).to_json(), template(two_queues()).to_json());
}

#[test]
fn there_are_no_dangling_references() {
    for queues in [Vec::new(), two_queues(), ten_queues()] {
        assert_eq!(assertions(queues).dangling_references(), Vec::<String>::new());
    }
}

#[test]
fn a_template_with_ten_queues_fits_into_a_request() {
    let template = template(ten_queues());
    assert!(template.size_bytes() < TEMPLATE_BODY_BYTES_MAX, "{} bytes", template.size_bytes());
    assert!(template.to_json().lines().count() > 50, "a diff needs a line per resource");
}

/// With realistic names, and a bucket for each queue.
#[test]
fn a_template_with_eight_long_queue_names_fits_into_a_request() {
    let queue = |number: u32| {
        queue_with(&format!("finance-reporting-customer-transactions-{number}"), |value| {
            value["copy"]["table_name"] = json!(format!("reporting.customer_transactions_{number}"));
            value["cluster"]["identifier"] = json!("analytics-production");
            value["source"] = json!(format!("s3://acme-finance-landing-zone-{number}/transactions-{number}/"));
        })
    };
    let template = template((0..8).map(queue).collect());
    assert!(template.size_bytes() < TEMPLATE_BODY_BYTES_MAX, "{} bytes", template.size_bytes());
}

#[test]
fn the_outputs_contain_what_a_user_needs_next() {
    let stack = assertions(two_queues());
    let outputs: Vec<&str> = stack.json()["Outputs"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "LoaderBucketName",
        "TrackerTableName",
        "LoaderRoleArn",
        "MicrobatchLoaderName",
        "MicrobatchLoaderArn",
        "NextLoaderName",
        "NextLoaderArn",
        "BulkLoaderName",
        "BulkLoaderArn",
        "DeadLettersUrl",
        "EarthquakesQueueUrl",
        "WeatherQueueUrl",
    ];
    assert_eq!(outputs, expected);
}

#[test]
fn parameters_and_outputs_are_listed_in_the_order_of_the_template() {
    let stack = assertions(Vec::new());
    let names = |section: &str| stack.json()[section].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names("Parameters"), Parameter::ALL.map(Parameter::name));
    assert_eq!(names("Outputs"), Output::ALL.map(Output::name));
}

#[test]
fn special_characters_in_a_table_name_survive_in_the_dashboard() {
    let stack = assertions(vec![queue_with("a", |value| {
        value["copy"]["table_name"] = json!(r#"shop."a "" ${b}""#);
    })]);
    let body = stack.dashboard();
    let dimension = body["widgets"][6]["properties"]["metrics"][0][5].as_str().unwrap().replace("${!", "${");
    let source = queue_with("a", |value| value["copy"]["table_name"] = json!(r#"shop."a "" ${b}""#));
    assert_eq!(dimension, source.config.db_table().0);
}

#[test]
fn without_queues_the_dashboard_has_only_the_rows_of_the_stack() {
    let stack = assertions(Vec::new());
    let body = stack.properties("Dashboard")["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    let body: Json = serde_json::from_str(body).unwrap();
    assert_eq!(body["widgets"].as_array().map(Vec::len), Some(6));
}

#[test]
fn the_dashboard_shows_the_bill_where_a_queue_names_a_warehouses_file() {
    let paced = queue_with("a", |value| value["warehouse"] = json!({"name": "analytics", "freshness_seconds": 900}));
    let body = assertions(vec![paced]).dashboard();
    let metrics = [6, 7].map(|at: usize| body["widgets"][at]["properties"]["metrics"].to_string());
    let [awake, dollars] = &metrics;
    let names = [contract::METRIC_SECONDS_AWAKE, contract::METRIC_DOLLARS, contract::METRIC_DOLLARS_AT_ONCE];
    for (metrics, name) in [awake, dollars, dollars].iter().zip(names) {
        let search = format!("RUNNING_SUM(FILL(SEARCH('{{RedshiftLoader,Stack,Warehouse}} MetricName=\\\"{name}\\\"");
        assert!(metrics.contains(&search), "{metrics}");
    }
}

#[test]
fn the_dashboard_divides_the_calls_by_the_files() {
    let body = assertions(two_queues()).dashboard();
    let metrics = &body["widgets"][3]["properties"]["metrics"];
    let ids = [4, 5].map(|at: usize| (metrics[at][1].as_str().unwrap(), metrics[at][4]["id"].as_str().unwrap()));
    assert_eq!(ids, [(contract::METRIC_CALLS, "c"), (contract::METRIC_OBJECTS, "f")]);
    assert_eq!(metrics[6][0]["expression"], "RUNNING_SUM(c) / RUNNING_SUM(f)");
}

#[test]
fn the_dashboard_has_a_row_per_table() {
    let stack = assertions(two_queues());
    let body = stack.dashboard();
    let rows: Vec<&Json> = body["widgets"].as_array().unwrap().iter().filter(|widget| widget["width"] == 24).collect();
    let titles: Vec<&str> = rows.iter().filter_map(|row| row["properties"]["title"].as_str()).collect();
    assert_eq!(titles, ["cluster:analytics:dev:public.earthquakes", "cluster:analytics:dev:shop.weather"]);
    let first = &rows[0]["properties"]["metrics"][0];
    assert_eq!(first[0], contract::METRIC_NAMESPACE);
    assert_eq!(first[5], "cluster:analytics:dev:public.earthquakes");
    let dead_letters = &rows[1]["properties"]["metrics"][6];
    assert_eq!(dead_letters[3], "${queueNamePrefix}weather-dlq");
}

#[test]
fn alarms_watch_the_metrics_that_the_functions_emit() {
    let stack = assertions(two_queues());
    let watched = |id: &str| {
        let alarm = stack.properties(id);
        (alarm["MetricName"].clone(), alarm["Dimensions"][0]["Name"].clone(), alarm["TreatMissingData"].clone())
    };
    let ours = |metric: &str, missing: &str| (json!(metric), json!(contract::DIMENSION_STACK), json!(missing));
    assert_eq!(watched("Late"), ours(contract::METRIC_SECONDS_LATE, "notBreaching"));
    assert_eq!(watched("Stuck"), ours(contract::METRIC_STUCK, "notBreaching"));
    assert_eq!(watched("Refused"), ours(contract::METRIC_REFUSED, "notBreaching"));
    assert_eq!(watched("Quarantine"), ours(contract::METRIC_QUARANTINED, "notBreaching"));
    assert_eq!(watched("SweepMissing"), ours(contract::METRIC_SWEEPS, "breaching"));
    for (id, alarm) in stack.of_type("AWS::CloudWatch::Alarm") {
        let actions = json!({"Fn::If": ["HasAlarmTopic", [{"Ref": "alarmTopicArn"}], {"Ref": "AWS::NoValue"}]});
        assert_eq!(alarm["Properties"]["AlarmActions"], actions, "{id}");
    }
}

/// A person on call finds the words of the alarm's message in the runbook.
#[test]
fn an_alarms_description_is_the_beginning_of_its_entry_in_the_runbook() {
    let runbook = std::fs::read_to_string(workspace::root().join("docs/runbook.md")).unwrap();
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut headings = BTreeSet::new();
    for (id, alarm) in assertions(two_queues()).of_type("AWS::CloudWatch::Alarm") {
        let text = alarm["Properties"]["AlarmDescription"].as_str().unwrap();
        assert!(text.len() <= 1024, "{id}: CloudWatch allows 1,024 characters");
        let (heading, rest) = text.split_once(": ").unwrap();
        let (meaning, rest) = rest.split_once(". First: ").unwrap();
        let command = rest.strip_suffix(". More: docs/runbook.md").unwrap();
        let entry = runbook.split("\n## ").find_map(|entry| entry.strip_prefix(&format!("{heading}\n")));
        let entry = one_line(entry.unwrap_or_else(|| panic!("the runbook has no entry `{heading}`")));
        let (first, others) = meaning.split_at(1);
        let beginning = format!("{}{others}. First: `{command}`", first.to_uppercase());
        assert!(entry.starts_with(&beginning), "{heading}\n{beginning}\n{entry}");
        headings.insert(heading.to_owned());
    }
    assert_eq!(headings.len(), 7, "{headings:?}");
}

#[test]
fn the_dashboard_searches_for_late_tables() {
    let body = assertions(two_queues()).dashboard();
    let late = &body["widgets"][0]["properties"]["metrics"][0][0];
    let expression = late["expression"].as_str().unwrap();
    let found =
        "SEARCH('{RedshiftLoader,Stack,Table} MetricName=\"SecondsLate\" Stack=\"${AWS::StackName}\"', 'Maximum', 60)";
    assert_eq!((expression, late["label"].as_str()), (found, Some("${!PROP('Dim.Table')}")));
}

#[test]
fn a_deployments_settings_change_its_template_but_no_file() {
    let props = SynthProps { memory_mb: 1769, ..SynthProps::default() };
    let before = std::fs::read(workspace::template()).unwrap();
    let synthesis = synthesize(&props).unwrap();
    assert_eq!(synthesis.template.as_value()["Resources"]["NextLoader"]["Properties"]["MemorySize"], 1769);
    assert_eq!(synthesis.text, synthesis.template.to_json());
    assert!(!synthesis.written);
    assert_eq!(std::fs::read(workspace::template()).unwrap(), before);
}

#[test]
fn architecture_and_memory_apply_to_all_functions() {
    let props = LoaderProps { architecture: Architecture::Arm64, memory_mb: 1769, ..LoaderProps::default() };
    let template = loader_template(&props).unwrap();
    for function in Function::ALL {
        let found = &template.as_value()["Resources"][function.name()]["Properties"];
        assert_eq!((&found["Architectures"], &found["MemorySize"]), (&json!(["arm64"]), &json!(1769)));
    }
    for architecture in [Architecture::Arm64, Architecture::X86_64] {
        assert_eq!(Architecture::from_str(&architecture.to_string(), false), Ok(architecture));
    }
}
