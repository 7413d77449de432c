//! `cargo xtask completions`: shell completions. clap's scripts complete a command of one word, but `cargo xtask` has two.

use std::io::Write;

use clap::Args;
use clap_complete::Shell;

/// In bash, completes `cargo xtask …` like `xtask …`, and leaves other commands of cargo as they were.
const BASH: &str = r#"
if [[ $(complete -p cargo 2>/dev/null) =~ -F\ ([^ ]+) && ${BASH_REMATCH[1]} != _cargo_xtask ]]; then
    _cargo_xtask_others=${BASH_REMATCH[1]}
fi
_cargo_xtask() {
    if [[ ${COMP_WORDS[1]} == xtask && COMP_CWORD -gt 1 ]]; then
        COMP_WORDS=("${COMP_WORDS[@]:1}")
        COMP_CWORD=$((COMP_CWORD - 1))
        _xtask xtask "$2" "$3"
    elif [[ -n ${_cargo_xtask_others:-} ]]; then
        "$_cargo_xtask_others" "$@"
    else
        COMPREPLY=($(compgen -W xtask -- "$2"))
    fi
}
complete -F _cargo_xtask -o bashdefault -o default cargo
"#;

pub const HELP: &str = "\
bash, once, after what completes cargo's own commands:
  cargo xtask completions bash > ~/.cargo-xtask.bash && echo 'source ~/.cargo-xtask.bash' >> ~/.bashrc

In the other shells the script completes `xtask`, so give that name to the command:
  zsh   xtask() { cargo xtask \"$@\"; }              cargo xtask completions zsh > a folder of $fpath/_xtask
  fish  function xtask; cargo xtask $argv; end     cargo xtask completions fish > ~/.config/fish/completions/xtask.fish";

/// `cargo xtask completions`
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

pub fn run(args: &CompletionsArgs, mut cli: clap::Command) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "xtask", &mut script);
    if args.shell == Shell::Bash {
        script.extend_from_slice(BASH.as_bytes());
    }
    // A closed reader (`| head`) is not a failure.
    let _ = std::io::stdout().write_all(&script);
}
