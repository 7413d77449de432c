//! The command that deploys by hand, with the template in cfn-out and the keys of the zips. A key contains the hash of the zip's content,
//! because CloudFormation does not notice new code under an unchanged key.

use synth::names::Parameter;
use synth::workspace;

use crate::loader::deployment::assets::hashed_key;
use crate::loader::functions::Asset;

/// The command to type. Other parameters keep their values in the stack. `environment` directs it to the local stack.
pub fn command(environment: &str, stack_name: &str, statement_prefix: &str, assets: &[Asset]) -> String {
    let template = workspace::shown(&workspace::template());
    let mut command = format!(
        "{environment}aws cloudformation deploy --template-file {template} --stack-name {stack_name} \
         --capabilities CAPABILITY_IAM --parameter-overrides {}='{statement_prefix}'",
        Parameter::StatementNamePrefix.name()
    );
    let keys = assets.iter().map(|zip| format!(" {}={}", Parameter::CodeKey(zip.function).name(), hashed_key(zip)));
    command.extend(keys);
    command
}

#[cfg(test)]
mod tests {
    use loader_core::contract::Function;

    use super::*;

    #[test]
    fn the_three_zips_are_named_by_their_hash() {
        let asset = |function: Function| Asset {
            function,
            path: "x".into(),
            sha256: "0123456789abcdef0123".to_owned(),
            bytes: 1,
        };
        let command = command("A=b ", "loader", "dev", &Function::ALL.map(asset));
        assert!(command.starts_with("A=b aws cloudformation deploy --template-file cfn-out/"), "{command}");
        assert!(command.contains("--stack-name loader ") && command.contains("statementNamePrefix='dev'"), "{command}");
        for key in [
            "microbatchLoaderKey=microbatch-loader-0123456789abcdef.zip",
            "nextLoaderKey=next-loader-0123456789abcdef.zip",
            "bulkLoaderKey=bulk-loader-0123456789abcdef.zip",
        ] {
            assert!(command.contains(key), "{key}: {command}");
        }
    }
}
