//! Determines the service and operation of a request.
//!
//! The service is in the scope of the signature. The operation is in `X-Amz-Target` (JSON protocols) or `Action` (query protocol), or follows
//! from method and path (S3, Lambda).

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

/// A service and one of its operations, such as `dynamodb` and `GetItem`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Signing name of the service.
    pub service: String,
    /// Name of the operation.
    pub name: String,
}

const OTHER: &str = "Other";

/// Whether the body is needed to determine the operation.
pub fn needs_body(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    parts.headers.get("x-amz-target").is_none()
        && content_type.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

/// Determines the operation. `form` is the body if [`needs_body`].
pub fn classify(parts: &Parts, form: Option<&[u8]>) -> Operation {
    if let Some(target) = header(parts, "x-amz-target") {
        return from_target(target);
    }
    let service = signing_service(parts).unwrap_or("s3").to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let form = form.and_then(|form| std::str::from_utf8(form).ok()).unwrap_or_default();
    if let Some(action) = parameter(query, "Action").or_else(|| parameter(form, "Action")) {
        return Operation { service, name: action };
    }
    let name = match service.as_str() {
        "s3" => s3(parts),
        "lambda" => lambda(&parts.method, parts.uri.path()),
        _ => OTHER,
    };
    Operation { service, name: name.to_owned() }
}

fn from_target(target: &str) -> Operation {
    let (prefix, name) = target.rsplit_once('.').unwrap_or((target, OTHER));
    let service = match prefix.split_once('_').map_or(prefix, |(name, _)| name) {
        "DynamoDB" => "dynamodb",
        "DynamoDBStreams" => "streams.dynamodb",
        "AmazonSQS" => "sqs",
        "RedshiftData" => "redshift-data",
        "AWSEvents" => "events",
        "Logs" => "logs",
        "GraniteServiceVersion20100801" => "monitoring",
        "TrentService" => "kms",
        "AmazonSSM" => "ssm",
        other => return Operation { service: other.to_lowercase(), name: name.to_owned() },
    };
    Operation { service: service.to_owned(), name: name.to_owned() }
}

/// The access key of the signature, from the header or a presigned query.
pub fn access_key(parts: &Parts) -> Option<String> {
    credential(parts).and_then(|scope| scope.split('/').next().map(str::to_owned))
}

fn credential(parts: &Parts) -> Option<String> {
    if let Some(value) = header(parts, AUTHORIZATION.as_str()) {
        let (_, rest) = value.split_once("Credential=")?;
        return rest.split([',', ' ']).next().map(str::to_owned);
    }
    parameter(parts.uri.query().unwrap_or_default(), "X-Amz-Credential")
}

fn signing_service(parts: &Parts) -> Option<&'static str> {
    const KNOWN: [&str; 14] = [
        "s3",
        "lambda",
        "sqs",
        "dynamodb",
        "events",
        "iam",
        "sts",
        "cloudformation",
        "logs",
        "monitoring",
        "redshift-data",
        "secretsmanager",
        "sns",
        "kms",
    ];
    let credential = credential(parts)?;
    let service = credential.split('/').nth(3)?;
    KNOWN.into_iter().find(|known| *known == service).or(Some("other"))
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

fn parameter(text: &str, name: &str) -> Option<String> {
    text.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| percent_decode_str(value).decode_utf8_lossy().into_owned())
    })
}

fn has(query: &str, name: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some(name))
}

/// Whether the bucket is in the host name (virtual-hosted style) rather than in the path.
fn bucket_in_host(parts: &Parts) -> bool {
    let host = header(parts, HOST.as_str()).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    !is_address && host.contains('.') && !host.starts_with("s3.") && host != "localhost"
}

fn s3(parts: &Parts) -> &'static str {
    let path = parts.uri.path().trim_start_matches('/');
    let has_key = if bucket_in_host(parts) {
        !path.is_empty()
    } else {
        path.split_once('/').is_some_and(|(_, key)| !key.is_empty())
    };
    let has_bucket = bucket_in_host(parts) || !path.is_empty();
    let query = parts.uri.query().unwrap_or_default();
    if has_key {
        s3_object(parts, query)
    } else if has_bucket {
        s3_bucket(&parts.method, query)
    } else {
        "ListBuckets"
    }
}

fn s3_object(parts: &Parts, query: &str) -> &'static str {
    let is_copy = parts.headers.contains_key("x-amz-copy-source");
    match parts.method.as_str() {
        "GET" if has(query, "uploadId") => "ListParts",
        "GET" if has(query, "tagging") => "GetObjectTagging",
        "GET" if has(query, "attributes") => "GetObjectAttributes",
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        "PUT" if has(query, "partNumber") && is_copy => "UploadPartCopy",
        "PUT" if has(query, "partNumber") => "UploadPart",
        "PUT" if has(query, "tagging") => "PutObjectTagging",
        "PUT" if is_copy => "CopyObject",
        "PUT" => "PutObject",
        "POST" if has(query, "uploads") => "CreateMultipartUpload",
        "POST" if has(query, "uploadId") => "CompleteMultipartUpload",
        "DELETE" if has(query, "uploadId") => "AbortMultipartUpload",
        "DELETE" => "DeleteObject",
        _ => OTHER,
    }
}

