//! Permissions to send SQL to a warehouse, a provisioned cluster or a Redshift Serverless workgroup, and to sign in to it.
//!
//! Sources: Redshift management guide, "Authorizing access to the Amazon Redshift Data API"; service authorization reference, "Redshift
//! Data API", "Redshift", "Redshift Serverless".

use loader_core::config::Login;
use loader_core::ids::RedshiftTarget;

use crate::l2::role::Role;
use crate::policy::Statement;
use crate::scope::Scope;
use crate::value::{Value, iam_literal, sub_literal};

/// A warehouse that a role may send SQL to. It is not part of the stack.
pub struct Warehouse {
    target: RedshiftTarget,
}

impl Warehouse {
    /// The warehouse that a configuration names.
    pub fn new(scope: &Scope, target: &RedshiftTarget) -> Self {
        if let RedshiftTarget::Workgroup(name) = target
            && !name.starts_with("arn:")
        {
            scope.note(format!(
                "workgroup `{name}` is given by its name, so the role may use every workgroup of the account and region: \
                 write its ARN in `cluster.workgroup` to narrow that"
            ));
        }
        Self { target: target.clone() }
    }

    /// Lets a role send SQL to a database of the warehouse, and sign in with `login`.
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
            (_, Login::Secret(arn)) => {
                role.permit(Statement::allow(&["secretsmanager:GetSecretValue"], [arn.as_str().into()]));
            }
            (RedshiftTarget::Cluster(_), Login::Identity) | (RedshiftTarget::Workgroup(_), Login::DbUser(_)) => {
                scope.problem("this way to sign in does not exist for this warehouse: see docs/configuration.md");
            }
        }
    }

    /// A workgroup's ARN contains its ID, so the ARN of a workgroup that is given by its name is not known here.
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

/// The Redshift Data API's own permissions.
pub struct DataApi;

impl DataApi {
    /// Lets a role describe and list statements and fetch their results. The service shows a role only its own statements, and has no resources
    /// for these actions, so nothing is narrower than `*` (service authorization reference, "Redshift Data API").
    pub fn grant_inspect_statements(role: &Role) {
        let actions =
            ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:ListStatements"];
        role.permit(Statement::allow(&actions, ["*".into()]));
    }

    /// Lets a role cancel its own statements. The service has no resources for this action either.
    pub fn grant_cancel_statements(role: &Role) {
        role.permit(Statement::allow(&["redshift-data:CancelStatement"], ["*".into()]));
    }
}
