//! `cargo xtask destroy`: deletes the stack. Keeps the data unless `--delete-data` is given, and lists what it kept.

use anyhow::Result;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput;
use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier};
use clap::Args;
use loader_aws::list::key_of;
use synth::names::Output;

use crate::ground::ask;
use crate::ground::aws::{Aws, failed};
use crate::ground::output::{Failure, Format, Out};
use crate::ground::stack;
use crate::ground::stack_args::StackSelection;
use crate::loader::connections;

/// `cargo xtask destroy`
#[derive(Args, Debug)]
pub struct DestroyArgs {
    #[command(flatten)]
    stack: StackSelection,
    /// Also delete the tracker table and the loader's bucket: without the ledger, loaded files could be loaded again
    #[arg(long)]
    delete_data: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

pub async fn run(args: &DestroyArgs) -> Result<()> {
    let out = Out::new(Format::Text);
    let (aws, stack) = args.stack.connect().await?;
    let bucket = stack.output(Output::LoaderBucketName).ok().map(str::to_owned);
    let table = stack.output(Output::TrackerTableName).ok().map(str::to_owned);
    confirm(out, args, &aws, &stack.name)?;
    connections::disconnect(&aws, out, &stack).await?;
    let step = out.step(format!("deleting the stack {}", stack.name));
    stack::delete(&aws, &stack, &step).await?;
    step.done(format!("stack {} deleted", stack.name));
    if args.delete_data {
        if let Some(bucket) = &bucket {
            delete_bucket(&aws.s3(), out, bucket).await?;
        }
        if let Some(table) = &table {
            let request = aws.dynamodb().delete_table().table_name(table);
            request.send().await.map_err(failed(format!("delete the table `{table}`")))?;
            out.ok(format!("deleted the tracker table {table}"));
        }
        return Ok(());
    }
    out.title("Kept");
    for (what, name) in [("bucket (configuration, pending metadata, manifests)", bucket), ("tracker table", table)] {
        if let Some(name) = name {
            out.line(format!("   {name}  {what}"));
        }
    }
    out.line("   the source buckets and the target tables are as they were");
    Ok(())
}

fn confirm(out: Out, args: &DestroyArgs, aws: &Aws, stack_name: &str) -> Result<(), Failure> {
    let data = if args.delete_data { " with the tracker and the loader's bucket" } else { "" };
    let question = format!("Delete the stack {stack_name}{data} in {}?", aws.region);
    ask::confirm(out, args.yes, &question, format!("the stack `{stack_name}` was not deleted"))
}

/// S3 returns HTTP 200 even if it deleted nothing; each object has its own error.
fn check(bucket: &str, deleted: &DeleteObjectsOutput) -> Result<(), Failure> {
    let Some(error) = deleted.errors().first() else { return Ok(()) };
    let text = |text: Option<&str>| text.unwrap_or("no reason given").to_owned();
    let (key, message, code) = (text(error.key()), text(error.message()), text(error.code()));
    let message = format!("cannot empty the bucket `{bucket}`: s3://{bucket}/{key}: {message} ({code})");
    let hint = "correct the cause (a permission, a lock), then delete the bucket and the tracker table by hand: the stack is gone";
    Err(Failure::new(message, hint))
}

/// A bucket can be deleted only when it contains no version of any object.
async fn delete_bucket(client: &Client, out: Out, bucket: &str) -> Result<()> {
    let step = out.step(format!("deleting the bucket {bucket}"));
    let mut n_deleted = 0;
    loop {
        let page = client.list_object_versions().bucket(bucket).encoding_type(EncodingType::Url).send().await;
        let page = page.map_err(failed(format!("list the bucket `{bucket}`")))?;
        let versions = page.versions().iter().map(|version| (version.key(), version.version_id()));
        let markers = page.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
        let objects: Vec<ObjectIdentifier> = versions
            .chain(markers)
            .filter_map(|(key, id)| {
                let key = key_of(page.encoding_type(), key?).ok()?;
                ObjectIdentifier::builder().key(key).set_version_id(id.map(str::to_owned)).build().ok()
            })
            .collect();
        if objects.is_empty() {
            break;
        }
        n_deleted += objects.len();
        step.now(&format!("{n_deleted} objects"));
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build()?;
        let request = client.delete_objects().bucket(bucket).delete(delete);
        let deleted = request.send().await.map_err(failed(format!("empty the bucket `{bucket}`")))?;
        check(bucket, &deleted)?;
    }
    client.delete_bucket().bucket(bucket).send().await.map_err(failed(format!("delete the bucket `{bucket}`")))?;
    step.done(format!("bucket {bucket} deleted with {n_deleted} object versions"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::Error;

    use super::*;

    #[test]
    fn an_object_that_s3_does_not_delete_is_an_error() {
        let denied = Error::builder().key("manifests/a").code("AccessDenied").message("Access Denied").build();
        let failure = check("loader", &DeleteObjectsOutput::builder().errors(denied).build()).unwrap_err();
        let expected = "cannot empty the bucket `loader`: s3://loader/manifests/a: Access Denied (AccessDenied)";
        assert_eq!(failure.message, expected);
        assert!(check("loader", &DeleteObjectsOutput::builder().build()).is_ok());
    }
}
