//! The configuration: flags before the environment before the file before defaults, and secrets in no output.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{complaint, said};

const SECRET: &str = "hunter2-hunter2";

/// The binary in a directory, with nothing in its environment.
fn porttask(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_porttask"));
    command.env_clear().current_dir(directory).args(arguments).stdin(Stdio::null());
    command
}

fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    porttask(directory, arguments).envs(variables.iter().copied()).output().unwrap()
}

/// A directory with this configuration file, for its owner only.
fn configured(text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("porttask.toml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    directory
}

/// What holds: value and source of a setting.
fn holds(output: &Output, key: &str) -> (Value, String) {
    let shown: Value = serde_json::from_str(&said(output)).unwrap();
    let setting = &shown["settings"][key];
    (setting["value"].clone(), setting["source"].as_str().unwrap_or_else(|| panic!("no {key} in {shown}")).to_owned())
}

#[test]
fn flags_go_before_the_environment_before_the_file_before_defaults() {
    let directory = configured("listen = \"127.0.0.1:3\"\nrate_attempts = 3\ngrace_seconds = 4\nlog = \"info\"\n");
    let variables = [("PORTTASK_LISTEN", "127.0.0.1:2"), ("PORTTASK_RATE_ATTEMPTS", "2"), ("PORTTASK_PUBLIC_URL", "")];
    let output = run(directory.path(), &["config", "--json", "--listen", "127.0.0.1:1"], &variables);
    let expected = |value: &str, source: &str| (Value::String(value.to_owned()), source.to_owned());
    assert_eq!(holds(&output, "listen"), expected("127.0.0.1:1", "flag"));
    assert_eq!(holds(&output, "rate_attempts"), expected("2", "environment"));
    assert_eq!(holds(&output, "grace_seconds"), expected("4", "file"));
    assert_eq!(holds(&output, "log"), expected("info", "file"));
    assert_eq!(holds(&output, "rate_session"), expected("1200", "default"));
    assert_eq!(holds(&output, "public_url"), (Value::Null, "unset".to_owned()), "an empty variable is as none");
    let text = said(&run(directory.path(), &["config"], &[]));
    assert!(text.contains("Configuration file: porttask.toml") && text.contains("file porttask.toml:2"), "{text}");
}

#[test]
fn another_file_can_be_named_and_must_be_there_then() {
    let directory = configured("grace_seconds = 4\n");
    fs::write(directory.path().join("other.toml"), "grace_seconds = 5\ntrusted_proxies = [\"10.0.0.1\", \"::1\"]\n")
        .unwrap();
    for output in [
        run(directory.path(), &["config", "--json", "--config", "other.toml"], &[]),
        run(directory.path(), &["--config=other.toml", "config", "--json"], &[]),
        run(directory.path(), &["config", "--json"], &[("PORTTASK_CONFIG", "other.toml")]),
    ] {
        assert_eq!(holds(&output, "grace_seconds").0, "5");
        assert_eq!(holds(&output, "trusted_proxies").0, serde_json::json!(["10.0.0.1", "::1"]));
    }
    let missing = run(directory.path(), &["config", "--config", "none.toml"], &[]);
    assert!(!missing.status.success() && complaint(&missing).contains("none.toml"), "{}", complaint(&missing));
}

#[test]
fn what_is_wrong_with_the_file_is_said_with_its_line() {
    for (text, expected) in [
        ("\nlisen = \"x\"\n", "porttask.toml:2: unknown setting lisen; did you mean listen?"),
        ("[server]\nport = 1\n", "porttask.toml:1: unknown setting server"),
        ("listen = [1]\n", "porttask.toml:1: listen must be a string or a number"),
        ("\n\nlisten = \"nowhere\"\n", "porttask.toml:3: listen = \"nowhere\": expected an address and a port"),
        ("grace_seconds = -1\n", "porttask.toml:1: grace_seconds = \"-1\""),
        ("listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n", "porttask.toml:2: duplicate key"),
        (&format!("metrics_token = \"{SECRET}\" x\n"), "porttask.toml:1: "),
        (&format!("metrics_token = [\"{SECRET}\"]\n"), "porttask.toml:1: metrics_token must be a string"),
    ] {
        let output = run(configured(text).path(), &["config"], &[]);
        let complaint = complaint(&output);
        assert!(!output.status.success() && complaint.contains(expected), "{text} was answered with {complaint}");
        assert!(!complaint.contains(SECRET), "{complaint}");
    }
}

#[test]
fn secrets_are_shown_nowhere() {
    let keys = [
        "database_url",
        "master_key",
        "admin_password",
        "metrics_token",
        "smtp_url",
        "stripe_key",
        "stripe_webhook_secrets",
    ];
    // Nobody listens there.
    let value = format!("postgres://ana:{SECRET}@127.0.0.1:1/porttask");
    let text: String = keys.iter().map(|key| format!("{key} = \"{value}\"\n")).collect();
    let directory = configured(&text);
    let variables = [
        "DATABASE_URL",
        "PORTTASK_MASTER_KEY",
        "PORTTASK_ADMIN_PASSWORD",
        "PORTTASK_METRICS_TOKEN",
        "PORTTASK_SMTP_URL",
        "PORTTASK_STRIPE_KEY",
        "PORTTASK_STRIPE_WEBHOOK_SECRETS",
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|name| (*name, &*value)).collect();
    for (place, variables) in [(directory.path(), &[][..]), (tempfile::tempdir().unwrap().path(), &variables[..])] {
        for arguments in [
            &["config"][..],
            &["config", "--json"],
            &["config", "--example"],
            &["config", "--help"],
            &["serve", "--help"],
            &["serve", "-h"],
            &["serve", "--nonsense"],
            &["serve", "--listen", "nowhere"],
            &["views", "list"],
        ] {
            let output = run(place, arguments, variables);
            let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), complaint(&output));
            assert!(!all.contains(SECRET) && !all.is_empty(), "{arguments:?} said {all}");
        }
        let shown = run(place, &["config", "--json"], variables);
        for key in keys {
            assert_eq!(holds(&shown, key).0, "(set)", "{key}");
        }
    }
}

