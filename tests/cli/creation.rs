//! When a log is created, by what, and for whom; and that a process can be killed meanwhile.

use porttask_tests::{Dice, Engine, MASTER_KEY, Store, on_both_engines, run_on};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use super::{complaint, porttask, said};

on_both_engines!(commands_on_an_existing_log_create_none, a_first_start_that_is_killed_can_be_repeated);

async fn commands_on_an_existing_log_create_none(store: Store) {
    let missing = Store::at(
        store.engine(),
        match store.engine() {
            Engine::Sqlite => format!("{}/mistyped", store.place()),
            Engine::Postgres => store.place().to_owned(),
        },
    );
    for arguments in [
        &["views", "verify"][..],
        &["views", "list"],
        &["constraints", "verify"],
        &["events", "tail"],
        &["events", "show", "0:1"],
        &["events", "restored"],
        &["log", "verify"],
        &["tasks", "list"],
        &["nodes", "list"],
        &["timers", "list"],
        &["clock", "show"],
        &["keys", "rotate"],
        &["export", "audit", "--organization", "acme.example"],
    ] {
        let output = porttask(&missing, arguments).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", complaint(&output));
        assert!(complaint(&output).contains("there is no log"), "{arguments:?}: {}", complaint(&output));
        match store.engine() {
            Engine::Sqlite => assert!(!Path::new(missing.place()).exists(), "{arguments:?} created a folder"),
            Engine::Postgres => {
                let schemas = "SELECT nspname FROM pg_namespace WHERE nspname IN ('log', 'ledger', 'views')";
                assert!(store.sql(schemas).await.is_empty(), "{arguments:?} created schemas");
            }
        }
    }
}

async fn a_first_start_that_is_killed_can_be_repeated(store: Store) {
    let mut dice = Dice::new();
    let times = if store.engine() == Engine::Sqlite { 20 } else { 3 };
    for index in 0..times {
        let store = match store.engine() {
            Engine::Sqlite => Store::at(Engine::Sqlite, format!("{}/{index}", store.place())),
            Engine::Postgres => Store::fresh(Engine::Postgres),
        };
        let mut init = porttask(&store, &["init"]);
        init.env("PORTTASK_MASTER_KEY", MASTER_KEY).stdout(Stdio::null()).stderr(Stdio::null());
        let mut init = init.spawn().unwrap();
        sleep(Duration::from_micros(u64::from(dice.below(120_000))));
        init.kill().unwrap();
        init.wait().unwrap();
        let again = porttask(&store, &["init"]).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap();
        assert!(said(&again).contains("#token="), "start {index}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_data_folder_is_for_its_owner_only() {
    run_on(Engine::Sqlite, async |store: Store| {
        let store = Store::at(Engine::Sqlite, format!("{}/data", store.place()));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "umask 022; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_porttask")]);
        let run = |command: &mut Command, arguments: &[&str]| {
            command.args(arguments).env("PORTTASK_DATA", store.place()).env("PORTTASK_MASTER_KEY", MASTER_KEY);
            command.stdin(Stdio::null()).process_group(0).output().unwrap()
        };
        said(&run(&mut command, &["init"]));
        said(&porttask(&store, &["views", "rebuild"]).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap());
        let folder = Path::new(store.place());
        assert_eq!(mode(folder), 0o700);
        let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= 3 && files.iter().all(|file| mode(file) == 0o600), "{files:?}");

        for (path, narrow, wide) in [
            (folder.to_owned(), 0o700, 0o755),
            (folder.to_owned(), 0o700, 0o710),
            (folder.join("log.db"), 0o600, 0o644),
            (folder.join("views.db"), 0o600, 0o640),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(wide)).unwrap();
            let refused = porttask(&store, &["init"]).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap();
            let said = complaint(&refused);
            assert!(
                !refused.status.success() && said.contains("chmod") && said.contains(path.to_str().unwrap()),
                "{said}"
            );
            fs::set_permissions(&path, fs::Permissions::from_mode(narrow)).unwrap();
        }
        said(&porttask(&store, &["init"]).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap());
    });
}
