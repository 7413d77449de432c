//! The command that deploys by hand: the template in cfn-out, and the zips under the hash of their content. Under a name that stays the
//! same CloudFormation would see no new code.

use loader_core::contract::Function;
use synth::names::Parameter;

use crate::ground::shell;
use crate::loader::deployment::assets::hashed_key;
use crate::loader::functions::Asset;
use crate::loader::template;

/// What is to be typed; the other parameters stay as they are in the stack. `environment` leads the command to the local stack.
pub fn command(environment: &str, stack_name: &str, statement_prefix: &str, assets: &[Asset]) -> String {
    let template = shell::shown(&template::path());
    let mut command = format!(
        "{environment}aws cloudformation deploy --template-file {template} --stack-name {stack_name} \
         --capabilities CAPABILITY_IAM --parameter-overrides statementNamePrefix='{statement_prefix}'"
    );
    for asset in assets {
        let function = Function::ALL.into_iter().find(|function| function.package() == asset.package);
        let key = function.map(|function| format!(" {}={}", Parameter::CodeKey(function).name(), hashed_key(asset)));
        command.extend(key);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_zips_are_named_by_their_hash() {
        let asset = |function: Function| Asset {
            package: function.package(),
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
