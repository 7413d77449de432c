//! Tests of COPY.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use crate::support::{ROLE, Service};

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

fn ids(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

#[tokio::test]
async fn parquet_files_are_loaded_by_manifest() {
    let service = Service::start("copy-parquet").await;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", ids(vec![1, 2])),
        ("n", Arc::new(Int32Array::from(vec![Some(7), None]))),
        ("name", Arc::new(StringArray::from(vec![Some("tab\tand\\ü"), None]))),
        ("price", Arc::new(Decimal128Array::from(vec![1250, -5]).with_precision_and_scale(10, 2).expect("a decimal"))),
        ("ratio", Arc::new(Float64Array::from(vec![0.5, 1e300]))),
        ("ok", Arc::new(BooleanArray::from(vec![true, false]))),
        ("day", Arc::new(Date32Array::from(vec![0, 20_000]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_500_000, 0]))),
    ];
    service.aws.put("data/t/key with space+ü.parquet", parquet(columns));
    service.aws.put_manifest("data/manifest", &["data/t/key with space+ü.parquet", "data/t/key with space+ü.parquet"]);
    service.succeed(&["CREATE TABLE t (id BIGINT, n INT, name VARCHAR(20), price DECIMAL(10,2), ratio FLOAT8, ok BOOL, day DATE, at TIMESTAMP)"]).await;
    let end = service
        .succeed(&[
            &format!("COPY public.t FROM 's3://data/manifest' {ROLE} FORMAT AS PARQUET MANIFEST"),
            "SELECT pg_last_copy_count()",
        ])
        .await;
    assert_eq!(end.sub_statements()[0].result_rows(), 4);
    assert_eq!(
        service.rows("SELECT DISTINCT * FROM t ORDER BY id").await,
        "1|7|tab\tand\\ü|12.50|0.5|true|1970-01-01|1970-01-01 00:00:01.5; 2|∅|∅|-0.05|1e+300|false|2024-10-04|1970-01-01 00:00:00"
            .replace("1e+300", &1e300_f64.to_string())
    );
}

#[tokio::test]
async fn parquet_files_that_do_not_match_the_table_fail() {
    let service = Service::start("copy-misfit").await;
    service.succeed(&["CREATE TABLE t (id BIGINT, name VARCHAR(3))"]).await;
    let names = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    service.aws.put("b/one.parquet", parquet(vec![("id", ids(vec![1]))]));
    service.aws.put("b/type.parquet", parquet(vec![("id", names("1")), ("name", names("x"))]));
    service.aws.put("b/long.parquet", parquet(vec![("id", ids(vec![1])), ("name", names("long"))]));
    service.aws.put("b/text.parquet", "not parquet at all");
    let copy = async |file: &str| service.fail(&[&format!("COPY t FROM 's3://b/{file}' {ROLE} PARQUET")]).await;
    let error = copy("one.parquet").await;
    assert!(error.starts_with("Query #1 failed with ERROR: Spectrum Scan Error\n"), "{error}");
    assert!(
        error
            .contains("Table columns: 2, Data columns: 1, File name: https://s3.us-east-1.amazonaws.com/b/one.parquet"),
        "{error}"
    );
    let error = copy("type.parquet").await;
    assert!(error.contains("has an incompatible Parquet schema for column 's3://b/type.parquet.id'. Column type: BIGINT, Parquet schema:\\noptional byte_array id [i:0 d:1 r:0]"), "{error}");
    assert!(copy("long.parquet").await.contains(
        "The length of the data column name is longer than the length defined in the table. Table: 3, Data: 4"
    ));
    assert!(
        copy("text.parquet")
            .await
            .contains("File 'https://s3.us-east-1.amazonaws.com/b/text.parquet' has an invalid version number.")
    );
    assert_eq!(service.rows("SELECT count(*) FROM t").await, "0");
}

