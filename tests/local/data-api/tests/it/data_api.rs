//! Tests of statements, client tokens, events and administration, through the SDK.

use aws_sdk_redshiftdata::error::ProvideErrorMetadata;
use aws_sdk_redshiftdata::types::{ExecutionMode, StatusString};
use serde_json::json;

use crate::support::Service;

#[tokio::test]
async fn a_batch_is_one_transaction() {
    let service = Service::start("batch-atomic").await;
    let end = service
        .succeed(&["CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2)", "SELECT a FROM t ORDER BY a"])
        .await;
    let parts = end.sub_statements();
    assert_eq!(parts.iter().filter_map(|part| part.result_rows().into()).collect::<Vec<i64>>(), [0, 2, 2]);
    assert_eq!((end.result_rows(), end.result_size(), end.redshift_query_id()), (-1, -1, 0));
    assert_eq!(end.has_result_set(), Some(true));
    assert_eq!(parts[1].id(), format!("{}:2", end.id()));

    let error = service.fail(&["INSERT INTO t VALUES (3)", "SELECT nothing FROM t", "SELECT 1"]).await;
    assert_eq!(error, "Query #2 failed with ERROR: column \"nothing\" does not exist in t");
    assert_eq!(service.rows("SELECT count(*) FROM t").await, "2");
}

#[tokio::test]
async fn a_failing_query_stops_the_rest_of_a_batch() {
    let service = Service::start("batch-guard").await;
    service.succeed(&["CREATE TABLE t (id BIGINT IDENTITY(1,1), a INT)"]).await;
    let guard = "SELECT * FROM t WHERE 1 = 0 UNION ALL SELECT id, a FROM t WHERE 1 = 0";
    service.succeed(&[guard, "INSERT INTO t (a) VALUES (1)"]).await;
    service.succeed(&["ALTER TABLE t ADD COLUMN b INT"]).await;
    let error = service.fail(&[guard, "INSERT INTO t (a) VALUES (2)"]).await;
    assert_eq!(error, "Query #1 failed with ERROR: each UNION query must have the same number of columns");
    service.succeed(&["ALTER TABLE t DROP COLUMN a"]).await;
    let error = service.fail(&[guard, "INSERT INTO t (b) VALUES (3)"]).await;
    assert_eq!(error, "Query #1 failed with ERROR: column \"a\" does not exist in t");
    let other = "SELECT * FROM t WHERE 1 = 0 UNION ALL SELECT b, 'x'::varchar FROM t WHERE 1 = 0";
    let error = service.fail(&[other]).await;
    assert_eq!(error, "Query #1 failed with ERROR: UNION types integer and character varying cannot be matched");
    assert_eq!(service.rows("SELECT count(*) FROM t").await, "1");
}

#[tokio::test]
async fn each_sub_statement_has_its_status_and_error() {
    let service = Service::start("batch-parts").await;
    let end = service.run(&["SELECT 1", "SELECT * FROM missing", "SELECT 2"]).await;
    let statuses: Vec<_> = end.sub_statements().iter().map(|part| part.status().expect("a status").as_str()).collect();
    assert_eq!(statuses, ["FINISHED", "FAILED", "ABORTED"]);
    assert_eq!(end.sub_statements()[1].error(), Some("ERROR: relation \"missing\" does not exist"));
    let part = service.describe(&format!("{}:2", end.id())).await;
    assert_eq!(part.error(), Some("ERROR: relation \"missing\" does not exist"));
}

#[tokio::test]
async fn temporary_tables_exist_until_the_batch_ends() {
    let service = Service::start("temp").await;
    service.succeed(&["CREATE TABLE t (id BIGINT IDENTITY(1,1), a INT NOT NULL)"]).await;
    service
        .succeed(&[
            "CREATE TEMP TABLE s (LIKE public.t INCLUDING DEFAULTS)",
            "INSERT INTO s VALUES (9, 1)",
            "DELETE FROM public.t USING s WHERE public.t.a = s.a",
            "INSERT INTO public.t (a) SELECT a FROM s",
        ])
        .await;
    assert_eq!(service.rows("SELECT id, a FROM t").await, "1|1");
    assert!(service.fail(&["SELECT * FROM s"]).await.contains("relation \"s\" does not exist"));
}

