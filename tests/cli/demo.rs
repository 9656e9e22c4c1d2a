//! `porttask demo` builds a platform that is sound, the same for the same seed, and overwrites nothing.

use porttask_tests::{Store, on_both_engines};

use super::{complaint, porttask, said};

on_both_engines! {
    a_demonstration_is_sound_and_refuses_a_log,
}

async fn a_demonstration_is_sound_and_refuses_a_log(store: Store) {
    let demo = ["demo", "--no-serve", "--scale", "0.02", "--seed", "7"];
    let master_key = ("PORTTASK_MASTER_KEY", porttask_tests::MASTER_KEY);
    let run = |arguments: &[&str]| porttask(&store, arguments).envs([master_key]).output().unwrap();
    let accounts = said(&run(&demo));
    assert!(accounts.contains("ana@porttask.example") && accounts.contains(" admin\n"), "{accounts}");
    for check in [&["log", "verify"][..], &["constraints", "verify"], &["views", "verify"]] {
        said(&run(check));
    }
    let tasks = said(&run(&["tasks", "list"]));
    assert_eq!(tasks, "No tasks.\n", "mails of the past are not sent");
    let again = run(&demo);
    assert!(!again.status.success() && complaint(&again).contains("holds a log"), "{}", complaint(&again));
    let wrong = run(&["demo", "--scale", "0"]);
    assert!(complaint(&wrong).contains("must be a number from 0.01 to 100"), "{}", complaint(&wrong));
}
