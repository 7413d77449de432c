//! Authorizes calls of the Data API, if signatures and policies are checked.
//!
//! The stand-in does not know credentials. ministack checks the signature: it receives the same request and, if the signature is valid,
//! returns that it does not have the service. ministack's policy simulator checks the permissions of the role that the access key belongs
//! to, so that a removed permission has an effect at once. The access keys of role sessions are learnt from responses of `AssumeRole`, those
//! of function sessions from the deployed functions.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use local_client::http::Http;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answers;
use super::classify::{Operation, access_key};
use super::forward::{Answer, whole};
use crate::{ACCOUNT, REGION};

/// Header with the ARN of the calling role or user, for the stand-in.
const CALLER_HEADER: &str = "x-local-stack-caller";
/// ministack's error for a validly signed call of a service that it does not have.
const WELL_SIGNED: &str = "Unsupported service: redshift-data";

/// Operations whose permissions have no resource.
const WITHOUT_RESOURCE: [&str; 5] =
    ["DescribeStatement", "GetStatementResult", "GetStatementResultV2", "CancelStatement", "ListStatements"];

/// The caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The role session or user, for messages.
    shown: String,
    /// The role or user whose policies apply; `None` for the root user, who may do everything.
    policies_of: Option<String>,
}

/// Checks signatures and permissions with ministack.
#[derive(Debug)]
pub struct Authorizer {
    http: Http,
    ministack: SocketAddr,
    known: Mutex<HashMap<String, Principal>>,
}

/// Adds the header that names the caller.
pub fn name_caller(parts: &mut Parts, caller: &Principal) {
    let name = caller.policies_of.as_ref().unwrap_or(&caller.shown);
    if let Ok(value) = HeaderValue::from_str(name) {
        parts.headers.insert(CALLER_HEADER, value);
    }
}

impl Authorizer {
    /// Creates an authorizer that knows no sessions.
    pub fn new(ministack: SocketAddr) -> Self {
        Self { http: Http::new(), ministack, known: Mutex::default() }
    }

    /// Remembers the role of a session that a response of STS contains.
    pub async fn learn(&self, answer: Answer) -> Answer {
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if let (Some(key), Some(arn)) = (element(&text, "AccessKeyId"), element(&text, "Arn"))
            && let Some(principal) = from_session(arn)
        {
            self.known().insert(key.to_owned(), principal);
        }
        Response::from_parts(parts, whole(bytes))
    }

    /// Returns the caller if its signature is valid and it has the permissions; otherwise the response to send.
    pub async fn check(
        &self,
        checked: Answer,
        parts: &Parts,
        operation: &Operation,
        body: &[u8],
    ) -> Result<Principal, Box<Answer>> {
        let (answer, answer_body) = checked.into_parts();
        let text = answer_body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        if !String::from_utf8_lossy(&text).contains(WELL_SIGNED) {
            return Err(Box::new(Response::from_parts(answer, whole(text))));
        }
        let Some(principal) = self.principal(&access_key(parts).unwrap_or_default()).await else {
            let message = "The security token included in the request is invalid.";
            return Err(Box::new(answers::error(operation, 400, "UnrecognizedClientException", message)));
        };
        let Some(policies_of) = &principal.policies_of else { return Ok(principal) };
        for (action, resource) in needed(&operation.name, body) {
            if !self.allows(policies_of, &action, &resource).await {
                let message = format!(
                    "User: {} is not authorized to perform: {action} on resource: {resource} because no \
                     identity-based policy allows the {action} action",
                    principal.shown
                );
                return Err(Box::new(answers::error(operation, 400, "AccessDeniedException", &message)));
            }
        }
        Ok(principal)
    }

    async fn principal(&self, key: &str) -> Option<Principal> {
        if key == crate::ACCESS_KEY_ID || (key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit())) {
            let shown = format!("arn:aws:iam::{ACCOUNT}:root");
            return Some(Principal { shown, policies_of: None });
        }
        if let Some(known) = self.known().get(key).cloned() {
            return Some(known);
        }
        let principal = if key.starts_with("ASIA") { self.function_session(key).await } else { self.user(key).await }?;
        self.known().insert(key.to_owned(), principal.clone());
        Some(principal)
    }

    /// ministack derives the access key of a function's session from the function and its role.
    async fn function_session(&self, key: &str) -> Option<Principal> {
        let request = signed(Request::get(self.uri("/2015-03-31/functions/")), "lambda");
        let (_, body) = self.http.send(request.body(Full::default()).ok()?).await.ok()?;
        let listed: Value = serde_json::from_slice(&body).ok()?;
        listed["Functions"].as_array()?.iter().find_map(|function| {
            let (arn, role) = (function["FunctionArn"].as_str()?, function["Role"].as_str()?);
            let digest = hex::encode(Sha256::digest(format!("{arn}:{role}")));
            let name = role.rsplit('/').next()?;
            let session = function["FunctionName"].as_str()?;
            (key == format!("ASIA{}", digest[..16].to_uppercase())).then(|| Principal {
                shown: format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"),
                policies_of: Some(role.to_owned()),
            })
        })
    }

    async fn user(&self, key: &str) -> Option<Principal> {
        let text = self.iam(&[("Action", "GetAccessKeyLastUsed"), ("AccessKeyId", key)]).await?;
        let arn = format!("arn:aws:iam::{ACCOUNT}:user/{}", element(&text, "UserName")?);
        Some(Principal { shown: arn.clone(), policies_of: Some(arn) })
    }

    async fn allows(&self, policies_of: &str, action: &str, resource: &str) -> bool {
        let parameters = [
            ("Action", "SimulatePrincipalPolicy"),
            ("PolicySourceArn", policies_of),
            ("ActionNames.member.1", action),
            ("ResourceArns.member.1", resource),
        ];
        let text = self.iam(&parameters).await.unwrap_or_default();
        element(&text, "EvalDecision") == Some("allowed")
    }

    async fn iam(&self, parameters: &[(&str, &str)]) -> Option<String> {
        let mut form = "Version=2010-05-08".to_owned();
        for (name, value) in parameters {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
            form.extend(["&", name, "=", &value]);
        }
        let request = signed(Request::post(self.uri("/")), "iam");
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body(Full::new(Bytes::from(form)));
        let (status, body) = self.http.send(request.ok()?).await.ok()?;
        status.is_success().then(|| String::from_utf8_lossy(&body).into_owned())
    }

    fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.ministack)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Principal>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a dummy signature of the root user, which ministack does not verify.
