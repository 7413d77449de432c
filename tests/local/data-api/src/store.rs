//! Statements and client tokens, and how long each is remembered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_postgres::CancelToken;

use crate::clock::Millis;
use crate::errors::ServiceError;
use crate::plan::Parameter;

/// A client token is remembered for 8 hours.
const TOKEN_AGE_MILLIS_MAX: Millis = 8 * 3600 * 1000;
/// A statement and its result are remembered for 24 hours.
pub const STATEMENT_AGE_MILLIS_MAX: Millis = 24 * 3600 * 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Submitted,
    Picked,
    Started,
    Finished,
    Failed,
    Aborted,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Picked => "PICKED",
            Self::Started => "STARTED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }

    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Aborted)
    }
}

/// Which database, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    pub cluster: Option<String>,
    /// As it was given: a name or an ARN.
    pub workgroup: Option<String>,
    pub database: String,
    pub db_user: Option<String>,
    pub secret_arn: Option<String>,
}

impl Connection {
    /// Cluster or workgroup, by name.
    pub fn warehouse(&self) -> &str {
        match (&self.cluster, &self.workgroup) {
            (Some(cluster), _) => cluster,
            (None, Some(workgroup)) => workgroup.rsplit(['/', ':']).next().unwrap_or(workgroup),
            (None, None) => "",
        }
    }

    /// The name of the PostgreSQL database.
    pub fn postgres_database(&self) -> String {
        format!("{}.{}", self.warehouse(), self.database)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// One statement (`ExecuteStatement`).
    Single,
    /// A batch in one transaction.
    Transaction,
    /// A batch with one transaction per SQL statement.
    AutoCommit,
}

/// What was submitted. Two requests with the same token must agree in all of it.
#[derive(Clone, Debug, Serialize)]
pub struct Submission {
    pub connection: Connection,
    pub sqls: Vec<String>,
    pub parameters: Vec<Parameter>,
    pub name: Option<String>,
    pub with_event: bool,
    pub mode: Mode,
    /// Who submitted; not part of what a token stands for.
    #[serde(skip)]
    pub principal: String,
}

#[derive(Clone, Debug)]
pub struct ResultColumn {
    pub name: String,
    pub type_name: String,
}

#[derive(Clone, Debug, Default)]
pub struct ResultSet {
    pub columns: Vec<ResultColumn>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// One SQL statement of a submission.
#[derive(Clone, Debug)]
pub struct Part {
    pub query_id: i64,
    pub status: Status,
    pub error: Option<String>,
    /// -1 as long as there is none.
    pub rows: i64,
    pub size: i64,
    pub duration_nanos: i64,
    pub created: Millis,
    pub updated: Millis,
    pub result: Option<Arc<ResultSet>>,
}

#[derive(Clone, Debug)]
pub struct Statement {
    pub id: String,
    pub submission: Arc<Submission>,
    pub status: Status,
    pub error: Option<String>,
    pub duration_nanos: i64,
    pub created: Millis,
    pub updated: Millis,
    pub parts: Vec<Part>,
    pub cancellation: Arc<Cancellation>,
}

impl Statement {
    pub fn is_batch(&self) -> bool {
        self.submission.mode != Mode::Single
    }
}

const RUNNING: u8 = 0;
const CANCELLED: u8 = 1;
const COMMITTING: u8 = 2;

/// Either a statement is cancelled or it reaches its commit, never both.
#[derive(Default)]
pub struct Cancellation {
    state: AtomicU8,
    wake: Notify,
    token: Mutex<Option<CancelToken>>,
}

impl std::fmt::Debug for Cancellation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Cancellation").field(&self.state).finish()
    }
}

