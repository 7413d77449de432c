//! A deployment from its creation to its deletion, with the commands that a user runs. Files still load after every change.

mod code;

use acceptance::steps::is_recorded;
use acceptance::table::{Table, append, csv, row};
use acceptance::world::{STACK, Setup, World};
use acceptance::xtask::{Checkout, Said};
use anyhow::{Context, Result, ensure};
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, FilterRule, FilterRuleName, NotificationConfiguration,
    NotificationConfigurationFilter, S3KeyFilter,
};
use loader_core::contract::{Function, STATEMENT_NAME_PREFIX};
use serde_json::{Value, json};

/// Prefix of queue names; given only in the first deployment.
const QUEUES: &str = "kept_";
const FIRST: &str = "--statement-name-prefix first";
const SECOND: &str = "--statement-name-prefix second";
const LARGE: &str = "--statement-name-prefix second --memory 1024";
const LARGE_MB: i32 = 1024;
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:on-call";

/// A table, and the rows that must be in it.
struct Feed {
    table: Table,
    folder: &'static str,
    rows: Vec<String>,
}

impl Feed {
    async fn new(world: &'static World, name: &str) -> Result<Self> {
        let table = Table::deployed(world, name, &format!("{QUEUES}{name}"), append(name)).await?;
        Ok(Self { table, folder: "in/", rows: Vec::new() })
    }

    /// Puts another file.
    async fn put_file(&mut self) -> Result<()> {
        let number = self.rows.len();
        self.rows.push(row(number));
        self.table.put(&format!("{}{number}.csv", self.folder), csv(&[&self.rows[number]])).await
    }

    /// Loads another file. The rows of all others must still be there.
    async fn loads(&mut self) -> Result<()> {
        self.put_file().await?;
        self.table.rest_with(&self.rows).await
    }

    /// Number of its statements whose name has this first part.
    async fn statements_of(&self, prefix: &str) -> Result<usize> {
        let start = format!("{prefix}/");
        let statements = self.table.statements().await?;
        Ok(statements
            .iter()
            .filter_map(|statement| statement.name.as_ref())
            .filter(|name| name.starts_with(&start))
            .count())
    }
}

#[test]
fn files_load_after_every_change_of_a_deployment() {
    let mut world = World::start(&Setup { empty: true, ..Setup::default() }).expect("the local stack starts");
    let user = Checkout::new().expect("a separate clone");
    world.run(first_deployment(&user, &world));
    world.adopt().expect("the stack has outputs");
    let world: &'static World = Box::leak(Box::new(world));
    world.run(async {
        let mut orders = Feed::new(world, "orders").await?;
        orders.loads().await.context("after the first deployment")?;
        nothing_to_change(&user).await.context("no change")?;
        events_and_topic_are_kept(&user, world).await.context("events and topic")?;
        another_prefix(&user, world, &mut orders).await.context("another prefix")?;
        option_changed(&user).await.context("a changed option")?;
        orders.loads().await.context("with a changed option")?;
        let (mut second, mut late) = queues_added(&user, world).await.context("queues added")?;
        folder_overlaps(&user, world).await.context("an overlapping folder")?;
        folder_changed(&user, &mut second).await.context("another folder")?;
        only_the_queue_removed(&user, world).await.context("queue remove")?;
        queue_removed(&user, world, &mut late).await.context("a queue removed")?;
        orders.loads().await.context("beside a removed queue")?;
        second.loads().await.context("beside a removed queue")?;
        more_memory_and_the_queue_again(&user, world, &late).await.context("more memory")?;
        orders.loads().await.context("with more memory")?;
        code::failed_change(&user, world, &mut orders).await.context("a change that fails")?;
        code::changed_code(&user, world).await.context("changed code")?;
        orders.loads().await.context("with changed code")?;
        code::back_a_version(&user, world).await.context("back a version")?;
        destroyed(&user, world, &orders).await.context("destroyed")
    });
}

async fn add_queue(user: &Checkout, name: &str) -> Result<Said> {
    let source = format!("s3://e2e-{name}/in/");
    user.must(&format!(
        "queue add {name} --table {name} --source {source} --cluster analytics --database dev --options CSV"
    ))
    .await
}