#[tokio::test]
async fn keys_are_not_enforced() {
    let service = Service::start("keys").await;
    service
        .succeed(&["CREATE TABLE t (a INT PRIMARY KEY DISTKEY SORTKEY) DISTSTYLE KEY", "INSERT INTO t VALUES (1), (1)"])
        .await;
    let error = service.fail(&["INSERT INTO t VALUES (NULL)"]).await;
    assert!(error.starts_with("Query #1 failed with ERROR: Cannot insert a NULL value into column a\n"), "{error}");
}

#[tokio::test]
async fn truncate_commits_the_transaction() {
    let service = Service::start("truncate").await;
    service.succeed(&["CREATE TABLE t (a INT)", "CREATE TABLE u (a INT)", "INSERT INTO t VALUES (1)"]).await;
    service.fail(&["INSERT INTO u VALUES (1)", "TRUNCATE t", "INSERT INTO u VALUES (2)", "SELECT 1/0"]).await;
    assert_eq!(service.rows("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u)").await, "0|1");
}

#[tokio::test]
async fn auto_commit_continues_after_a_failure() {
    let service = Service::start("auto-commit").await;
    service.succeed(&["CREATE TABLE t (a INT)"]).await;
    let request = service.client.batch_execute_statement().cluster_identifier("auto-commit").database("dev");
    let request = request.sqls("INSERT INTO t VALUES (1)").sqls("SELECT 1/0").sqls("INSERT INTO t VALUES (2)");
    let answer = request.execution_mode(ExecutionMode::AutoCommit).send().await.expect("accepted");
    let end = service.ended(answer.id().expect("an id")).await;
    assert_eq!(end.status(), Some(&StatusString::Failed));
    assert_eq!(service.rows("SELECT a FROM t ORDER BY a").await, "1; 2");
}

#[tokio::test]
async fn concurrent_writers_of_a_table_conflict() {
    let service = Service::start("conflict").await;
    service.succeed(&["CREATE TABLE t (a INT)", "CREATE TABLE u (a INT)"]).await;
    service.change(json!({"hold": {"name": "first", "at": "COMMIT"}})).await;
    let first = service.submit("first", &["INSERT INTO t VALUES (1)"]).await;
    while service.describe(&first).await.sub_statements()[0].status().expect("a status").as_str() != "FINISHED" {
        tokio::task::yield_now().await;
    }
    service.succeed(&["INSERT INTO u VALUES (1)"]).await;
    let error = service.fail(&["INSERT INTO t VALUES (2)"]).await;
    assert!(
        error.starts_with("Query #1 failed with ERROR: 1023 DETAIL: Serializable isolation violation on table - "),
        "{error}"
    );
    service.change(json!({"release": "first"})).await;
    assert_eq!(service.ended(&first).await.status(), Some(&StatusString::Finished));
    assert_eq!(service.rows("SELECT a FROM t").await, "1");
}

#[tokio::test]
async fn a_writer_that_locks_first_waits_instead_of_failing() {
    let service = Service::start("lock").await;
    service.succeed(&["CREATE TABLE t (a INT)"]).await;
    service.change(json!({"hold": {"name": "first", "at": "COMMIT"}})).await;
    let first = service.submit("first", &["INSERT INTO t VALUES (1)"]).await;
    while service.describe(&first).await.sub_statements()[0].status().expect("a status").as_str() != "FINISHED" {
        tokio::task::yield_now().await;
    }
    let second = service.submit("second", &["LOCK t", "INSERT INTO t SELECT COUNT(*) + 1 FROM t"]).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(service.describe(&second).await.status(), Some(&StatusString::Started));
    service.change(json!({"release": "first"})).await;
    let end = service.ended(&second).await;
    assert_eq!(end.status(), Some(&StatusString::Finished), "{:?}", end.error());
    assert_eq!(service.rows("SELECT a FROM t ORDER BY a").await, "1; 2");
}