fn signed(request: hyper::http::request::Builder, service: &str) -> hyper::http::request::Builder {
    let now = time::OffsetDateTime::now_utc();
    let day = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
    let scope = format!("{}/{day}/{REGION}/{service}/aws4_request", crate::ACCESS_KEY_ID);
    let date = format!("{day}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
    let value = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={:064}", 0);
    request.header("x-amz-date", date).header("authorization", value)
}

/// `…:assumed-role/NAME/SESSION` is a session of the role NAME.
fn from_session(arn: &str) -> Option<Principal> {
    let (_, rest) = arn.split_once(":assumed-role/")?;
    let role = rest.split('/').next()?;
    Some(Principal { shown: arn.to_owned(), policies_of: Some(format!("arn:aws:iam::{ACCOUNT}:role/{role}")) })
}

/// The permissions that an operation needs: its own and, for a submit, those for database credentials.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonredshiftdataapi.html>
fn needed(operation: &str, body: &[u8]) -> Vec<(String, String)> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| request[name].as_str();
    let action = format!("redshift-data:{operation}");
    if WITHOUT_RESOURCE.contains(&operation) {
        return vec![(action, "*".to_owned())];
    }
    let secret = text("SecretArn").map(|secret| ("secretsmanager:GetSecretValue".to_owned(), secret.to_owned()));
    let mut needed = Vec::new();
    match (text("ClusterIdentifier"), text("WorkgroupName")) {
        (Some(cluster), _) => {
            needed.push((action, format!("arn:aws:redshift:{REGION}:{ACCOUNT}:cluster:{cluster}")));
            if secret.is_none() {
                needed.extend(cluster_credentials(cluster, text("DbUser"), text("Database").unwrap_or("*")));
            }
        }
        (None, Some(workgroup)) => {
            let workgroup = workgroup_arn(workgroup);
            needed.push((action, workgroup.clone()));
            if secret.is_none() {
                needed.push(("redshift-serverless:GetCredentials".to_owned(), workgroup));
            }
        }
        (None, None) => needed.push((action, "*".to_owned())),
    }
    needed.extend(secret);
    needed
}

fn workgroup_arn(name: &str) -> String {
    if name.starts_with("arn:") {
        name.to_owned()
    } else {
        format!("arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:workgroup/{name}")
    }
}

/// The permissions for credentials of a cluster's database, for a submit without a secret.
fn cluster_credentials(cluster: &str, user: Option<&str>, database: &str) -> Vec<(String, String)> {
    let named = |kind: &str, name: &str| format!("arn:aws:redshift:{REGION}:{ACCOUNT}:{kind}:{cluster}/{name}");
    let name = named("dbname", database);
    match user {
        Some(user) => vec![
            ("redshift:GetClusterCredentials".to_owned(), named("dbuser", user)),
            ("redshift:GetClusterCredentials".to_owned(), name),
        ],
        None => vec![("redshift:GetClusterCredentialsWithIAM".to_owned(), name)],
    }
}

/// The text of the first `<name>` element.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(operation: &str, request: &Value, expected: &[&str]) {
        let needed = needed(operation, request.to_string().as_bytes());
        let shown: Vec<String> = needed
            .into_iter()
            .map(|(action, resource)| {
                format!("{action} {}", resource.rsplit_once(ACCOUNT).map_or(&*resource, |(_, name)| name))
            })
            .collect();
        assert_eq!(shown, expected, "{operation} {request}");
    }

    #[test]
    fn a_submit_needs_its_own_permission_and_database_credentials() {
        let submit = "redshift-data:ExecuteStatement :cluster:c";
        let user = "redshift:GetClusterCredentials :dbuser:c/u";
        let name = "redshift:GetClusterCredentials :dbname:c/dev";
        let request = json!({"ClusterIdentifier": "c", "Database": "dev", "DbUser": "u"});
        check("ExecuteStatement", &request, &[submit, user, name]);
        let request = json!({"ClusterIdentifier": "c", "Database": "dev"});
        check("ExecuteStatement", &request, &[submit, "redshift:GetClusterCredentialsWithIAM :dbname:c/dev"]);
        let request = json!({"ClusterIdentifier": "c", "Database": "dev", "SecretArn": "s"});
        check("ExecuteStatement", &request, &[submit, "secretsmanager:GetSecretValue s"]);
    }

    #[test]
    fn a_workgroup_may_be_a_name_or_an_arn() {
        let submit = "redshift-data:BatchExecuteStatement :workgroup/wg";
        let credentials = "redshift-serverless:GetCredentials :workgroup/wg";
        for workgroup in ["wg".to_owned(), workgroup_arn("wg")] {
            let request = json!({"WorkgroupName": workgroup, "Database": "dev"});
            check("BatchExecuteStatement", &request, &[submit, credentials]);
        }
    }

    #[test]
    fn describing_a_statement_has_no_resource() {
        check(
            "DescribeStatement",
            &json!({"Id": "1", "ClusterIdentifier": "c"}),
            &["redshift-data:DescribeStatement *"],
        );
    }
}
