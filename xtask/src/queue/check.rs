//! `cargo xtask queue check`: asks the warehouse whether a queue's files could be loaded, without loading anything.
//!
//! Tables and columns are in the warehouse's catalog. Whether COPY may use the role is not: the catalog has grants, but not the attached
//! roles. So the warehouse is asked to copy a file that does not exist, and its error shows how far it came.

use anyhow::Result;
use clap::Args;
use loader_core::config::{CopyRole, LoadConfig, LoadMode, SchemaChange, SourceFolder};
use loader_core::ident::Ident;
use loader_core::ids::RedshiftTarget;
use loader_core::sql::columns::{alter_grants_query, columns_query, owner_query};
use loader_core::sql::copy::{rehearsal, rehearsal_found_nothing};
use loader_core::sql::merge;
use loader_reconcile::inventory;
use serde_json::json;
use synth::QueueFile;

use crate::ground::aws::{Aws, AwsArgs};
use crate::ground::clock::now_millis;
use crate::ground::output::{Failure, Format, Out, counted};
use crate::ground::running;
use crate::loader::warehouse::Warehouse;
use crate::loader::{queues, settings};

/// `cargo xtask queue check`
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Names of the queues [default: all]
    names: Vec<String>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Format of the result
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// What would prevent loading, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Obstacle {
    problem: String,
    remedy: String,
}

pub async fn run(queues: &[QueueFile], args: &CheckArgs) -> Result<()> {
    let out = Out::new(args.output);
    if !args.aws.local && running::is_up() {
        out.note(
            "this asks the warehouses of an AWS account; a local stack is running: to ask its warehouse, add --local",
        );
    }
    let aws = Aws::new(&args.aws).await?;
    let chosen: Vec<&QueueFile> = match args.names.as_slice() {
        [] => queues.iter().collect(),
        names => names.iter().map(|name| queues::find(queues, name)).collect::<Result<_, _>>()?,
    };
    let mut n_wrong = 0;
    let mut found = Vec::new();
    for queue in chosen {
        let obstacles = check(out, &aws, queue).await?;
        n_wrong += usize::from(!obstacles.is_empty());
        let obstacles: Vec<_> =
            obstacles.iter().map(|it| json!({"problem": it.problem, "remedy": it.remedy})).collect();
        found.push(json!({"name": queue.name, "table": queue.config.db_table().0, "problems": obstacles}));
    }
    out.result(&found)?;
    if n_wrong > 0 {
        let message = format!("{n_wrong} of {} would not load", counted(found.len(), "queue"));
        return Err(Failure::new(message, "correct what is named above, then run the same command again").into());
    }
    Ok(())
}

async fn check(out: Out, aws: &Aws, queue: &QueueFile) -> Result<Vec<Obstacle>> {
    let step = out.step(format!("asking the warehouse about {}", queue.name));
    let config = &queue.config;
    let warehouse = Warehouse::new(aws, config);
    let mut obstacles = table_obstacles(&warehouse, config).await?;
    // COPY looks for the table before it looks for the role.
    if obstacles.is_empty()
        && let Some(source) = &config.source
    {
        obstacles.extend(copy_obstacle(&warehouse, config, source).await?);
    }
    obstacles.extend(inventory_obstacle(aws, config).await?);
    if !obstacles.is_empty() {
        step.failed(format!("{}: would not load", queue.name));
    } else if let Some(SourceFolder { bucket, prefix }) = &config.source {
        step.done(format!(
            "{}: table and columns fit; COPY can use the role and list s3://{bucket}/{prefix}",
            queue.name
        ));
    } else {
        step.done(format!(
            "{}: table and columns fit; the role is not checked, because there is no `source`",
            queue.name
        ));
    }
    for Obstacle { problem, remedy } in &obstacles {
        out.line(format!("   {problem}"));
        out.line(format!("   {} {remedy}", out.bold("next:")));
    }
    Ok(obstacles)
}

