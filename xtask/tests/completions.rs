//! The bash script completes `cargo xtask …`, which is what people type.

use std::process::Command;

/// What bash offers for the last of these words, when `before` ran in the shell.
fn offered(before: &str, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let last = words.len() - 1;
    let ask = format!(
        "{before}\nsource <(\"$XTASK\" completions bash)\nCOMP_WORDS=({})\nCOMP_CWORD={last}\n\
         [[ $(complete -p cargo) =~ -F\\ ([^ ]+) ]] && ${{BASH_REMATCH[1]}} cargo '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words[last],
        words[last - 1],
    );
    let output = Command::new("bash").args(["--norc", "-c", &ask]).env("XTASK", env!("CARGO_BIN_EXE_xtask")).output();
    let output = output.unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn commands_and_options_of_cargo_xtask_are_completed() {
    assert_eq!(offered("", &["cargo", "xtask", "depl"]), ["deploy"]);
    assert_eq!(offered("", &["cargo", "xtask", "deploy", "--dry"]), ["--dry-run"]);
    assert_eq!(offered("", &["cargo", "xtask", "queue", "che"]), ["check"]);
    assert_eq!(offered("", &["cargo", "xt"]), ["xtask"]);
}

#[test]
fn other_commands_of_cargo_are_completed_as_before() {
    let before = "others() { COMPREPLY=(build); }; complete -F others cargo";
    assert_eq!(offered(before, &["cargo", "bu"]), ["build"]);
    assert_eq!(offered(before, &["cargo", "xtask", "depl"]), ["deploy"]);
}