fn s3_bucket(method: &Method, query: &str) -> &'static str {
    match method.as_str() {
        "GET" if has(query, "notification") => "GetBucketNotificationConfiguration",
        "GET" if has(query, "location") => "GetBucketLocation",
        "GET" if has(query, "versioning") => "GetBucketVersioning",
        "GET" if has(query, "policy") => "GetBucketPolicy",
        "GET" if has(query, "uploads") => "ListMultipartUploads",
        "GET" if has(query, "versions") => "ListObjectVersions",
        "GET" if has(query, "list-type") => "ListObjectsV2",
        "GET" => "ListObjects",
        "HEAD" => "HeadBucket",
        "PUT" if has(query, "notification") => "PutBucketNotificationConfiguration",
        "PUT" if has(query, "versioning") => "PutBucketVersioning",
        "PUT" if has(query, "policy") => "PutBucketPolicy",
        "PUT" if query.is_empty() => "CreateBucket",
        "POST" if has(query, "delete") => "DeleteObjects",
        "DELETE" if query.is_empty() => "DeleteBucket",
        _ => OTHER,
    }
}

fn lambda(method: &Method, path: &str) -> &'static str {
    let segments: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    match (method.as_str(), segments.as_slice()) {
        ("POST", ["functions", _, "invocations"]) => "Invoke",
        ("GET", ["functions"]) => "ListFunctions",
        ("POST", ["functions"]) => "CreateFunction",
        ("GET", ["functions", _]) => "GetFunction",
        ("DELETE", ["functions", _]) => "DeleteFunction",
        ("GET", ["functions", _, "configuration"]) => "GetFunctionConfiguration",
        ("PUT", ["functions", _, "configuration"]) => "UpdateFunctionConfiguration",
        ("PUT", ["functions", _, "code"]) => "UpdateFunctionCode",
        ("GET", ["event-source-mappings"]) => "ListEventSourceMappings",
        ("POST", ["event-source-mappings"]) => "CreateEventSourceMapping",
        ("PUT", ["event-source-mappings", _]) => "UpdateEventSourceMapping",
        ("DELETE", ["event-source-mappings", _]) => "DeleteEventSourceMapping",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::classify;
    use hyper::Request;

    fn check(method: &str, uri: &str, headers: &[(&str, &str)], body: &str, expected: &str) {
        let mut request = Request::builder().method(method).uri(uri).header("host", "127.0.0.1:4566");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a valid request").into_parts();
        let operation = classify(&parts, Some(body.as_bytes()));
        assert_eq!(format!("{}:{}", operation.service, operation.name), expected, "{method} {uri}");
    }

    fn signed(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    }

    #[test]
    fn the_target_header_names_service_and_operation() {
        check("POST", "/", &[("x-amz-target", "DynamoDB_20120810.GetItem")], "", "dynamodb:GetItem");
        check("POST", "/", &[("x-amz-target", "AmazonSQS.SendMessage")], "", "sqs:SendMessage");
        check(
            "POST",
            "/",
            &[("x-amz-target", "RedshiftData.BatchExecuteStatement")],
            "",
            "redshift-data:BatchExecuteStatement",
        );
        check("POST", "/", &[("x-amz-target", "AWSEvents.PutRule")], "", "events:PutRule");
        check("POST", "/", &[("x-amz-target", "Logs_20140328.PutLogEvents")], "", "logs:PutLogEvents");
        check("POST", "/", &[("x-amz-target", "secretsmanager.GetSecretValue")], "", "secretsmanager:GetSecretValue");
    }

    #[test]
    fn the_action_parameter_names_the_operation_of_a_query_service() {
        let scope = signed("cloudformation");
        let headers = [("authorization", scope.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        check("POST", "/", &headers, "Version=2010&Action=CreateChangeSet", "cloudformation:CreateChangeSet");
        check("GET", "/?Action=DescribeStacks", &headers, "", "cloudformation:DescribeStacks");
    }

    #[test]
    fn s3_operations_come_from_method_path_and_query() {
        let scope = signed("s3");
        let headers = [("authorization", scope.as_str())];
        let copy = [("authorization", scope.as_str()), ("x-amz-copy-source", "/b/k")];
        check("GET", "/", &headers, "", "s3:ListBuckets");
        check("PUT", "/b", &headers, "", "s3:CreateBucket");
        check("PUT", "/b/", &headers, "", "s3:CreateBucket");
        check("GET", "/b?list-type=2&prefix=x", &headers, "", "s3:ListObjectsV2");
        check("GET", "/b?versions", &headers, "", "s3:ListObjectVersions");
        check("PUT", "/b?notification", &headers, "", "s3:PutBucketNotificationConfiguration");
        check("POST", "/b?delete", &headers, "", "s3:DeleteObjects");
        check("HEAD", "/b/k/l?versionId=1", &headers, "", "s3:HeadObject");
        check("GET", "/b/k%20l?x-id=GetObject", &headers, "", "s3:GetObject");
        check("PUT", "/b/k?x-id=PutObject", &headers, "", "s3:PutObject");
        check("PUT", "/b/k", &copy, "", "s3:CopyObject");
        check("POST", "/b/k?uploads", &headers, "", "s3:CreateMultipartUpload");
    }

    #[test]
    fn a_bucket_in_the_host_name_is_not_in_the_path() {
        let request = Request::get("/k").header("host", "b.localhost:1").body(()).expect("a valid request");
        let (parts, ()) = request.into_parts();
        assert_eq!(classify(&parts, None).name, "GetObject");
    }

    #[test]
    fn lambda_operations_come_from_method_and_path() {
        let scope = signed("lambda");
        let headers = [("authorization", scope.as_str())];
        check("POST", "/2015-03-31/functions/f/invocations", &headers, "{}", "lambda:Invoke");
        check("POST", "/2015-03-31/event-source-mappings/", &headers, "{}", "lambda:CreateEventSourceMapping");
        check("GET", "/2015-03-31/functions/f", &headers, "", "lambda:GetFunction");
    }

    #[test]
    fn a_presigned_request_names_its_service_in_the_query() {
        let uri = "/b/k?X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0";
        check("GET", uri, &[], "", "s3:GetObject");
    }
}
