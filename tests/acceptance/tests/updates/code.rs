//! Changes of code: new and earlier code is deployed, and an invalid zip rolls the whole change back.

use acceptance::world::{STACK, World};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use loader_core::contract::Function;

use super::{Feed, LARGE, assets_bucket, cause, destroy_zip, function, prefix_of};

/// A change of code, memory and prefix fails because a function's zip is invalid.
pub async fn failed_change(user: &Checkout, world: &World, orders: &mut Feed) -> Result<()> {
    let before = codes(world).await?;
    user.change_code(Function::NextLoader)?;
    user.change_code(Function::BulkLoader)?;
    let differs = user.must(&format!("diff --local --build-profile dev --stack-name {STACK} --memory 1024")).await?;
    ensure!(differs.output.contains("NextLoader") && differs.output.contains("nothing was changed"), "{differs:?}");
    let key = destroy_zip(user, world).await?;
    let said = user.xtask(&user.deploy_words("--statement-name-prefix third --memory 1024")).await?;
    ensure!(said.code == Some(1), "{said:?}");
    let cause = cause(&said)?;
    ensure!(cause.contains("was rolled back (UPDATE_ROLLBACK_COMPLETE)"), "{cause}");
    ensure!(cause.contains("first cause: NextLoader (AWS::Lambda::Function)"), "{cause}");
    ensure!(codes(world).await? == before, "the code of a function has changed");
    for of in Function::ALL {
        ensure!(prefix_of(world, of).await? == "second", "{} has the prefix that was rolled back", of.name());
    }
    orders.loads().await?;
    ensure!(orders.statements_of("third").await? == 0, "a statement has the prefix that was rolled back");
    world.s3.delete_object().bucket(assets_bucket(world)).key(key).send().await?;
    Ok(())
}

/// The hashes of the functions' zips.
async fn codes(world: &World) -> Result<Vec<String>> {
    let mut codes = Vec::new();
    for of in Function::ALL {
        codes.push(function(world, of).await?.code_sha256().context("the function has no code")?.to_owned());
    }
    Ok(codes)
}

pub async fn changed_code(user: &Checkout, world: &World) -> Result<()> {
    let before = codes(world).await?;
    let deployed = user.deploy(LARGE).await?;
    ensure!(deployed["changed"] == true, "{deployed}");
    let after = codes(world).await?;
    let changed: Vec<bool> = before.iter().zip(&after).map(|(old, new)| old != new).collect();
    let expected: Vec<bool> = Function::ALL.iter().map(|of| *of != Function::MicrobatchLoader).collect();
    ensure!(changed == expected, "{before:?} {after:?}");
    Ok(())
}

/// Deploys the previous version again. Its zip has been uploaded before, but its plain key must be updated too.
pub async fn back_a_version(user: &Checkout, world: &World) -> Result<()> {
    let plain = async || {
        let object = world.s3.get_object().bucket(assets_bucket(world)).key("next-loader.zip").send().await?;
        anyhow::Ok(object.body.collect().await?.into_bytes())
    };
    let before = plain().await?;
    let code = user.code(Function::NextLoader)?;
    user.change_code(Function::NextLoader)?;
    user.deploy(LARGE).await?;
    ensure!(plain().await? != before, "the plain key has the old zip");
    user.put_code(Function::NextLoader, &code)?;
    let deployed = user.deploy(LARGE).await?;
    ensure!(deployed["changed"] == true && plain().await? == before, "the plain key has the newer zip");
    Ok(())
}