#[tokio::test]
async fn bad_csv_rows_are_recorded_and_count_towards_maxerror() {
    let service = Service::start("copy-csv").await;
    service.succeed(&["CREATE TABLE sales (id INT NOT NULL, name VARCHAR(5), day DATE)"]).await;
    service.aws.put("b/in/1.csv", "id,name,day\n1,\"a,b\",2026-01-31\n2,,\n");
    service.aws.put(
        "b/in/2.csv",
        "id,name,day\nx,a,2026-01-31\n3,toolong,2026-01-31\n,a,2026-01-31\n4,a,31.1.2026\n5,a\n6,a,2026-01-31,9\n",
    );
    let copy = format!("COPY sales FROM 's3://b/in/' {ROLE} CSV IGNOREHEADER 1");
    let error = service.fail(&[&copy]).await;
    assert_eq!(
        error,
        "Query #1 failed with ERROR: Load into table 'sales' failed.  Check 'sys_load_error_detail' system table for details."
    );
    assert_eq!(
        service.rows("SELECT line_number, column_name, error_code, error_message FROM sys_load_error_detail ORDER BY line_number").await,
        "2|id|1207|Invalid digit, Value 'x', Pos 0, Type: Integer; 3|name|1204|String length exceeds DDL length; \
         4|id|1213|Missing data for not-null field; 5|day|1205|Invalid Date Format - length must be 10 or more; \
         6||1214|Delimiter not found; 7||1202|Extra column(s) found"
    );
    assert_eq!(service.rows("SELECT DISTINCT filename FROM stl_load_errors").await, "s3://b/in/2.csv");
    assert_eq!(service.rows("SELECT count(*) FROM sales").await, "0");
    let end = service.succeed(&[&format!("{copy} MAXERROR 10")]).await;
    assert_eq!(end.sub_statements()[0].result_rows(), 2);
    assert_eq!(service.rows("SELECT * FROM sales ORDER BY id").await, "1|a,b|2026-01-31; 2||∅");
}

#[tokio::test]
async fn compressed_text_is_loaded_into_a_column_list() {
    let service = Service::start("copy-gzip").await;
    service.succeed(&["CREATE TABLE t (id BIGINT IDENTITY(1,1), a INT DEFAULT 5, b VARCHAR(9))"]).await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"x\ny\n").expect("compressed");
    service.aws.put("b/t.gz", gzip.finish().expect("compressed"));
    service.succeed(&[&format!("COPY t (b) FROM 's3://b/t.gz' {ROLE} GZIP")]).await;
    service.aws.put("b/t.txt", "7|z\n");
    service.succeed(&[&format!("COPY t FROM 's3://b/t.txt' {ROLE} DELIMITER '|'")]).await;
    assert_eq!(service.rows("SELECT * FROM t ORDER BY id").await, "1|5|x; 2|5|y; 3|7|z");
    let error = service.fail(&[&format!("COPY t FROM 's3://b/t.txt' {ROLE} GZIP")]).await;
    assert!(error.contains("S3 key being read : s3://b/t.txt"), "{error}");
}