#[tokio::test]
async fn a_repeated_client_token_returns_the_same_statement() {
    let service = Service::start("tokens").await;
    service.succeed(&["CREATE TABLE t (a INT)"]).await;
    let submit = |sql: &str| {
        let request = service.client.batch_execute_statement().cluster_identifier("tokens").database("dev");
        request.client_token("a".repeat(64)).sqls(sql).send()
    };
    let first = submit("INSERT INTO t VALUES (1)").await.expect("accepted");
    let second = submit("INSERT INTO t VALUES (1)").await.expect("accepted");
    assert_eq!(first.id(), second.id());
    let other = submit("INSERT INTO t VALUES (2)").await.expect_err("refused");
    assert_eq!(other.code(), Some("ValidationException"));
    service.ended(first.id().expect("an id")).await;
    assert_eq!(service.rows("SELECT count(*) FROM t").await, "1");

    service.change(json!({"shift_clock_seconds": 28800})).await;
    let third = submit("INSERT INTO t VALUES (1)").await.expect("accepted");
    assert_ne!(third.id(), first.id());
    service.ended(third.id().expect("an id")).await;
    service.change(json!({"shift_clock_seconds": 57600})).await;
    let forgotten =
        service.client.describe_statement().id(first.id().expect("an id")).send().await.expect_err("forgotten");
    assert_eq!(
        (forgotten.code(), forgotten.message()),
        (Some("ResourceNotFoundException"), Some("Query does not exist."))
    );
}

#[tokio::test]
async fn statements_are_listed_by_prefix_and_page() {
    let service = Service::start("list").await;
    for name in ["dev/a/1", "dev/b/1", "dev/a/2", "Dev/a/3"] {
        let id = service.submit(name, &["SELECT 1"]).await;
        service.ended(&id).await;
    }
    let failed = service.submit("dev/a/4", &["SELECT broken"]).await;
    service.ended(&failed).await;
    let list = || service.client.list_statements().statement_name("dev/a/");
    let names = |page: &aws_sdk_redshiftdata::operation::list_statements::ListStatementsOutput| -> Vec<String> {
        page.statements().iter().filter_map(|statement| statement.statement_name().map(str::to_owned)).collect()
    };
    let finished = list().send().await.expect("listed");
    assert_eq!(names(&finished), ["dev/a/2", "dev/a/1"]);
    let first = list().status(StatusString::All).max_results(2).send().await.expect("listed");
    assert_eq!(names(&first), ["dev/a/4", "dev/a/2"]);
    let token = first.next_token().expect("a next page");
    let second = list().status(StatusString::All).max_results(2).next_token(token).send().await.expect("listed");
    assert_eq!((names(&second), second.next_token()), (vec!["dev/a/1".to_owned()], None));
}

#[tokio::test]
async fn a_cancelled_statement_changes_nothing() {
    let service = Service::start("cancel").await;
    service.succeed(&["CREATE TABLE t (a INT)"]).await;
    service.change(json!({"hold": {"name": "slow", "at": "COMMIT"}})).await;
    let id = service.submit("slow", &["INSERT INTO t VALUES (1)"]).await;
    service.client.cancel_statement().id(&id).send().await.expect("cancelled");
    assert_eq!(service.ended(&id).await.status(), Some(&StatusString::Aborted));
    let again = service.client.cancel_statement().id(&id).send().await.expect_err("too late");
    assert!(
        again.message().expect("a message").starts_with("Could not cancel a query that is already in ABORTED state")
    );
    assert_eq!(service.rows("SELECT count(*) FROM t").await, "0");
}