/// Lambda reads zips only from its own Region. A wrong bucket is reported before anything is changed; the corrected command then succeeds.
async fn first_deployment(user: &Checkout, world: &World) -> Result<()> {
    add_queue(user, "orders").await?;
    let region = aws_config::Region::new("eu-west-1");
    let elsewhere = aws_sdk_s3::Client::from_conf(world.s3.config().to_builder().region(region).build());
    let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
    elsewhere.create_bucket().bucket("elsewhere").create_bucket_configuration(place).send().await?;
    let said = user.xtask(&user.deploy_words(&format!("{FIRST} --assets-bucket elsewhere"))).await?;
    ensure!(said.code == Some(1), "{said:?}");
    ensure!(
        cause(&said)? == "error: cannot use the bucket `elsewhere`: it is in eu-west-1, another Region",
        "{said:?}"
    );
    failed_creation(user, world).await.context("a creation that fails")?;
    let deployed = user.deploy(&format!("{FIRST} --queue-name-prefix {QUEUES}")).await?;
    ensure!(deployed["changed"] == true && deployed["stack_name"] == STACK, "{deployed}");
    let adds = |kind: &str| changes(&deployed, "Add", kind);
    ensure!(adds("AWS::Lambda::Function") == 3 && adds("AWS::DynamoDB::Table") == 1, "{deployed}");
    Ok(())
}

