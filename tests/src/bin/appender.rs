//! A process that appends under load, for tests that kill or freeze it: `appender ENGINE PLACE ORGANIZATION NAME TASKS
//! APPENDS`. It says `try KEY` before and `ack KEY …` or `err KEY …` after each append, a line each.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use porttask_runtime::log::EventLog;
use porttask_tests::{Acknowledged, Engine, Settings, Store, Work};
use std::io::Write;
use std::sync::Arc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, place, organization, name, tasks, appends] = &arguments[..] else {
        panic!("six arguments: engine, place, organization, name, tasks, appends");
    };
    let engine = if engine == "Sqlite" { Engine::Sqlite } else { Engine::Postgres };
    let store = Store::at(engine, place);
    let work = Work { organization: organization.parse().unwrap() };
    let (tasks, appends) = (tasks.parse().unwrap(), appends.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(append_under_load(store, work, name, tasks, appends));
}

async fn append_under_load(store: Store, work: Work, name: &str, tasks: usize, appends: usize) {
    let log = store.open_with(Settings::default()).await;
    let tasks: Vec<_> = (0..tasks)
        .map(|task| tokio::spawn(append_in_turn(Arc::clone(&log), work, format!("{name}-{task}"), appends)))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn append_in_turn(log: Arc<dyn EventLog>, work: Work, name: String, appends: usize) {
    let mut number = 0;
    while appends == 0 || number < appends {
        let key = format!("{name}-{number}");
        let append = work.append(&key);
        say(&format!("try {key}"));
        match log.append(append.clone()).await {
            Ok(appended) => say(&format!("ack {}", Acknowledged::new(&key, &append, &appended).line())),
            Err(error) => say(&format!("err {key} {error}").replace('\n', " ")),
        }
        number += 1;
    }
}

fn say(line: &str) {
    // One write of less than a page, so that death leaves whole lines.
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}
