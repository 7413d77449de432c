//! Maps an SDK error to one of two outcomes, certainly not done or unknown, and to the class of what follows.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use loader_core::outcome::FailureClass;
use loader_reconcile::ports::PortError;

/// Error codes of refusals that pass by themselves (each service's "Common errors" page, and Data API, "Considerations").
const BUSY: &[&str] = &[
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestLimitExceeded",
    "ProvisionedThroughputExceededException",
    "TooManyRequestsException",
    "TransactionConflictException",
    "LimitExceededException",
    "ActiveStatementsExceededException",
    "ActiveSessionsExceededException",
    "ActiveWaitingRequestsExceededException",
    "SlowDown",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "OperationAborted",
    "ConditionalRequestConflict",
    // Lambda renews a function's credentials.
    "ExpiredToken",
    "ExpiredTokenException",
];

/// Error codes with HTTP 400 that leave open whether the call takes effect: a transaction with the same request token is still in progress,
/// so an earlier attempt of this call may yet succeed (DynamoDB, `API_TransactWriteItems`).
const UNDECIDED: &[&str] = &["TransactionInProgressException"];

/// Maps an error. A missing response, HTTP 5xx and the codes in `UNDECIDED` are unknown; everything else is a refusal.
pub fn sort<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
    let said = error.as_service_error().and_then(ProvideErrorMetadata::message).map(ToOwned::to_owned);
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let is_definite = matches!(error, SdkError::ServiceError(_) | SdkError::ConstructionFailure(_)) && status < 500;
    let refused = is_definite && !UNDECIDED.contains(&code.as_str());
    let busy = BUSY.contains(&code.as_str()) || !refused || status == 429;
    let message = match said {
        Some(said) if !code.is_empty() => format!("{code}: {said}"),
        _ if !code.is_empty() => format!("{code} (HTTP {status})"),
        // The response to a HEAD request has no body, so no error text either.
        _ if error.as_service_error().is_some() => format!("HTTP {status}"),
        _ => DisplayErrorContext(error).to_string(),
    };
    PortError {
        operation,
        unknown: !refused,
        class: if busy { FailureClass::RetryLater } else { FailureClass::OperatorsTurn },
        message,
    }
}

/// An error for a response that the service should never give.
pub fn unexpected(operation: &'static str, message: impl Into<String>) -> PortError {
    PortError { operation, unknown: false, class: FailureClass::OperatorsTurn, message: message.into() }
}

/// An error for a response that was cut off.
pub fn lost(operation: &'static str, message: impl Into<String>) -> PortError {
    PortError { operation, unknown: true, class: FailureClass::RetryLater, message: message.into() }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    /// How an error with this status and code is mapped.
    fn sorted(status: u16, code: &str) -> (bool, FailureClass) {
        let status = status.try_into().expect("an HTTP status");
        let error = TransactWriteItemsError::generic(ErrorMetadata::builder().code(code).message("m").build());
        let error = sort("o", &SdkError::service_error(error, HttpResponse::new(status, SdkBody::empty())));
        (error.unknown, error.class)
    }

    const NOT_DONE: bool = false;
    const UNKNOWN: bool = true;

    #[test]
    fn a_refusal_that_passes_by_itself_is_certainly_not_done() {
        for code in BUSY {
            assert_eq!(sorted(400, code), (NOT_DONE, FailureClass::RetryLater), "{code}");
        }
        assert_eq!(sorted(429, "AnyCode"), (NOT_DONE, FailureClass::RetryLater));
    }

    #[test]
    fn any_other_refusal_needs_an_operator() {
        for (status, code) in [
            (400, "ValidationException"),
            (400, "ResourceNotFoundException"),
            (400, "IdempotentParameterMismatchException"),
            (400, "TransactionCanceledException"),
            (403, "AccessDenied"),
            (404, "NoSuchBucket"),
        ] {
            assert_eq!(sorted(status, code), (NOT_DONE, FailureClass::OperatorsTurn), "{code}");
        }
    }

    /// The Data API reports statements that its environment stopped with HTTP 500, and they may have been accepted.
    #[test]
    fn an_internal_error_is_unknown_whatever_its_code() {
        for code in ["InternalServerError", "InternalServerException", "BatchExecuteStatementException", "SlowDown"] {
            assert_eq!(sorted(500, code), (UNKNOWN, FailureClass::RetryLater), "{code}");
        }
        assert_eq!(sorted(503, "SlowDown"), (UNKNOWN, FailureClass::RetryLater));
    }

    #[test]
    fn a_transaction_that_is_still_in_progress_may_yet_succeed() {
        assert_eq!(sorted(400, "TransactionInProgressException"), (UNKNOWN, FailureClass::RetryLater));
    }

    #[test]
    fn a_missing_response_is_unknown() {
        let error: SdkError<TransactWriteItemsError, HttpResponse> = SdkError::timeout_error("no response in time");
        let error = sort("o", &error);
        assert_eq!((error.unknown, error.class), (UNKNOWN, FailureClass::RetryLater));
    }
}
