//! `GetStatementResult`: the rows of a query.

use serde::Deserialize;
use serde_json::{Value, json};

use super::find;
use crate::app::App;
use crate::errors::ServiceError;
use crate::statement::{ResultSet, Status};

/// Rows in a page of `GetStatementResult`. The service limits bytes instead.
const RESULT_PAGE_ROWS: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetResult {
    id: String,
    next_token: Option<String>,
}

pub fn get_statement_result(app: &App, request: &GetResult) -> Result<Value, ServiceError> {
    let (statement, part) = find(app, &request.id)?;
    let result = match part {
        None if statement.is_batch() => None,
        part => statement.parts[part.unwrap_or_default()].result.clone(),
    };
    let Some(result) = result.filter(|_| statement.status == Status::Finished) else {
        return Err(ServiceError::ResourceNotFound {
            message: "Query does not have result. Please check query status with DescribeStatement.".to_owned(),
            resource: request.id.clone(),
        });
    };
    let start = offset(request.next_token.as_deref())?;
    let page: Vec<Value> =
        result.rows.iter().skip(start).take(RESULT_PAGE_ROWS).map(|row| fields(&result, row)).collect();
    let end = start + page.len();
    let mut answer = json!({
        "Records": page,
        "ColumnMetadata": result.columns.iter().map(|column| json!({
            "name": column.name, "label": column.name, "typeName": column.type_name, "length": 0, "nullable": 1,
            "precision": 0, "scale": 0, "schemaName": "", "tableName": "", "isCaseSensitive": false,
            "isCurrency": false, "isSigned": false,
        })).collect::<Vec<_>>(),
        "TotalNumRows": result.rows.len(),
    });
    if end < result.rows.len() {
        answer["NextToken"] = json!(end.to_string());
    }
    Ok(answer)
}

fn offset(token: Option<&str>) -> Result<usize, ServiceError> {
    token.map_or(Ok(0), |token| token.parse().map_err(|_| ServiceError::validation("NextToken is not valid.")))
}

fn fields(result: &ResultSet, row: &[Option<String>]) -> Value {
    let field = |(index, value): (usize, &Option<String>)| {
        let Some(text) = value else { return json!({"isNull": true}) };
        match result.columns.get(index).map_or("", |column| column.type_name.as_str()) {
            "int2" | "int4" | "int8" | "oid" => json!({"longValue": text.parse::<i64>().unwrap_or_default()}),
            "float4" | "float8" => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => json!({"doubleValue": number}),
                _ => json!({"doubleValue": text}),
            },
            "bool" => json!({"booleanValue": text == "t"}),
            _ => json!({"stringValue": text}),
        }
    };
    row.iter().enumerate().map(field).collect()
}
