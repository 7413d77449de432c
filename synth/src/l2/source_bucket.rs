//! A bucket that is not ours: the files come from it. We read what is under a prefix, and nothing else.

use crate::l2::role::Role;
use crate::policy::Statement;
use crate::value::{Value, iam_literal, sub_literal};

/// A bucket that exists without the stack, identified by its name.
#[derive(Clone, Debug)]
pub struct SourceBucket {
    name: String,
}

impl SourceBucket {
    /// The bucket of this name; whether it exists is seen when its notification is set.
    pub fn from_name(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// ARN, which holds neither account nor Region.
    pub fn arn(&self) -> Value {
        Value::sub(format!("arn:${{AWS::Partition}}:s3:::{}", self.name))
    }

    /// Lets a role look at the objects whose key starts with `prefix`, and list them and their versions.
    ///
    /// The condition on listing must also hold for `HeadObject`, which carries no prefix: whoever may not list gets 403 for an object that is
    /// gone, not 404 (S3 API, `HeadObject`), and a deleted file would look like a missing permission. Hence `IfExists`.
    pub fn grant_read(&self, role: &Role, prefix: &str) {
        let objects =
            Value::sub(format!("arn:${{AWS::Partition}}:s3:::{}/{}*", self.name, sub_literal(&iam_literal(prefix))));
        role.permit(Statement::allow(&["s3:GetObject"], [objects]));
        let list = Statement::allow(&["s3:ListBucket", "s3:ListBucketVersions"], [self.arn()]);
        role.permit(match prefix {
            "" => list,
            _ => list.only_if("StringLikeIfExists", "s3:prefix", format!("{}*", iam_literal(prefix))),
        });
    }
}