#[tokio::test]
async fn a_test_can_make_statements_fail() {
    let service = Service::start("faults").await;
    service.succeed(&["CREATE TABLE t (a INT)"]).await;
    service.change(json!({"fail": {"name": "load", "times": 2, "error": "ERROR: disk full"}})).await;
    for expected in ["FAILED", "FAILED", "FINISHED"] {
        let id = service.submit("dev/load/1", &["INSERT INTO t VALUES (1)"]).await;
        assert_eq!(service.ended(&id).await.status().expect("a status").as_str(), expected);
    }
    service.change(json!({"fail": {"name": "", "status": "ABORTED"}, "active_limit": 1})).await;
    assert_eq!(service.run(&["SELECT 1"]).await.status(), Some(&StatusString::Aborted));
    service.change(json!({"hold": {"name": "held"}})).await;
    service.submit("held", &["SELECT 1"]).await;
    let request = service.client.batch_execute_statement().cluster_identifier("faults").database("dev");
    let refused = request.sqls("SELECT 1").send().await.expect_err("refused");
    assert_eq!(refused.code(), Some("ActiveStatementsExceededException"));
    let statements = service.statements().await;
    assert_eq!(statements[0].name.as_deref(), Some("held"));
    assert_eq!(statements[0].parts[0].sql, "SELECT 1");
}

