//! Names of warehouses and secrets. They become parts of ARNs in policies, so they must not contain anything that widens a policy.
//!
//! Sources: Redshift API, `CreateCluster`; Serverless API, `CreateWorkgroup`; Secrets Manager user guide, "Permissions policy examples".

/// Maximum length of a cluster identifier in characters.
const CLUSTER_CHARACTERS_MAX: usize = 63;
/// Maximum length of a workgroup name in characters.
const WORKGROUP_CHARACTERS_MAX: usize = 64;

/// Checks the identifier of a provisioned cluster.
pub(super) fn check_cluster(name: &str) -> Result<(), String> {
    if is_name(name, CLUSTER_CHARACTERS_MAX) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is not a cluster identifier: write 1 to {CLUSTER_CHARACTERS_MAX} lower case letters, digits and hyphens"
    ))
}

/// Checks the name or ARN of a workgroup.
pub(super) fn check_workgroup(text: &str) -> Result<(), String> {
    let is_right =
        if text.starts_with("arn:") { is_workgroup_arn(text) } else { is_name(text, WORKGROUP_CHARACTERS_MAX) };
    if is_right {
        return Ok(());
    }
    Err(format!(
        "`{text}` is not a workgroup: write its name (1 to {WORKGROUP_CHARACTERS_MAX} lower case letters, digits and hyphens) or \
         arn:aws:redshift-serverless:<region>:<account>:workgroup/<id>"
    ))
}

/// Checks the ARN of a secret. A partial ARN finds the secret, but does not match in a policy.
pub(super) fn check_secret(arn: &str) -> Result<(), String> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let complete = matches!(parts.as_slice(), ["arn", _, "secretsmanager", region, account, "secret", name]
        if !region.is_empty() && is_account(account) && has_random_end(name) && !arn.contains(['*', '?', '$', ' ']));
    if complete {
        return Ok(());
    }
    Err(format!(
        "`{arn}` is not a complete secret ARN: write it as Secrets Manager shows it, \
         arn:aws:secretsmanager:<region>:<account>:secret:<name>-<six random characters>"
    ))
}

fn is_name(name: &str, most: usize) -> bool {
    (1..=most).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_workgroup_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "redshift-serverless", region, account, rest]
        if !region.is_empty() && is_account(account)
            && rest.strip_prefix("workgroup/").is_some_and(|id| !id.is_empty() && !id.contains(['*', '?', '$', ' '])))
}

fn has_random_end(name: &str) -> bool {
    name.rsplit_once('-')
        .is_some_and(|(name, end)| !name.is_empty() && end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
