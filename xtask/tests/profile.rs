//! `--profile` selects the account, even if the environment has other credentials and another Region.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

const CONFIG: &str = "[profile wanted]
region = eu-west-3
aws_access_key_id = AKIDOFPROFILE
aws_secret_access_key = secret

[profile nowhere]
aws_access_key_id = AKIDNOWHERE
aws_secret_access_key = secret

[profile program]
region = eu-west-3
credential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"AKIDOFPROGRAM\", \"SecretAccessKey\": \"secret\"}'
";

/// An endpoint that records who signed the first request, and responds that there is no such stack.
fn endpoint() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let signed_by = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut signature, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let (name, value) = line.trim().split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "authorization" => value.trim().clone_into(&mut signature),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
            if line.trim().is_empty() {
                break;
            }
        }
        stream.read_exact(&mut vec![0; length]).unwrap();
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
             <Message>Stack with id s does not exist</Message></Error></ErrorResponse>";
        let head = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        signature
    });
    (url, signed_by)
}

fn status(test: &str, endpoint: &str, arguments: &[&str]) -> Output {
    let config = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.config"));
    std::fs::write(&config, CONFIG).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["status", "--stack-name", "s"]).args(arguments);
    command.env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", config.with_extension("none"));
    command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_REGION", "us-west-2").env("AWS_EC2_METADATA_DISABLED", "true");
    command
        .env("AWS_ACCESS_KEY_ID", "AKIDOFENVIRONMENT")
        .env("AWS_SECRET_ACCESS_KEY", "other")
        .env_remove("AWS_PROFILE");
    command.output().unwrap()
}

/// Credential and Region of the first request's signature.
fn signed(test: &str, arguments: &[&str]) -> (String, String) {
    let (url, signed_by) = endpoint();
    let output = status(test, &url, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("there is no stack `s`"), "{errors}");
    let signature = signed_by.join().unwrap();
    let scope = signature.split(['=', ',']).nth(1).unwrap();
    let parts: Vec<&str> = scope.split('/').collect();
    (parts[0].to_owned(), parts[2].to_owned())
}

fn refused(test: &str, arguments: &[&str]) -> String {
    let output = status(test, "http://127.0.0.1:9", arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn without_a_profile_the_environment_is_used() {
    assert_eq!(signed("environment", &[]), ("AKIDOFENVIRONMENT".into(), "us-west-2".into()));
}

#[test]
fn a_profile_is_the_only_source_of_credentials_and_region() {
    assert_eq!(signed("profile", &["--profile", "wanted"]), ("AKIDOFPROFILE".into(), "eu-west-3".into()));
    assert_eq!(signed("program", &["--profile", "program"]), ("AKIDOFPROGRAM".into(), "eu-west-3".into()));
}

#[test]
fn a_region_on_the_command_line_overrides_the_profiles() {
    let arguments = ["--profile", "wanted", "--region", "eu-north-1"];
    assert_eq!(signed("region", &arguments), ("AKIDOFPROFILE".into(), "eu-north-1".into()));
}

#[test]
fn an_unknown_profile_is_refused_with_a_list_of_known_ones() {
    let errors = refused("unknown", &["--profile", "wnated", "--region", "us-east-1"]);
    assert!(errors.contains("there is no profile `wnated`"), "{errors}");
    assert!(errors.contains("nowhere, program, wanted"), "{errors}");
}

#[test]
fn a_profile_without_a_region_takes_none_from_the_environment() {
    let errors = refused("nowhere", &["--profile", "nowhere"]);
    assert!(errors.contains("the profile `nowhere` has no Region") && errors.contains("--region"), "{errors}");
}
