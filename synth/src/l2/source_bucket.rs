//! A bucket that files are loaded from. It is not part of the stack, and only what is under a prefix is read.

use crate::l2::role::Role;
use crate::policy::Statement;
use crate::value::{Value, iam_literal, sub_literal};

/// A bucket outside the stack, identified by its name.
#[derive(Clone, Debug)]
pub struct SourceBucket {
    name: String,
}

impl SourceBucket {
    /// The bucket with this name. Whether it exists is found out when its notification is set.
    pub fn from_name(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// ARN. A bucket's ARN contains neither account nor Region.
    pub fn arn(&self) -> Value {
        Value::sub(format!("arn:${{AWS::Partition}}:s3:::{}", self.name))
    }

    /// Lets a role read one object.
    pub fn grant_read_object(&self, role: &Role, key: &str) {
        let object = format!("arn:${{AWS::Partition}}:s3:::{}/{}", self.name, sub_literal(&iam_literal(key)));
        role.permit(Statement::allow(&["s3:GetObject"], [Value::sub(object)]));
    }

    /// Lets a role read the objects whose keys start with `prefix`, and list them and their versions.
    ///
    /// The condition on listing uses `IfExists` so that it also holds for `HeadObject`, which has no prefix. Without permission to list, S3 returns
    /// 403 rather than 404 for a deleted object (S3 API, `HeadObject`), and a deleted file would look like a missing permission.
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
