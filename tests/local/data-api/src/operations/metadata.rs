//! The operations on the catalog: `DescribeTable`, `ListTables`, `ListSchemas`, `ListDatabases`.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Address;
use crate::app::App;
use crate::errors::ServiceError;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    address: Address,
    schema: Option<String>,
    table: Option<String>,
    schema_pattern: Option<String>,
    table_pattern: Option<String>,
}

async fn rows(
    app: &App,
    address: Address,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, ServiceError> {
    let database = address.connection()?.postgres_database();
    let lost = |error: tokio_postgres::Error| ServiceError::DatabaseConnection(error.to_string());
    let client = app.databases.connect(&database).await.map_err(lost)?;
    client.query(sql, values).await.map_err(lost)
}

pub async fn describe_table(app: &App, request: Request) -> Result<Value, ServiceError> {
    const SQL: &str = "
        SELECT column_name::text, udt_name::text, is_nullable = 'YES', table_schema::text,
               coalesce(character_maximum_length, numeric_precision, 0), coalesce(numeric_scale, 0)
        FROM information_schema.columns
        WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position";
    let schema = request.schema.unwrap_or_else(|| "public".to_owned());
    let table = request.table.ok_or_else(|| ServiceError::validation("Table must be provided."))?;
    let found = rows(app, request.address, SQL, &[&schema, &table]).await?;
    let columns = found.iter().map(|row| {
        json!({
            "name": row.get::<_, String>(0), "label": row.get::<_, String>(0), "typeName": row.get::<_, String>(1),
            "nullable": i32::from(row.get::<_, bool>(2)), "schemaName": row.get::<_, String>(3), "tableName": table,
            "length": row.get::<_, i32>(4), "precision": row.get::<_, i32>(4), "scale": row.get::<_, i32>(5),
        })
    });
    Ok(json!({"TableName": table, "ColumnList": columns.collect::<Vec<_>>()}))
}

pub async fn list_tables(app: &App, request: Request) -> Result<Value, ServiceError> {
    const SQL: &str = "
        SELECT table_schema::text, table_name::text, CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END
        FROM information_schema.tables
        WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_schema LIKE $1 AND table_name LIKE $2
        ORDER BY 1, 2";
    let schema = request.schema_pattern.unwrap_or_else(|| "%".to_owned());
    let table = request.table_pattern.unwrap_or_else(|| "%".to_owned());
    let found = rows(app, request.address, SQL, &[&schema, &table]).await?;
    let table = |row: &Row| json!({"schema": row.get::<_, String>(0), "name": row.get::<_, String>(1), "type": row.get::<_, String>(2)});
    Ok(json!({"Tables": found.iter().map(table).collect::<Vec<_>>()}))
}

pub async fn list_schemas(app: &App, request: Request) -> Result<Value, ServiceError> {
    const SQL: &str = "SELECT schema_name::text FROM information_schema.schemata WHERE schema_name LIKE $1 ORDER BY 1";
    let pattern = request.schema_pattern.unwrap_or_else(|| "%".to_owned());
    let found = rows(app, request.address, SQL, &[&pattern]).await?;
    Ok(json!({"Schemas": found.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()}))
}

pub async fn list_databases(app: &App, request: Request) -> Result<Value, ServiceError> {
    const SQL: &str = "
        SELECT substr(datname, length($1) + 2)::text FROM pg_database WHERE starts_with(datname, $1 || '.') ORDER BY 1";
    let warehouse = request.address.cluster_identifier.clone().or_else(|| request.address.workgroup_name.clone());
    let found = rows(app, request.address, SQL, &[&warehouse.unwrap_or_default()]).await?;
    Ok(json!({"Databases": found.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()}))
}
