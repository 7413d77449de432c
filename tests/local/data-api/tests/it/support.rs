//! Shared by the tests: a PostgreSQL in a temporary folder, a minimal S3 and event bus, and a client.

mod aws;
mod postgres;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::config::Credentials;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::types::{Field, StatusString};
use local_client::{DataApiAdmin, Statement};
use local_data_api::{Latency, Settings, Standin, Warehouse, serve};
use serde_json::Value;

pub use aws::FakeAws;

pub const ROLE: &str = "IAM_ROLE 'arn:aws:iam::123456789012:role/copy'";
const WAIT_MAX: Duration = Duration::from_secs(20);

/// A stand-in with its own cluster.
pub struct Service {
    pub client: Client,
    pub aws: FakeAws,
    pub cluster: String,
    standin: Standin,
}

impl Service {
    /// Starts a stand-in. Each test needs its own `cluster`, because tests share the PostgreSQL server.
    pub async fn start(cluster: &str) -> Self {
        let server = postgres::shared();
        let aws = FakeAws::start().await;
        let settings = Settings {
            listen: "127.0.0.1:0".parse().expect("an address"),
            warehouse: Warehouse { host: server.socket.clone(), port: postgres::PORT, user: "postgres".into() },
            aws_endpoint: aws.url.clone(),
            region: "us-east-1".into(),
            account: "123456789012".into(),
            latency: Latency { queued_millis: 1, started_millis: 1 },
        };
        let standin = serve(settings).await.expect("the stand-in starts");
        let shared = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::new("us-east-1"))
            .endpoint_url(standin.url())
            .credentials_provider(Credentials::new("caller", "secret", None, None, "test"))
            .load()
            .await;
        Self { client: Client::new(&shared), aws, cluster: cluster.to_owned(), standin }
    }

    /// Submits a batch and returns its statement id.
    pub async fn submit(&self, name: &str, sqls: &[&str]) -> String {
        let request = self.client.batch_execute_statement().cluster_identifier(&self.cluster).database("dev");
        let request = request.db_user("loader").statement_name(name).with_event(true);
        let sqls = sqls.iter().map(|sql| (*sql).to_owned()).collect();
        let answer = request.set_sqls(Some(sqls)).send().await.expect("accepted");
        answer.id().expect("an id").to_owned()
    }

    /// Runs a batch to its end.
    pub async fn run(&self, sqls: &[&str]) -> DescribeStatementOutput {
        let id = self.submit("test", sqls).await;
        self.ended(&id).await
    }

    pub async fn succeed(&self, sqls: &[&str]) -> DescribeStatementOutput {
        let end = self.run(sqls).await;
        assert_eq!(end.status(), Some(&StatusString::Finished), "{:?}", end.error());
        end
    }

    /// Runs a batch that fails, and returns its error.
    pub async fn fail(&self, sqls: &[&str]) -> String {
        let end = self.run(sqls).await;
        assert_eq!(end.status(), Some(&StatusString::Failed));
        end.error().expect("an error").to_owned()
    }

    pub async fn describe(&self, id: &str) -> DescribeStatementOutput {
        self.client.describe_statement().id(id).send().await.expect("described")
    }

    pub async fn ended(&self, id: &str) -> DescribeStatementOutput {
        let end = async {
            loop {
                let description = self.describe(id).await;
                if matches!(
                    description.status(),
                    Some(StatusString::Finished | StatusString::Failed | StatusString::Aborted)
                ) {
                    return description;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WAIT_MAX, end).await.expect("the statement ends")
    }

    /// The rows of a query, joined by `; `. Fields are joined by `|`, and NULL is `∅`.
    pub async fn rows(&self, sql: &str) -> String {
        let request = self.client.execute_statement().cluster_identifier(&self.cluster).database("dev");
        let id = request.sql(sql).send().await.expect("accepted").id().expect("an id").to_owned();
        let end = self.ended(&id).await;
        assert_eq!(end.status(), Some(&StatusString::Finished), "{:?}", end.error());
        let result = self.client.get_statement_result().id(&id).send().await.expect("a result");
        let row = |row: &Vec<Field>| row.iter().map(show).collect::<Vec<_>>().join("|");
        result.records().iter().map(row).collect::<Vec<_>>().join("; ")
    }

    /// Changes settings of the stand-in.
    pub async fn change(&self, settings: Value) {
        DataApiAdmin::new(&self.standin.url()).change(&settings).await.expect("changed");
    }

    /// The statements that the stand-in remembers, newest first.
    pub async fn statements(&self) -> Vec<Statement> {
        DataApiAdmin::new(&self.standin.url()).statements().await.expect("a list")
    }
}

fn show(field: &Field) -> String {
    match field {
        Field::StringValue(text) => text.clone(),
        Field::LongValue(number) => number.to_string(),
        Field::DoubleValue(number) => number.to_string(),
        Field::BooleanValue(value) => value.to_string(),
        Field::IsNull(_) => "∅".to_owned(),
        other => format!("{other:?}"),
    }
}