#[tokio::test]
async fn json_is_loaded_by_name_and_by_path() {
    let service = Service::start("copy-json").await;
    service.succeed(&["CREATE TABLE t (id INT, name VARCHAR(9), more SUPER)"]).await;
    service.aws.put("b/t.json", r#"{"ID": 1, "name": "a", "more": {"k": [1]}} {"id": "2"}"#);
    service.aws.put("b/paths", r#"{"jsonpaths": ["$.id", "$['name']", "$.more.k[0]"]}"#);
    service.succeed(&[&format!("COPY t FROM 's3://b/t.json' {ROLE} FORMAT AS JSON 'auto ignorecase'")]).await;
    service.succeed(&[&format!("COPY t FROM 's3://b/t.json' {ROLE} JSON 's3://b/paths'")]).await;
    assert_eq!(service.rows("SELECT * FROM t ORDER BY id, name").await, "1|a|{\"k\": [1]}; 2|∅|∅; 2|∅|∅; ∅|a|1");
}

#[tokio::test]
async fn manifests_are_enforced() {
    let service = Service::start("copy-manifest").await;
    service.succeed(&["CREATE TABLE t (a INT)"]).await;
    let copy = format!("COPY t FROM 's3://b/m' {ROLE} CSV MANIFEST");
    let error = service.fail(&[&copy]).await;
    assert!(error.contains("ERROR: Problem reading manifest file - S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey,"), "{error}");

    service.aws.put("b/m", "{");
    assert!(service.fail(&[&copy]).await.contains("ERROR: Manifest file is not in correct json format"));

    service.aws.put("b/m", json!({"entries": [{"url": "s3://b/gone", "mandatory": true}]}).to_string());
    let error = service.fail(&[&copy]).await;
    assert!(
        error.contains("ERROR: S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey,Rid "),
        "{error}"
    );
    assert!(error.contains("s3://b/gone"), "{error}");

    service.aws.put("b/m", json!({"entries": [{"url": "s3://b/gone"}]}).to_string());
    assert!(service.fail(&[&copy]).await.contains("does not exist"));

    service.aws.put("b/here", "1\n");
    service.aws.put("b/m", json!({"entries": [{"url": "s3://b/gone"}, {"url": "s3://b/here"}]}).to_string());
    service.succeed(&[&copy]).await;
    assert_eq!(service.rows("SELECT * FROM t").await, "1");

    let columnar = format!("COPY t FROM 's3://b/m' {ROLE} PARQUET MANIFEST");
    assert!(service.fail(&[&columnar]).await.contains("File entry does not have 'meta' key."));
    service.aws.put("b/m", json!({"entries": [{"url": "s3://b/here", "meta": {"content_length": 3}}]}).to_string());
    assert!(service.fail(&[&columnar]).await.contains("the manifest says 3 bytes, the object has 2"));
}

#[tokio::test]
async fn copy_is_part_of_the_transaction() {
    let service = Service::start("copy-transaction").await;
    service.succeed(&["CREATE TABLE t (id INT, v INT)", "INSERT INTO t VALUES (1, 1), (2, 2)"]).await;
    service.aws.put("b/t.csv", "2,20\n3,30\n");
    let stage = format!("COPY s FROM 's3://b/t.csv' {ROLE} CSV");
    let merge = [
        "CREATE TEMP TABLE s (LIKE public.t)",
        &stage,
        "DELETE FROM public.t USING s WHERE t.id = s.id",
        "INSERT INTO public.t SELECT * FROM s",
    ];
    service.fail(&[&merge[..], &["SELECT 1/0"]].concat()).await;
    assert_eq!(service.rows("SELECT id, v FROM t ORDER BY id").await, "1|1; 2|2");
    service.succeed(&merge).await;
    assert_eq!(service.rows("SELECT id, v FROM t ORDER BY id").await, "1|1; 2|20; 3|30");
    let error = service.fail(&[&format!("COPY missing FROM 's3://b/t.csv' {ROLE} CSV")]).await;
    assert_eq!(error, "Query #1 failed with ERROR: Cannot COPY into nonexistent table missing");
}

#[tokio::test]
async fn only_an_attached_role_can_be_used() {
    let service = Service::start("copy-role").await;
    service.succeed(&["CREATE TABLE t (a INT)"]).await;
    service.aws.put("b/t.csv", "1\n");
    let copy = |role: &str| format!("COPY t FROM 's3://b/t.csv' IAM_ROLE {role} CSV");
    service.succeed(&[&copy("'arn:aws:iam::123456789012:role/any'")]).await;

    service.change(json!({"roles": ["arn:aws:iam::123456789012:role/copy"]})).await;
    service.succeed(&[&copy("'arn:aws:iam::123456789012:role/copy'"), &copy("default")]).await;
    let error = service.fail(&[&copy("'arn:aws:iam::123456789012:role/any'")]).await;
    let expected = "Query #1 failed with ERROR: User arn:aws:redshift:us-east-1:123456789012:dbuser:copy-role/loader is not authorized to assume IAM Role arn:aws:iam::123456789012:role/any\n";
    assert!(error.starts_with(expected), "{error}");

    service.change(json!({"roles": []})).await;
    assert!(service.fail(&[&copy("default")]).await.contains("No default IAM role"));
    assert_eq!(service.rows("SELECT count(*) FROM t").await, "3");
}

#[tokio::test]
async fn noload_checks_but_loads_nothing() {
    let service = Service::start("copy-noload").await;
    service.succeed(&["CREATE TABLE t (a INT)"]).await;
    service.aws.put("b/x/t.csv", "1\n");
    service.succeed(&[&format!("COPY t FROM 's3://b/x/' {ROLE} CSV NOLOAD")]).await;
    let error = service.fail(&[&format!("COPY t FROM 's3://b/x/none' {ROLE} CSV NOLOAD")]).await;
    assert!(
        error.starts_with("Query #1 failed with ERROR: The specified S3 prefix 'x/none' does not exist\n"),
        "{error}"
    );
    assert_eq!(service.rows("SELECT count(*) FROM t").await, "0");
    service.succeed(&["CREATE USER copy_noload PASSWORD 'Abcdefg1'"]).await;
    let request = service.client.execute_statement().cluster_identifier(&service.cluster).database("dev");
    let request = request.db_user("copy_noload").sql(format!("COPY t FROM 's3://b/x/none' {ROLE} CSV NOLOAD"));
    let end = service.ended(request.send().await.expect("accepted").id().expect("an id")).await;
    assert_eq!(end.error(), Some("ERROR: permission denied for relation t"));
}

#[tokio::test]
async fn an_unsupported_format_is_a_limit_of_the_stand_in() {
    let service = Service::start("copy-orc").await;
    service.succeed(&["CREATE TABLE t (id INT)"]).await;
    let error = service.fail(&[&format!("COPY t FROM 's3://b/t' {ROLE} ORC")]).await;
    assert_eq!(
        error,
        "Query #1 failed with ERROR: stand-in limit: cannot decode ORC files (Redshift itself may accept this)"
    );
}
