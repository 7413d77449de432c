//! Signatures and policies are checked, for the Data API as well.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use local_client::StackInfo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::{create_function, dynamodb, invoke, private_folder, redshift_data, start};

/// Calls IAM as the root user, whose signature is not verified.
async fn iam(info: &StackInfo, parameters: &[(&str, &str)]) {
    let encode = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    let form = parameters.iter().map(encode).collect::<Vec<_>>().join("&");
    let now = time::OffsetDateTime::now_utc();
    let day = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
    let request = Request::post(&info.endpoint)
        .header("x-amz-date", format!("{day}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second()))
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential=test/{day}/us-east-1/iam/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={:064}",
                0
            ),
        )
        .body(Full::new(Bytes::from(form)))
        .expect("a valid request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let status = client.request(request).await.expect("a response").status();
    assert!(status.is_success(), "{parameters:?}: {status}");
}

async fn put_policy(info: &StackInfo, actions: &[&str]) {
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": actions, "Resource": "*"}]});
    let policy = policy.to_string();
    iam(
        info,
        &[("Action", "PutRolePolicy"), ("RoleName", "execution"), ("PolicyName", "p"), ("PolicyDocument", &policy)],
    )
    .await;
}

/// The credentials of a function.
async fn credentials_of(info: &StackInfo, function: &str) -> [String; 3] {
    let environment: Value = invoke(info, function, &json!({})).await.expect("the function succeeds");
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
        .map(|name| environment[name].as_str().expect("a text").to_owned())
}

#[tokio::test]
async fn calls_without_permission_or_valid_signature_are_refused() {
    let dir = private_folder();
    let stack = start(dir.path(), true).await;
    let info = stack.info();
    let trust = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}"#;
    iam(info, &[("Action", "CreateRole"), ("RoleName", "execution"), ("AssumeRolePolicyDocument", trust)]).await;
    put_policy(info, &["dynamodb:ListTables", "redshift-data:ExecuteStatement", "redshift:GetClusterCredentials"])
        .await;
    create_function(info, "loader", "execution").await;
    let credentials = credentials_of(info, "loader").await;
    let tables = dynamodb(&info.functions_endpoint, Some(credentials.clone()));
    let statements = redshift_data(&info.functions_endpoint, Some(credentials.clone()));
    let submit = || statements.execute_statement().cluster_identifier("c").database("d").db_user("u").sql("select 1");
    tables.list_tables().send().await.expect("allowed");
    submit().send().await.expect("allowed");

    let failure = format!("{:?}", statements.list_statements().send().await.expect_err("not allowed"));
    assert!(failure.contains("AccessDeniedException") && failure.contains("redshift-data:ListStatements"), "{failure}");

    put_policy(info, &["redshift-data:ExecuteStatement"]).await;
    let failure = format!("{:?}", tables.list_tables().send().await.expect_err("no longer allowed"));
    assert!(failure.contains("AccessDenied"), "{failure}");
    let failure = format!("{:?}", submit().send().await.expect_err("no longer allowed"));
    assert!(failure.contains("redshift:GetClusterCredentials"), "{failure}");

    let [key, _, token] = credentials;
    let forged = redshift_data(&info.functions_endpoint, Some([key, "wrong".into(), token]));
    let failure = format!("{:?}", forged.list_statements().send().await.expect_err("a bad signature"));
    assert!(failure.contains("InvalidSignatureException"), "{failure}");
    stack.stop().await.expect("the stack stops");
}