async fn table_obstacles(warehouse: &Warehouse<'_>, config: &LoadConfig) -> Result<Vec<Obstacle>> {
    let table = &config.target.table;
    let rows = warehouse.run(&columns_query(table)).await?;
    let columns: Vec<&str> = rows.iter().filter_map(|row| row.first()?.as_deref()).collect();
    if columns.is_empty() {
        let problem = format!("there is no table `{}.{}` that this user can see", table.schema, table.table);
        let remedy = "create it, or grant USAGE on its schema and SELECT, INSERT and DELETE on it".to_owned();
        return Ok(vec![Obstacle { problem, remedy }]);
    }
    let missing = |column: &&Ident| !columns.contains(&column.as_str());
    let merged: Vec<&Ident> = match &config.mode {
        LoadMode::Append => Vec::new(),
        LoadMode::Replace { keys, timestamp, .. } | LoadMode::Versions { keys, timestamp } => {
            keys.iter().chain([timestamp]).collect()
        }
    };
    // The column that marks deletions may be in the files only.
    let marker = config.delete_marker().map(|marker| &marker.column);
    let wanted = config.columns.iter().filter(|column| marker != Some(*column)).chain(merged).filter(missing);
    let mut obstacles: Vec<Obstacle> = wanted
        .map(|column| Obstacle {
            problem: format!("the table has no column `{}`", column.as_str()),
            remedy: "add it to the table, or correct `copy.columns` and `options` in the file".to_owned(),
        })
        .collect();
    if obstacles.is_empty() {
        obstacles.extend(tombstones_obstacle(warehouse, config).await?);
        obstacles.extend(alter_obstacle(warehouse, config).await?);
    }
    Ok(obstacles)
}

/// What keeps the loader from adding columns. In a warehouse without the views of grants, only the table's owner can.
async fn alter_obstacle(warehouse: &Warehouse<'_>, config: &LoadConfig) -> Result<Option<Obstacle>> {
    let table = &config.target.table;
    if config.schema_change != SchemaChange::AddColumns
        || warehouse.number(&owner_query(table)).await? > 0
        || warehouse.number(&alter_grants_query(table)).await.is_ok_and(|n_grants| n_grants > 0)
    {
        return Ok(None);
    }
    Ok(Some(Obstacle {
        problem: format!("the user may not add columns to `{}.{}`, as `add_columns` does", table.schema, table.table),
        remedy: format!("ALTER TABLE {table} OWNER TO that user; or write `fail` in `options.on_schema_change`"),
    }))
}

/// What keeps the loader from remembering deletions.
async fn tombstones_obstacle(warehouse: &Warehouse<'_>, config: &LoadConfig) -> Result<Option<Obstacle>> {
    let (Some(marker), Some(make), Some(ask)) =
        (config.delete_marker(), merge::tombstones_table(config), merge::tombstones_privileges(config))
    else {
        return Ok(None);
    };
    let table = &marker.tombstones;
    let grant = format!("GRANT SELECT, INSERT, DELETE ON {table} TO that user");
    if warehouse.run(&columns_query(table)).await?.is_empty() {
        let problem = format!("there is no table `{}.{}` that remembers deleted rows", table.schema, table.table);
        return Ok(Some(Obstacle { problem, remedy: format!("{make}; {grant}") }));
    }
    if warehouse.number(&ask).await? == 0 {
        let problem =
            format!("the user may not write `{}.{}`, which remembers deleted rows", table.schema, table.table);
        return Ok(Some(Obstacle { problem, remedy: grant }));
    }
    Ok(None)
}

/// What keeps a source check from reading an inventory of its bucket.
async fn inventory_obstacle(aws: &Aws, config: &LoadConfig) -> Result<Option<Obstacle>> {
    let (Some(folder), Some(source), Some(check)) = (&config.inventory, &config.source, config.source_check) else {
        return Ok(None);
    };
    let clients = (aws.dynamodb(), aws.s3(), aws.redshift_data());
    let s3 = loader_aws::Aws::with_clients(settings::of_no_stack()?, clients.0, clients.1, clients.2);
    let found = inventory::newest(&s3, folder, source, check.inventory_since(now_millis())).await;
    Ok(found.err().map(|problem| Obstacle {
        problem: format!("the source check would fail: {problem}"),
        remedy: "let S3 publish it there as CSV with Size, LastModifiedDate and ETag; the first takes up to 48 hours"
            .to_owned(),
    }))
}

async fn copy_obstacle(
    warehouse: &Warehouse<'_>,
    config: &LoadConfig,
    source: &SourceFolder,
) -> Result<Option<Obstacle>> {
    let error = warehouse.complaint(&rehearsal(config, source)).await?;
    Ok(error.filter(|error| !rehearsal_found_nothing(error)).map(|error| explain(&error, config, source)))
}

