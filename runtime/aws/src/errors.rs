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
    "TransactionInProgressException",
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

/// Maps an error. A missing response and HTTP 5xx are unknown; everything else is a refusal.
pub fn sort<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
    let said = error.as_service_error().and_then(ProvideErrorMetadata::message).map(ToOwned::to_owned);
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let refused = matches!(error, SdkError::ServiceError(_) | SdkError::ConstructionFailure(_)) && status < 500;
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