/// The remains of a stack that could not be created are deleted by a deployment, but not by `--dry-run` and `diff`.
async fn failed_creation(user: &Checkout, world: &World) -> Result<()> {
    let taken = json!({"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "elsewhere"}});
    ensure!(world.create(&json!({"Resources": {"Bucket": taken}})).await? == "ROLLBACK_COMPLETE");
    let words = user.deploy_words(FIRST);
    for command in [format!("{words} --dry-run"), words.replace("deploy", "diff").replace(FIRST, "")] {
        let said = user.must(&command).await?;
        ensure!(said.errors.contains("is in ROLLBACK_COMPLETE"), "{command}: {said:?}");
        ensure!(said.json()?["changes"].as_array().is_some_and(|changes| !changes.is_empty()), "{command}: {said:?}");
        ensure!(world.status().await? == "ROLLBACK_COMPLETE", "{command} deleted the stack: {said:?}");
    }
    Ok(())
}

/// Puts an invalid file in place of the zip that the next deployment uses for NextLoader. Returns its key.
async fn destroy_zip(user: &Checkout, world: &World) -> Result<String> {
    let key = user.code_key(Function::NextLoader)?;
    let put = world.s3.put_object().bucket(assets_bucket(world)).key(&key);
    put.body(b"no zip".to_vec().into()).send().await?;
    Ok(key)
}

/// The line with the error of a command.
fn cause(said: &Said) -> Result<&str> {
    said.errors.lines().find(|line| line.starts_with("error:")).with_context(|| format!("no error: {said:?}"))
}

/// Number of changes with this action of resources of a type.
fn changes(deployed: &Value, action: &str, kind: &str) -> usize {
    let all = deployed["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter(|change| change["action"] == action && change["kind"] == kind).count()
}

async fn nothing_to_change(user: &Checkout) -> Result<()> {
    let said = user.must(&user.deploy_words(FIRST)).await?;
    let deployed = said.json()?;
    ensure!(deployed["changed"] == false && deployed["changes"] == json!([]), "{deployed}");
    ensure!(said.errors.contains("the stack is up to date: nothing changed"), "{}", said.errors);
    Ok(())
}

async fn another_prefix(user: &Checkout, world: &World, orders: &mut Feed) -> Result<()> {
    let n_before = orders.statements_of("first").await?;
    ensure!(n_before > 0, "no statement is named after the first prefix");
    let deployed = user.deploy(SECOND).await?;
    ensure!(deployed["changed"] == true && changes(&deployed, "Add", "AWS::Lambda::Function") == 0, "{deployed}");
    ensure!(prefix_of(world, Function::NextLoader).await? == "second", "the functions keep the first prefix");
    orders.loads().await?;
    ensure!(orders.statements_of("second").await? > 0, "no statement is named after the second prefix");
    ensure!(orders.statements_of("first").await? == n_before, "a statement is still named after the first prefix");
    Ok(())
}

async fn function(world: &World, function: Function) -> Result<GetFunctionConfigurationOutput> {
    Ok(world.lambda.get_function_configuration().function_name(World::function(function)).send().await?)
}

async fn prefix_of(world: &World, of: Function) -> Result<String> {
    let configuration = function(world, of).await?;
    let variables = configuration.environment().and_then(|environment| environment.variables());
    variables.and_then(|all| all.get(STATEMENT_NAME_PREFIX)).cloned().context("the function has no prefix")
}

/// Adds two queues. One loads; the other is paused, so that a file waits.
async fn queues_added(user: &Checkout, world: &'static World) -> Result<(Feed, Feed)> {
    add_queue(user, "second").await?;
    add_queue(user, "late").await?;
    let mut paused: Value = serde_json::from_str(&user.read("queues/late.json")?)?;
    paused["load"] = json!({"paused": true});
    user.write("queues/late.json", &paused.to_string())?;
    let deployed = user.deploy(SECOND).await?;
    // Each has a dead-letter queue.
    ensure!(changes(&deployed, "Add", "AWS::SQS::Queue") == 4, "{deployed}");
    let (mut second, mut late) = (Feed::new(world, "second").await?, Feed::new(world, "late").await?);
    late.put_file().await?;
    second.loads().await?;
    late.table.until("waiting", is_recorded).await?;
    Ok((second, late))
}

/// A changed configuration file is deployed, although the template does not change.
async fn option_changed(user: &Checkout) -> Result<()> {
    let before = user.read("queues/orders.json")?;
    let after = before.replace("\"CSV\"", "\"CSV DELIMITER ','\"");
    ensure!(after != before, "{before}");
    user.write("queues/orders.json", &after)?;
    let diff = format!("diff --local --build-profile dev --stack-name {STACK} --output json");
    let file = json!([{"action": "Modify", "key": format!("rs-loader-config/{QUEUES}orders.json")}]);
    let said = user.must(&diff).await?;
    ensure!(said.errors.contains(&format!("~ rs-loader-config/{QUEUES}orders.json")), "{}", said.errors);
    for difference in [said.json()?, user.deploy(SECOND).await?] {
        ensure!(difference["changed"] == true && difference["changes"] == json!([]), "{difference}");
        ensure!(difference["configurations"] == file && difference["notifications"] == json!([]), "{difference}");
    }
    let again = user.must(&diff).await?.json()?;
    ensure!(again["changed"] == false && again["configurations"] == json!([]), "{again}");
    Ok(())
}

/// `diff` reports an overlap that a deployment would refuse, and changes nothing.
async fn folder_overlaps(user: &Checkout, world: &World) -> Result<()> {
    let bucket = "e2e-orders";
    let before = world.s3.get_bucket_notification_configuration().bucket(bucket).send().await?.queue_configurations;
    let ours = before.as_ref().and_then(|queues| queues.first()).cloned().context("no notification")?;
    let mut by_hand = ours.clone();
    by_hand.id = Some("by-hand".into());
    by_hand.filter = Some(filter("taken/2026/"));
    let both = NotificationConfiguration::builder().queue_configurations(ours).queue_configurations(by_hand).build();
    let put =
        |document| world.s3.put_bucket_notification_configuration().bucket(bucket).notification_configuration(document);
    put(both).send().await?;
    user.must("queue add taken --table taken --source s3://e2e-orders/taken/ --cluster analytics --database dev")
        .await?;
    let said = user.xtask(&format!("diff --local --build-profile dev --stack-name {STACK}")).await?;
    ensure!(said.code == Some(1) && cause(&said)?.contains("overlaps with `taken/`"), "{said:?}");
    let removed = user.must(&format!("queue remove taken --local --stack-name {STACK}")).await?;
    ensure!(removed.output.contains("taken was not deployed"), "{removed:?}");
    put(NotificationConfiguration::builder().set_queue_configurations(before).build()).send().await?;
    Ok(())
}

fn filter(prefix: &str) -> NotificationConfigurationFilter {
    let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(prefix).build();
    NotificationConfigurationFilter::builder().key(S3KeyFilter::builder().filter_rules(rule).build()).build()
}

/// Changes the folder to one whose name is encoded in a notification's filter.
async fn folder_changed(user: &Checkout, second: &mut Feed) -> Result<()> {
    second.folder = "new files/day=1/";
    let source = format!("s3://e2e-second/{}", second.folder);
    let before = user.read("queues/second.json")?;
    user.write("queues/second.json", &before.replace("s3://e2e-second/in/", &source))?;
    let deployed = user.deploy(SECOND).await?;
    let id = format!("redshift-loader/{STACK}/second");
    let moved = json!([{"action": "Modify", "id": id, "folder": source}]);
    ensure!(deployed["changed"] == true && deployed["notifications"] == moved, "{deployed}");
    second.loads().await
}

/// `queue remove` affects only the given queue, which must be deployed in the given stack. The bucket has another queue that is not deployed.
async fn only_the_queue_removed(user: &Checkout, world: &World) -> Result<()> {
    user.must("queue add near --table near --source s3://e2e-late/near/ --cluster analytics --database dev").await?;
    ensure!(notified(world, "late").await? == 1, "the bucket does not notify the queue");
    let elsewhere = user.xtask("queue remove late --local").await?;
    ensure!(elsewhere.code == Some(1) && elsewhere.errors.contains("still notifies `late`"), "{elsewhere:?}");
    ensure!(elsewhere.errors.contains(&format!("--stack-name {STACK}")), "{elsewhere:?}");
    ensure!(user.read("queues/late.json").is_ok() && notified(world, "late").await? == 1, "{elsewhere:?}");
    let said = user.must(&format!("queue remove late --local --stack-name {STACK}")).await?;
    ensure!(said.output.contains("s3://e2e-late/in/ no longer notifies late"), "{}", said.output);
    ensure!(user.read("queues/late.json").is_err() && notified(world, "late").await? == 0, "{}", said.output);
    let never = user.must(&format!("queue remove near --local --stack-name {STACK}")).await?;
    ensure!(never.output.contains(&format!("near was not deployed in the stack {STACK}")), "{never:?}");
    ensure!(!never.output.contains("no longer notifies") && user.read("queues/near.json").is_err(), "{never:?}");
    Ok(())
}

async fn queue_removed(user: &Checkout, world: &World, late: &mut Feed) -> Result<()> {
    let deployed = user.deploy(SECOND).await?;
    ensure!(changes(&deployed, "Remove", "AWS::SQS::Queue") == 2, "{deployed}");
    ensure!(changes(&deployed, "Remove", "AWS::Lambda::EventSourceMapping") == 1, "{deployed}");
    let gone = world.sqs.get_queue_url().queue_name(format!("{QUEUES}late")).send().await;
    ensure!(gone.is_err(), "the queue is still there");
    let key = format!("rs-loader-config/{QUEUES}late.json");
    ensure!(
        world.s3.head_object().bucket(&world.bucket).key(key).send().await.is_err(),
        "its configuration still exists"
    );
    let status = user.must(&format!("status --local --output json --stack-name {STACK}")).await?.json()?;
    let tables = status.as_array().context("no list of tables")?;
    let table = late.table.db_table()?;
    let waits = tables.iter().find(|found| found["table"] == table.as_str()).context("the table is not shown")?;
    ensure!(waits["waiting_objects"] == 1, "the waiting file is forgotten: {status}");
    Ok(())
}

/// Number of queues that a source bucket notifies.
async fn notified(world: &World, name: &str) -> Result<usize> {
    let ask = world.s3.get_bucket_notification_configuration().bucket(format!("e2e-{name}"));
    Ok(ask.send().await?.queue_configurations().len())
}

async fn more_memory_and_the_queue_again(user: &Checkout, world: &World, late: &Feed) -> Result<()> {
    add_queue(user, "late").await?;
    user.deploy(LARGE).await?;
    for of in Function::ALL {
        let memory = function(world, of).await?.memory_size();
        ensure!(memory == Some(LARGE_MB), "{}: {memory:?}", of.name());
    }
    late.table.rest_with(&late.rows).await
}

/// Table events and the alarms' topic, once set, stay until they are switched off.
async fn events_and_topic_are_kept(user: &Checkout, world: &World) -> Result<()> {
    let on = user.deploy(&format!("{FIRST} --events --notify-topic {TOPIC}")).await?;
    ensure!(changes(&on, "Add", "AWS::Pipes::Pipe") == 1 && changes(&on, "Add", "AWS::IAM::Role") == 1, "{on}");
    ensure!(on["outputs"]["EventsPipeName"].is_string(), "{on}");
    nothing_to_change(user).await?;
    world.resource("Events").await?;
    ensure!(world.parameter("alarmTopicArn").await? == TOPIC, "the alarms notify another topic, or none");
    let off = user.deploy(&format!("{FIRST} --events off --notify-topic=")).await?;
    ensure!(changes(&off, "Remove", "AWS::Pipes::Pipe") == 1, "{off}");
    nothing_to_change(user).await?;
    ensure!(world.parameter("alarmTopicArn").await?.is_empty(), "the alarms still notify a topic");
    Ok(())
}

fn assets_bucket(world: &World) -> String {
    let info = world.stack.info();
    format!("rs-loader-assets-{}-{}", info.account, info.region)
}

async fn destroyed(user: &Checkout, world: &World, orders: &Feed) -> Result<()> {
    let words = format!("destroy --local --stack-name {STACK}");
    let unasked = user.xtask(&words).await?;
    ensure!(unasked.code == Some(3) && unasked.errors.contains("was not deleted"), "{unasked:?}");
    let said = user.must(&format!("{words} --yes")).await?;
    let (_, kept) = said.output.split_once("Kept").context("nothing is reported as kept")?;
    ensure!(kept.contains(&world.tracker) && kept.contains(&world.bucket), "{kept}");
    ensure!(orders.table.loaded().await?.len() == orders.rows.len(), "the tracker forgot loads");
    world.s3.head_bucket().bucket(&world.bucket).send().await.context("the bucket is gone")?;
    ensure!(orders.table.rows().await? == orders.rows, "the rows have changed");
    ensure!(notified(world, "orders").await? == 0, "the source bucket still notifies a queue");
    ensure!(world.sqs.list_queues().send().await?.queue_urls().is_empty(), "a queue is left");
    let functions = world.lambda.list_functions().send().await?;
    ensure!(functions.functions().is_empty(), "a function is left: {functions:?}");
    let again = user.xtask(&format!("{words} --yes")).await?;
    ensure!(again.code == Some(1) && again.errors.contains("there is no stack"), "{again:?}");
    Ok(())
}