impl Cancellation {
    /// False: too late.
    pub fn cancel(&self) -> bool {
        let cancelled = self.state.compare_exchange(RUNNING, CANCELLED, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if cancelled {
            self.wake.notify_one();
        }
        cancelled
    }

    /// False: the statement was cancelled and must not commit.
    pub fn may_commit(&self) -> bool {
        self.state.compare_exchange(RUNNING, COMMITTING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            || self.state.load(Ordering::SeqCst) == COMMITTING
    }

    /// After a commit in the middle of a batch the rest may be cancelled again.
    pub fn resume(&self) {
        let _ = self.state.compare_exchange(COMMITTING, RUNNING, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub async fn cancelled(&self) {
        while self.state.load(Ordering::SeqCst) != CANCELLED {
            self.wake.notified().await;
        }
    }

    pub fn remember(&self, token: CancelToken) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    pub fn token(&self) -> Option<CancelToken> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Default)]
struct State {
    /// Oldest first.
    statements: Vec<Statement>,
    tokens: HashMap<String, Token>,
    queries: i64,
}

struct Token {
    statement: Statement,
    fingerprint: [u8; 32],
    created: Millis,
}

#[derive(Default)]
pub struct Store {
    state: Mutex<State>,
}

impl Store {
    /// Query ids begin here: load errors outlive the stand-in, so an id must not come twice.
    pub fn starting_at(query_id: i64) -> Self {
        Self { state: Mutex::new(State { queries: query_id, ..State::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The statement of this submission, and whether it is a new one that has to be run.
    pub fn submit(
        &self,
        submission: Submission,
        token: Option<String>,
        now: Millis,
        active_limit: usize,
    ) -> Result<(Statement, bool), ServiceError> {
        let mut state = self.lock();
        state.forget(now);
        let fingerprint = fingerprint(&submission);
        if let Some(known) = token.as_ref().and_then(|token| state.tokens.get(token)) {
            if known.fingerprint == fingerprint {
                return Ok((known.statement.clone(), false));
            }
            let text = "Idempotency token was already used with different request parameters.";
            return Err(ServiceError::validation(text));
        }
        if state.active(submission.connection.warehouse()) >= active_limit {
            let text = format!("Active statements exceeded the allowed quota ({active_limit}).");
            return Err(ServiceError::ActiveStatementsExceeded(text));
        }
        let statement = state.add(submission, now);
        if let Some(token) = token {
            state.tokens.insert(token, Token { statement: statement.clone(), fingerprint, created: now });
        }
        Ok((statement, true))
    }

    pub fn get(&self, id: &str, now: Millis) -> Option<Statement> {
        let mut state = self.lock();
        state.forget(now);
        state.statements.iter().find(|statement| statement.id == id).cloned()
    }

    /// Newest first.
    pub fn all(&self, now: Millis) -> Vec<Statement> {
        let mut state = self.lock();
        state.forget(now);
        state.statements.iter().rev().cloned().collect()
    }

    /// Changes a statement and marks the time; a forgotten one is left alone.
    pub fn update(&self, id: &str, now: Millis, change: impl FnOnce(&mut Statement)) {
        let mut state = self.lock();
        if let Some(statement) = state.statements.iter_mut().find(|statement| statement.id == id) {
            change(statement);
            statement.updated = now;
        }
    }

    /// Forgets statements, all or those whose name contains this text, as after 24 hours.
    pub fn forget_named(&self, name: &str) -> usize {
        let mut state = self.lock();
        let before = state.statements.len();
        state.statements.retain(|statement| !statement.submission.name.as_deref().unwrap_or_default().contains(name));
        before - state.statements.len()
    }

    pub fn forget_tokens(&self) {
        self.lock().tokens.clear();
    }
}

impl State {
    fn forget(&mut self, now: Millis) {
        self.statements
            .retain(|statement| !statement.status.is_terminal() || now - statement.created < STATEMENT_AGE_MILLIS_MAX);
        self.tokens.retain(|_, token| now - token.created < TOKEN_AGE_MILLIS_MAX);
    }

    fn active(&self, warehouse: &str) -> usize {
        let active = |statement: &&Statement| {
            !statement.status.is_terminal() && statement.submission.connection.warehouse() == warehouse
        };
        self.statements.iter().filter(active).count()
    }

    fn add(&mut self, submission: Submission, now: Millis) -> Statement {
        let parts = submission
            .sqls
            .iter()
            .map(|_| {
                self.queries += 1;
                Part {
                    query_id: self.queries,
                    status: Status::Submitted,
                    error: None,
                    rows: -1,
                    size: -1,
                    duration_nanos: 0,
                    created: now,
                    updated: now,
                    result: None,
                }
            })
            .collect();
        let statement = Statement {
            id: uuid::Uuid::new_v4().to_string(),
            submission: Arc::new(submission),
            status: Status::Submitted,
            error: None,
            duration_nanos: 0,
            created: now,
            updated: now,
            parts,
            cancellation: Arc::default(),
        };
        self.statements.push(statement.clone());
        statement
    }
}

fn fingerprint(submission: &Submission) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(submission).unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(sql: &str) -> Submission {
        Submission {
            connection: Connection {
                cluster: Some("c".into()),
                workgroup: None,
                database: "dev".into(),
                db_user: None,
                secret_arn: None,
            },
            sqls: vec![sql.into()],
            parameters: Vec::new(),
            name: Some("dev/t/1".into()),
            with_event: true,
            mode: Mode::Transaction,
            principal: String::new(),
        }
    }

    #[test]
    fn a_repeated_token_answers_the_same_statement_for_eight_hours() {
        let store = Store::default();
        let submit = |sql: &str, now| store.submit(submission(sql), Some("token".into()), now, 500);
        let (first, new) = submit("SELECT 1", 0).expect("submitted");
        assert!(new);
        let (second, new) = submit("SELECT 1", TOKEN_AGE_MILLIS_MAX - 1).expect("replayed");
        assert_eq!((second.id, new), (first.id.clone(), false));
        assert!(matches!(submit("SELECT 2", 5), Err(ServiceError::Validation(_))));
        let (third, new) = submit("SELECT 1", TOKEN_AGE_MILLIS_MAX).expect("submitted again");
        assert!(new && third.id != first.id);
    }

    #[test]
    fn ended_statements_are_forgotten_after_a_day() {
        let store = Store::default();
        let (statement, _) = store.submit(submission("SELECT 1"), None, 0, 500).expect("submitted");
        assert!(store.get(&statement.id, STATEMENT_AGE_MILLIS_MAX).is_some(), "it still runs");
        store.update(&statement.id, 1, |statement| statement.status = Status::Finished);
        assert!(store.get(&statement.id, STATEMENT_AGE_MILLIS_MAX - 1).is_some());
        assert!(store.get(&statement.id, STATEMENT_AGE_MILLIS_MAX).is_none());
    }

    #[test]
    fn active_statements_are_limited_per_warehouse() {
        let store = Store::default();
        store.submit(submission("SELECT 1"), None, 0, 1).expect("submitted");
        let refused = store.submit(submission("SELECT 1"), None, 0, 1);
        assert!(matches!(refused, Err(ServiceError::ActiveStatementsExceeded(_))));
    }

    #[test]
    fn a_workgroup_may_be_an_arn() {
        let mut connection = submission("").connection;
        connection.cluster = None;
        connection.workgroup = Some("arn:aws:redshift-serverless:us-east-1:123456789012:workgroup/wg".into());
        assert_eq!(connection.postgres_database(), "wg.dev");
    }

    #[test]
    fn cancelled_or_committed_never_both() {
        let cancellation = Cancellation::default();
        assert!(cancellation.may_commit());
        assert!(!cancellation.cancel());
        cancellation.resume();
        assert!(cancellation.cancel());
        assert!(!cancellation.may_commit());
    }
}
