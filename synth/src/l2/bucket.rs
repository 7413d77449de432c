//! A bucket of ours: private, encrypted, versioned, TLS only, kept on removal.

use crate::l1::{CfnBucket, CfnBucketPolicy, CfnBucketPolicyProps, CfnBucketProps};
use crate::l2::role::Role;
use crate::policy::{PolicyDocument, Statement};
use crate::scope::{Resource, Scope};
use crate::value::{Value, iam_literal, sub_literal};

/// How long a bucket keeps what.
pub struct BucketProps {
    /// Folders whose objects are deleted after so many days.
    pub expiring: Vec<(&'static str, u32)>,
    /// Days that a version is kept which was overwritten or deleted.
    pub old_versions_days: u32,
}

/// A bucket of the stack. Buckets that files come from are [`crate::l2::SourceBucket`].
#[derive(Clone)]
pub struct Bucket {
    resource: Resource,
}

impl Bucket {
    /// A bucket that stays when the stack goes. Versioned, so that a configuration file that was overwritten or deleted by mistake can be
    /// brought back: it is the only description of how its table is loaded.
    pub fn new(scope: &Scope, props: &BucketProps) -> Self {
        if props.old_versions_days == 0 || props.expiring.iter().any(|(_, days)| *days == 0) {
            scope.problem("a lifecycle of `0` days: give at least 1");
        }
        let encryption = Value::map([("ServerSideEncryptionByDefault", Value::map([("SSEAlgorithm", "AES256")]))]);
        let private = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
        let owner = Value::map([("ObjectOwnership", "BucketOwnerEnforced")]);
        let resource = CfnBucket::new(
            scope,
            CfnBucketProps {
                BucketEncryption: Some(Value::map([("ServerSideEncryptionConfiguration", Value::list([encryption]))])),
                PublicAccessBlockConfiguration: Some(Value::map(private.map(|block| (block, true)))),
                OwnershipControls: Some(Value::map([("Rules", Value::list([owner]))])),
                VersioningConfiguration: Some(Value::map([("Status", "Enabled")])),
                LifecycleConfiguration: Some(Value::map([("Rules", lifecycle(props))])),
            },
        );
        resource.retain();
        let bucket = Self { resource };
        let mut policy = PolicyDocument::default();
        policy.add(Statement::deny_without_tls("s3:*", [bucket.resource.arn(), bucket.objects("")]));
        CfnBucketPolicy::new(
            &scope.child("Policy"),
            CfnBucketPolicyProps { Bucket: Some(bucket.name()), PolicyDocument: Some(policy.to_value()) },
        );
        bucket
    }

    /// Lets a role read the objects of a folder.
    pub fn grant_read(&self, role: &Role, prefix: &str) {
        role.permit(Statement::allow(&["s3:GetObject"], [self.objects(prefix)]));
    }

    /// Lets a role read and write the objects of a folder.
    pub fn grant_read_write(&self, role: &Role, prefix: &str) {
        role.permit(Statement::allow(&["s3:GetObject", "s3:PutObject"], [self.objects(prefix)]));
    }

    /// Lets a role list the bucket. Without it S3 returns 403 for a missing object, as if it were forbidden (S3 API, `GetObject`), and a
    /// condition on the prefix would never hold for `GetObject`.
    pub fn grant_list(&self, role: &Role) {
        role.permit(Statement::allow(&["s3:ListBucket"], [self.resource.arn()]));
    }

    fn objects(&self, prefix: &str) -> Value {
        Value::sub(format!("${{{}.Arn}}/{}*", self.resource.logical_id(), sub_literal(&iam_literal(prefix))))
    }

    /// Physical name, made by `CloudFormation`.
    pub fn name(&self) -> Value {
        self.resource.reference()
    }
}

fn lifecycle(props: &BucketProps) -> Value {
    let expiring = props.expiring.iter().map(|(prefix, days)| {
        Value::map([
            ("Id", Value::from(format!("expire-{}", prefix.trim_end_matches('/')))),
            ("Status", "Enabled".into()),
            ("Prefix", (*prefix).into()),
            ("ExpirationInDays", (*days).into()),
        ])
    });
    let everywhere = Value::map([
        ("Id", Value::from("clean-up")),
        ("Status", "Enabled".into()),
        ("AbortIncompleteMultipartUpload", Value::map([("DaysAfterInitiation", 1_u32)])),
        ("NoncurrentVersionExpiration", Value::map([("NoncurrentDays", props.old_versions_days)])),
        ("ExpiredObjectDeleteMarker", true.into()),
    ]);
    Value::list(expiring.chain([everywhere]))
}
