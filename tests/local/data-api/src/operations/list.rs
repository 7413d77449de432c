//! `ListStatements`: newest first, filtered by name prefix, status, warehouse and database.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{constraint, seconds};
use crate::app::App;
use crate::errors::ServiceError;
use crate::statement::Statement;

const LIST_PAGE_MAX: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ListStatements {
    statement_name: Option<String>,
    status: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
    cluster_identifier: Option<String>,
    workgroup_name: Option<String>,
    database: Option<String>,
}

impl ListStatements {
    /// By default only finished statements are listed.
    fn selects(&self, statement: &Statement) -> bool {
        let submission = &statement.submission;
        let status = self.status.as_deref().unwrap_or("FINISHED");
        let warehouse = self.cluster_identifier.as_ref().or(self.workgroup_name.as_ref());
        (status == "ALL" || status == statement.status.name())
            && self
                .statement_name
                .as_ref()
                .is_none_or(|prefix| submission.name.as_deref().unwrap_or_default().starts_with(prefix))
            && warehouse.is_none_or(|warehouse| warehouse.ends_with(submission.connection.warehouse()))
            && self.database.as_ref().is_none_or(|database| *database == submission.connection.database)
    }
}

pub fn list_statements(app: &App, request: &ListStatements) -> Result<Value, ServiceError> {
    const STATUSES: [&str; 7] = ["SUBMITTED", "PICKED", "STARTED", "FINISHED", "ABORTED", "FAILED", "ALL"];
    if request.status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(constraint("status", &format!("Member must satisfy enum value set: [{}]", STATUSES.join(", "))));
    }
    if request.cluster_identifier.is_some() && request.workgroup_name.is_some() {
        return Err(ServiceError::validation("ClusterIdentifier and WorkgroupName cannot be provided together."));
    }
    let size = request.max_results.filter(|size| *size > 0).unwrap_or(LIST_PAGE_MAX);
    if size > LIST_PAGE_MAX {
        return Err(constraint("maxResults", "Member must have value less than or equal to 100"));
    }
    let all = app.store.all(app.clock.now());
    // The token is the last statement of the previous page, so that statements submitted meanwhile do not shift the pages.
    let start = match request.next_token.as_deref().filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            1 + all
                .iter()
                .position(|statement| statement.id == token)
                .ok_or_else(|| ServiceError::validation("NextToken is not valid."))?
        }
    };
    let mut selected = all[start..].iter().filter(|statement| request.selects(statement));
    let page: Vec<&Statement> = selected.by_ref().take(size).collect();
    let mut answer = json!({"Statements": page.iter().map(|statement| listed(statement)).collect::<Vec<_>>()});
    if let (Some(last), Some(_)) = (page.last(), selected.next()) {
        answer["NextToken"] = json!(last.id);
    }
    Ok(answer)
}

fn listed(statement: &Statement) -> Value {
    let submission = &statement.submission;
    let mut shown = Map::from_iter([
        ("Id".to_owned(), json!(statement.id)),
        ("Status".to_owned(), json!(statement.status.name())),
        ("CreatedAt".to_owned(), json!(seconds(statement.created))),
        ("UpdatedAt".to_owned(), json!(seconds(statement.updated))),
        ("IsBatchStatement".to_owned(), json!(statement.is_batch())),
        ("ResultFormat".to_owned(), json!("JSON")),
    ]);
    if let Some(name) = &submission.name {
        shown.insert("StatementName".to_owned(), json!(name));
    }
    if let Some(arn) = &submission.connection.secret_arn {
        shown.insert("SecretArn".to_owned(), json!(arn));
    }
    if statement.is_batch() {
        shown.insert("QueryStrings".to_owned(), json!(submission.sqls));
    } else {
        shown.insert("QueryString".to_owned(), json!(submission.sqls[0]));
    }
    Value::Object(shown)
}
