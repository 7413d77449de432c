//! `cargo xtask build`: the zips of the three functions, with their sizes and hashes.

use anyhow::Result;
use clap::Args;
use synth::{Architecture, workspace};

use crate::ground::output::{Format, Out, size};
use crate::loader::functions::{self, Profile, Runs, Wanted};

/// `cargo xtask build`
#[derive(Args, Debug)]
pub struct BuildArgs {
    /// Processor that the functions run on
    #[arg(long, value_enum, default_value_t)]
    arch: Architecture,
    /// `release`: small and quick to start, for AWS. `dev`: quick to build, for tests (zips in cfn-out/assets/dev)
    #[arg(long, value_enum, default_value_t)]
    profile: Profile,
    /// Format of the result
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

pub fn run(args: &BuildArgs) -> Result<()> {
    let out = Out::new(args.output);
    let assets = functions::build(out, Wanted { arch: args.arch, profile: args.profile, runs: Runs::InLambda })?;
    for asset in &assets {
        out.line(format!(
            "   {}  {}  sha256 {}",
            workspace::shown(&asset.path),
            size(asset.bytes),
            &asset.sha256[..16]
        ));
    }
    out.result(&assets)
}
