//! Inspects other processes through `/proc/<pid>/stat`, which is world-readable.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// All descendants of a process, without the process itself.
pub(crate) fn descendants(ancestor: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some((pid, stat)) = pid.and_then(|pid| Some((pid, stat(pid)?))) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = children.remove(&ancestor).unwrap_or_default();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// Whether a process has ended. It may still be a zombie: in a container, the init process may never reap it.
pub(crate) fn is_dead(pid: u32) -> bool {
    stat(pid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X'))
}

/// Whether a process still reacts to anything but SIGCONT and SIGKILL.
pub(crate) fn is_runnable(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !matches!(stat.state, 'T' | 't' | 'Z' | 'X'))
}

/// Polls every few milliseconds until the condition holds or the time is over; returns whether it holds.
pub(crate) fn wait_until(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

#[derive(Debug, PartialEq)]
struct Stat {
    state: char,
    parent: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state parent …`, where the name may contain anything, including spaces and parentheses.
fn parse(line: &str) -> Option<Stat> {
    let mut fields = line.get(line.rfind(')')? + 1..)?.split_whitespace();
    Some(Stat { state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_fields() {
        assert_eq!(parse("7 (a) R 1 (b) S 42 7 7"), Some(Stat { state: 'S', parent: 42 }));
        assert_eq!(parse("7 (a"), None);
    }

    #[test]
    fn grandchildren_are_found() {
        let mut shell = std::process::Command::new("sh").args(["-c", "sh -c 'sleep 60; :'; :"]).spawn().unwrap();
        assert!(wait_until(Duration::from_secs(10), || descendants(shell.id()).len() == 2));
        let family = descendants(shell.id());
        for pid in family.iter().chain([&shell.id()]) {
            let pid = rustix::process::Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
        assert!(wait_until(Duration::from_secs(10), || family.iter().all(|pid| is_dead(*pid))));
    }
}