#[tokio::test]
async fn completion_events_reach_the_targets_of_matching_rules() {
    let service = Service::start("events").await;
    let pattern = |prefix: &str| {
        json!({
            "source": ["aws.redshift-data"], "detail-type": ["Redshift Data Statement Status Change"],
            "detail": {"state": ["FINISHED", "FAILED", "ABORTED"], "statementName": [{"prefix": prefix}]}
        })
    };
    service.aws.put_rule("next-loader", &pattern("dev/"));
    service.aws.put_rule("other", &pattern("prod/"));
    service.aws.refuse_invocations(1);
    let id = service.submit("dev/t/1/1", &["SELECT 1", "SELECT 2"]).await;
    let invoked = service.aws.invocations(1).await;
    let (function, event) = &invoked[0];
    assert_eq!(function, "next-loader");
    assert_eq!(event["resources"], json!(["arn:aws:redshift:us-east-1:123456789012:cluster:events"]));
    let detail = &event["detail"];
    assert_eq!((detail["statementId"].as_str(), detail["rows"].as_i64()), (Some(id.as_str()), Some(-1)));
    assert_eq!((detail["state"].as_str(), detail.get("redshiftQueryId")), (Some("FINISHED"), None));
    assert_eq!(service.describe(&id).await.status(), Some(&StatusString::Finished));

    service.change(json!({"events": {"drop": 1, "double": 1}})).await;
    for name in ["dev/lost", "dev/twice", "dev/once"] {
        let id = service.submit(name, &["SELECT broken"]).await;
        service.ended(&id).await;
    }
    let invoked = service.aws.invocations(4).await;
    let mut names: Vec<_> = invoked.iter().filter_map(|(_, event)| event["detail"]["statementName"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["dev/once", "dev/t/1/1", "dev/twice", "dev/twice"]);
}

#[tokio::test]
async fn invalid_requests_are_refused() {
    let service = Service::start("requests").await;
    let batch = || service.client.batch_execute_statement().database("dev");
    let code = |refused: Option<&str>| refused.map(str::to_owned);
    let neither = batch().sqls("SELECT 1").send().await.expect_err("refused");
    assert_eq!(code(neither.code()).as_deref(), Some("ValidationException"));
    let both = batch().cluster_identifier("a").workgroup_name("b").sqls("SELECT 1").send().await.expect_err("refused");
    assert_eq!(both.message(), Some("ClusterIdentifier and WorkgroupName cannot be provided together."));
    let user = batch().workgroup_name("b").db_user("u").sqls("SELECT 1").send().await.expect_err("refused");
    assert_eq!(user.message(), Some("DbUser cannot be provided with WorkgroupName."));
    let many = vec!["SELECT 1".to_owned(); 41];
    let many = batch().cluster_identifier("a").set_sqls(Some(many)).send().await.expect_err("refused");
    assert!(many.message().expect("a message").contains("less than or equal to 40"));
    let long = format!("SELECT '{}'", "x".repeat(100 * 1024));
    let long = batch().cluster_identifier("a").sqls(long).send().await.expect_err("refused");
    assert!(long.message().expect("a message").contains("exceeds the maximum of 102400 bytes"));
}

#[tokio::test]
async fn values_keep_their_types() {
    let service = Service::start("values").await;
    assert_eq!(
        service.rows("SELECT 1::bigint, 1.5::float8, true, NULL, 1.50::numeric(5,2), 'x', NVL(NULL, 7)").await,
        "1|1.5|true|∅|1.50|x|7"
    );
    let request = service.client.execute_statement().cluster_identifier("values").database("dev").sql("SELECT :who");
    let who = aws_sdk_redshiftdata::types::SqlParameter::builder().name("who").value("it's").build();
    let id = request.parameters(who.expect("a parameter")).send().await.expect("accepted");
    let end = service.ended(id.id().expect("an id")).await;
    assert_eq!((end.result_rows(), end.has_result_set()), (1, Some(true)));
    let batch = service.succeed(&["SELECT 1 AS one"]).await;
    let result = service.client.get_statement_result().id(format!("{}:1", batch.id())).send().await.expect("a result");
    let column = &result.column_metadata()[0];
    assert_eq!((result.total_num_rows(), column.name(), column.type_name()), (1, Some("one"), Some("int4")));
}

#[tokio::test]
async fn clusters_and_workgroups_have_separate_tables() {
    let service = Service::start("place-one").await;
    service.succeed(&["CREATE TABLE t (a INT)"]).await;
    let other = service.client.execute_statement().workgroup_name("place-two").database("dev").sql("SELECT * FROM t");
    let id = other.send().await.expect("accepted");
    assert_eq!(service.ended(id.id().expect("an id")).await.error(), Some("ERROR: relation \"t\" does not exist"));
}

#[tokio::test]
async fn some_commands_cannot_run_in_a_transaction() {
    let service = Service::start("alone").await;
    service.succeed(&["CREATE TABLE t (a INT)", "ANALYZE t", "SET query_group TO 'x'"]).await;
    let error = service.fail(&["VACUUM t"]).await;
    assert_eq!(error, "Query #1 failed with ERROR: VACUUM cannot run inside a transaction block");
    let error = service.fail(&["ALTER TABLE t APPEND FROM u"]).await;
    assert_eq!(error, "Query #1 failed with ERROR: ALTER TABLE APPEND cannot run inside a transaction block");
    let request = service.client.execute_statement().cluster_identifier("alone").database("dev").sql("VACUUM t");
    let id = request.send().await.expect("accepted");
    assert_eq!(service.ended(id.id().expect("an id")).await.status(), Some(&StatusString::Finished));
}

#[tokio::test]
async fn a_user_without_privileges_cannot_write() {
    let service = Service::start("privileges").await;
    service.succeed(&["CREATE TABLE t (a INT)", "CREATE USER nobody_special PASSWORD 'Secret123'"]).await;
    let request = service.client.batch_execute_statement().cluster_identifier("privileges").database("dev");
    let request = request.db_user("nobody_special").sqls("INSERT INTO t VALUES (1)");
    let id = request.send().await.expect("accepted");
    let end = service.ended(id.id().expect("an id")).await;
    assert_eq!(end.error(), Some("Query #1 failed with ERROR: permission denied for relation t"));
}

#[tokio::test]
async fn the_catalog_shows_identity_columns_by_their_default() {
    let service = Service::start("catalog").await;
    let columns = "id BIGINT IDENTITY(0,2), n INT GENERATED BY DEFAULT AS IDENTITY(1,1), a INT DEFAULT 7, b INT";
    service.succeed(&[&format!("CREATE TABLE t ({columns})")]).await;
    let sql = "SELECT column_name, column_default FROM information_schema.columns \
               WHERE table_schema = 'public' AND table_name = 't' ORDER BY ordinal_position";
    let table_id = service.rows("SELECT 't'::regclass::oid").await;
    assert_eq!(
        service.rows(sql).await,
        format!(
            "id|\"identity\"({table_id}, 0, '0,2'::text); n|default_identity({table_id}, 1, '1,1'::text); a|7; b|∅"
        )
    );
}