#[test]
fn a_file_with_secrets_is_for_its_owner_only() {
    let directory = configured(&format!("metrics_token = \"{SECRET}\"\n"));
    let file = directory.path().join("porttask.toml");
    for mode in [0o640, 0o604] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let output = run(directory.path(), &["config"], &[]);
        let complaint = complaint(&output);
        assert!(!output.status.success() && complaint.contains("chmod 600 porttask.toml"), "{complaint}");
        assert!(complaint.contains("metrics_token") && !complaint.contains(SECRET), "{complaint}");
    }
    fs::write(&file, "grace_seconds = 4\n").unwrap();
    said(&run(directory.path(), &["config"], &[]));
}

#[test]
fn secrets_come_from_files_as_well_and_the_stronger_form_holds() {
    let directory = configured("metrics_token = \"from-the-file\"\n");
    let form = |key: &str, arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["config", "--json"], arguments].concat();
        holds(&run(directory.path(), &arguments, variables), key).1
    };
    let named = [("PORTTASK_METRICS_TOKEN_FILE", "token.txt")];
    assert_eq!(form("metrics_token", &[], &named), "unset");
    assert_eq!(form("metrics_token_file", &[], &named), "environment");
    let own = [("PORTTASK_METRICS_TOKEN", "own")];
    assert_eq!(form("metrics_token", &["--metrics-token-file", "token.txt"], &own), "unset");

    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", "data"];
    let missing = run(directory.path(), &serve, &named);
    assert!(complaint(&missing).contains("PORTTASK_METRICS_TOKEN_FILE, token.txt"), "{}", complaint(&missing));
    let both = [named[0], own[0]];
    assert!(complaint(&run(directory.path(), &serve, &both)).contains("both set"));
}

#[test]
fn the_example_is_a_file_that_is_accepted() {
    let directory = configured("");
    let example = said(&run(directory.path(), &["config", "--example"], &[]));
    for key in
        ["# listen = \"127.0.0.1:8080\"", "# rate_attempts = 20", "# trusted_proxies = []", "# Variable: DATABASE_URL"]
    {
        assert!(example.contains(key), "no {key} in\n{example}");
    }
    fs::write(directory.path().join("porttask.toml"), &example).unwrap();
    said(&run(directory.path(), &["config"], &[]));
    // Its defaults are those that hold without it.
    let lines = example.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = "));
    let settings: String = lines.filter(|line| !line.ends_with("\"\"")).map(|line| format!("{line}\n")).collect();
    fs::write(directory.path().join("porttask.toml"), settings).unwrap();
    let shown = run(directory.path(), &["config", "--json"], &[]);
    assert_eq!(holds(&shown, "listen"), (Value::String("127.0.0.1:8080".to_owned()), "file".to_owned()));
}
