//! A warehouse that the functions send SQL to: a provisioned cluster or a Redshift Serverless workgroup, and how one signs in to it.
//!
//! Redshift management guide, "Authorizing access to the Amazon Redshift Data API"; service authorization reference, "Redshift Data
//! API", "Redshift", "Redshift Serverless".

use loader_core::config::Login;
use loader_core::ids::RedshiftTarget;

use crate::l2::role::Role;
use crate::policy::Statement;
use crate::scope::Scope;
use crate::value::{Value, iam_literal, sub_literal};

/// Characters of a cluster identifier or workgroup name at most (Redshift API, `CreateCluster`; Serverless API, `CreateWorkgroup`: 64).
const NAME_CHARACTERS_MAX: usize = 63;

/// A warehouse.
pub struct Warehouse {
    target: RedshiftTarget,
}

impl Warehouse {
    /// The warehouse that a configuration names. A name that could not be one is a problem: it would become part of an ARN.
    pub fn new(scope: &Scope, target: &RedshiftTarget) -> Self {
        match target {
            RedshiftTarget::Workgroup(arn) if arn.starts_with("arn:") => {
                if !is_workgroup_arn(arn) {
                    scope.problem(format!(
                        "workgroup `{arn}`: write its name, or arn:aws:redshift-serverless:<region>:<account>:workgroup/<id>"
                    ));
                }
            }
            RedshiftTarget::Workgroup(name) if !is_name(name) => scope.problem(format!(
                "workgroup `{name}` is neither a name (lower case letters, digits, hyphens, 3 to 64) nor an ARN"
            )),
            RedshiftTarget::Workgroup(name) => scope.note(format!(
                "workgroup `{name}` is given by its name, so the role may use every workgroup of the account and region: \
                 write its ARN in `cluster.workgroup` to narrow that"
            )),
            RedshiftTarget::Cluster(name) if !is_name(name) => scope.problem(format!(
                "cluster `{name}` is no identifier: lower case letters, digits and hyphens, 1 to {NAME_CHARACTERS_MAX}, the first a letter"
            )),
            RedshiftTarget::Cluster(_) => {}
        }
        Self { target: target.clone() }
    }

    /// Lets a role send SQL to a database of the warehouse, signed in as `login` says.
    pub fn grant_execute(&self, scope: &Scope, role: &Role, database: &str, login: &Login) {
        let actions = ["redshift-data:BatchExecuteStatement", "redshift-data:ExecuteStatement"];
        role.permit(Statement::allow(&actions, [self.arn()]));
        match (&self.target, login) {
            (RedshiftTarget::Cluster(cluster), Login::DbUser(user)) => {
                let resources = [("dbuser", user.as_str()), ("dbname", database)]
                    .map(|(kind, name)| redshift(&format!("{kind}:{cluster}/{}", sub_literal(&iam_literal(name)))));
                role.permit(Statement::allow(&["redshift:GetClusterCredentials"], resources));
            }
            (RedshiftTarget::Workgroup(_), Login::Identity) => {
                role.permit(Statement::allow(&["redshift-serverless:GetCredentials"], [self.arn()]));
            }
            (_, Login::Secret(arn)) => grant_secret(scope, role, arn),
            (RedshiftTarget::Cluster(_), Login::Identity) | (RedshiftTarget::Workgroup(_), Login::DbUser(_)) => {
                scope.problem("this way to sign in does not exist for this warehouse: see docs/configuration.md");
            }
        }
    }

    /// The id of a workgroup is no part of its name, so a workgroup that is only named has an ARN that nobody can know here.
    fn arn(&self) -> Value {
        match &self.target {
            RedshiftTarget::Cluster(name) => redshift(&format!("cluster:{name}")),
            RedshiftTarget::Workgroup(arn) if arn.starts_with("arn:") => arn.as_str().into(),
            RedshiftTarget::Workgroup(_) => {
                Value::sub("arn:${AWS::Partition}:redshift-serverless:${AWS::Region}:${AWS::AccountId}:workgroup/*")
            }
        }
    }
}

fn redshift(rest: &str) -> Value {
    Value::sub(format!("arn:${{AWS::Partition}}:redshift:${{AWS::Region}}:${{AWS::AccountId}}:{rest}"))
}

/// A partial ARN finds the secret but does not match in a policy (Secrets Manager user guide, "Permissions policy examples").
fn grant_secret(scope: &Scope, role: &Role, arn: &str) {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let complete = matches!(parts.as_slice(), ["arn", _, "secretsmanager", region, account, "secret", name]
        if !region.is_empty() && is_account(account) && has_random_end(name) && !arn.contains(['*', '?', '$']));
    if !complete {
        scope.problem(format!(
            "secret `{arn}`: write the complete ARN as Secrets Manager shows it, with the hyphen and six random characters at its end"
        ));
        return;
    }
    role.permit(Statement::allow(&["secretsmanager:GetSecretValue"], [arn.into()]));
}

fn has_random_end(name: &str) -> bool {
    name.rsplit_once('-')
        .is_some_and(|(name, end)| !name.is_empty() && end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_name(name: &str) -> bool {
    (1..=NAME_CHARACTERS_MAX + 1).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_workgroup_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "redshift-serverless", region, account, rest]
        if !region.is_empty() && is_account(account)
            && rest.strip_prefix("workgroup/").is_some_and(|id| !id.is_empty() && !id.contains(['*', '?', '$'])))
}

/// The Redshift Data API's own permissions.
pub struct DataApi;

impl DataApi {
    /// Lets a role ask for statements: its own ones, since the service shows a role no others. The service knows no resources for these
    /// actions, so nothing narrower than `*` exists (service authorization reference, "Redshift Data API").
    pub fn grant_inspect_statements(role: &Role) {
        let actions =
            ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:ListStatements"];
        role.permit(Statement::allow(&actions, ["*".into()]));
    }
}
