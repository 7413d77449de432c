//! Stores statements and client tokens for as long as the service does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::clock::Millis;
use crate::errors::ServiceError;
use crate::statement::{Part, Statement, Status, Submission};

/// The service remembers a client token for 8 hours.
const TOKEN_AGE_MILLIS_MAX: Millis = 8 * 3600 * 1000;
/// The service remembers a statement and its result for 24 hours.
pub const STATEMENT_AGE_MILLIS_MAX: Millis = 24 * 3600 * 1000;

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
    /// Creates a store whose query ids begin at `query_id`. Load errors outlive the stand-in, so query ids must not repeat after a restart.
    pub fn starting_at(query_id: i64) -> Self {
        Self { state: Mutex::new(State { queries: query_id, ..State::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the statement of this submission, and whether it is new and has to be run.
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

    /// All statements, newest first.
    pub fn all(&self, now: Millis) -> Vec<Statement> {
        let mut state = self.lock();
        state.forget(now);
        state.statements.iter().rev().cloned().collect()
    }

    /// Changes a statement and sets its update time. Does nothing if it has been forgotten.
    pub fn update(&self, id: &str, now: Millis, change: impl FnOnce(&mut Statement)) {
        let mut state = self.lock();
        if let Some(statement) = state.statements.iter_mut().find(|statement| statement.id == id) {
            change(statement);
            statement.updated = now;
        }
    }

    /// Forgets the statements whose name contains this text, as the service does after 24 hours.
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
    use crate::statement::{Connection, Mode};

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
    fn a_repeated_token_returns_the_same_statement_for_eight_hours() {
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
        assert!(store.get(&statement.id, STATEMENT_AGE_MILLIS_MAX).is_some(), "it is still running");
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
}