/// What the warehouse's error says about the role, the bucket or the table, and what to do. The texts are those in the database guide's
/// list of load errors.
fn explain(error: &str, config: &LoadConfig, source: &SourceFolder) -> Obstacle {
    let SourceFolder { bucket, prefix } = source;
    let first_line = error.lines().next().unwrap_or_default();
    let role = match &config.copy_role {
        CopyRole::Default => "the warehouse's default role".to_owned(),
        CopyRole::Arn(arn) => format!("the role `{arn}`"),
    };
    let has = |parts: &[&str]| parts.iter().any(|part| error.contains(part));
    let (problem, remedy) = if has(&["authorized to assume", "authorized to get credentials", "IAM role"]) {
        let problem = match &config.copy_role {
            CopyRole::Default => "the warehouse has no default role that it can use".to_owned(),
            CopyRole::Arn(_) => format!("the warehouse cannot use {role}"),
        };
        (problem, format!("{}; its trust policy must allow sts:AssumeRole to redshift.amazonaws.com", attach(config)))
    } else if has(&["NoSuchBucket"]) {
        (format!("there is no bucket `{bucket}`"), "create it, or correct `source` in the file".to_owned())
    } else if has(&["AccessDenied", "Access Denied", "Status 403"]) {
        let problem = format!("{role} cannot list s3://{bucket}/{prefix}");
        (problem, format!("allow it s3:ListBucket on `{bucket}` and s3:GetObject on `{bucket}/{prefix}*`"))
    } else if has(&["permission denied"]) {
        let problem = format!("the user may not load into `{}`", config.target.table);
        (problem, format!("GRANT SELECT, INSERT, DELETE ON {} TO that user", config.target.table))
    } else {
        ("a COPY into the table would fail".to_owned(), "remove the cause that the warehouse names".to_owned())
    };
    Obstacle { problem: format!("{problem}; the warehouse says: {first_line}"), remedy }
}

/// The command that attaches the role.
fn attach(config: &LoadConfig) -> String {
    match (&config.target.warehouse, &config.copy_role) {
        (RedshiftTarget::Cluster(id), CopyRole::Arn(arns)) => {
            let first = arns.split(',').next().unwrap_or(arns);
            format!("aws redshift modify-cluster-iam-roles --cluster-identifier {id} --add-iam-roles {first}")
        }
        (RedshiftTarget::Cluster(id), CopyRole::Default) => {
            format!("aws redshift modify-cluster-iam-roles --cluster-identifier {id} --default-iam-role-arn <ARN>")
        }
        (RedshiftTarget::Workgroup(workgroup), CopyRole::Arn(_)) => {
            format!(
                "attach it to the namespace of workgroup `{workgroup}` (aws redshift-serverless update-namespace --iam-roles …)"
            )
        }
        (RedshiftTarget::Workgroup(workgroup), CopyRole::Default) => {
            format!(
                "give the namespace of workgroup `{workgroup}` one (aws redshift-serverless update-namespace --default-iam-role-arn …)"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/copy";

    fn explained(words: &str, cluster: &serde_json::Value, role: &str) -> Obstacle {
        let config = LoadConfig::from_value(&json!({
            "source": "s3://bucket/sales/", "cluster": cluster, "copy": {"table_name": "sales", "role_arn": role},
        }))
        .unwrap();
        explain(words, &config, config.source.as_ref().unwrap())
    }

    #[test]
    fn a_role_that_is_not_attached() {
        let words = format!(
            "ERROR: User arn:aws:redshift:us-east-1:123456789012:dbuser:c/u is not authorized to assume IAM Role {ROLE}\n  Detail: …"
        );
        let Obstacle { problem, remedy } = explained(&words, &json!({"identifier": "c", "db_name": "d"}), ROLE);
        assert!(
            problem.starts_with(&format!("the warehouse cannot use the role `{ROLE}`; the warehouse says: ERROR: "))
        );
        assert!(!problem.contains("Detail"), "{problem}");
        assert!(remedy.contains(&format!("--cluster-identifier c --add-iam-roles {ROLE}")), "{remedy}");
        let words = format!("ERROR: Not authorized to get credentials of role {ROLE}");
        let Obstacle { remedy, .. } = explained(&words, &json!({"workgroup": "wg", "db_name": "d"}), ROLE);
        assert!(remedy.contains("namespace of workgroup `wg`"), "{remedy}");
    }

    #[test]
    fn a_folder_that_cannot_be_listed() {
        let cluster = json!({"identifier": "c", "db_name": "d"});
        let words = "ERROR: S3ServiceException:Access Denied,Status 403,Error AccessDenied,Rid 1,ExtRid x,CanRetry 1";
        let denied = explained(words, &cluster, "default");
        assert!(
            denied.problem.starts_with("the warehouse's default role cannot list s3://bucket/sales/;"),
            "{denied:?}"
        );
        assert!(denied.remedy.contains("s3:ListBucket on `bucket`"), "{denied:?}");
        let words = "ERROR: S3ServiceException:The specified bucket does not exist,Status 404,Error NoSuchBucket";
        assert!(explained(words, &cluster, "default").problem.starts_with("there is no bucket `bucket`;"));
        let words = "ERROR: permission denied for relation sales";
        assert!(explained(words, &cluster, "default").remedy.starts_with("GRANT SELECT, INSERT"));
    }
}
