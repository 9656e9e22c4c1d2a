//! A disk without room: a small tmpfs, which root mounts here and everybody else in a name space of their own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use porttask_runtime::log::{Append, AppendError, EventLog, LogError, OrganizationId};
use porttask_tests::{Engine, History, Store, event, platform_stream, run, simple};
use private_postgres::PrivatePostgres;
use tempfile::TempDir;

/// Names the small disk to a test that was started again in a name space.
const SMALL_DISK: &str = "PORTTASK_TESTS_SMALL_DISK";
const DISK_MEBIBYTES: usize = 48;
/// A file that is removed to make room: enough to write SQLite's WAL back, which takes as much again as it holds.
const BALLAST_BYTES: usize = 24 << 20;

#[test]
fn a_full_disk_under_sqlite_is_refused_and_harms_nothing() {
    on_a_small_disk("failure::full_disk::a_full_disk_under_sqlite_is_refused_and_harms_nothing", |disk| {
        let store = Store::at(Engine::Sqlite, disk.join("log").to_str().unwrap());
        run(fill_and_make_room(disk, &store));
    });
}

#[test]
fn a_full_disk_under_postgres_is_refused_and_harms_nothing() {
    on_a_small_disk("failure::full_disk::a_full_disk_under_postgres_is_refused_and_harms_nothing", |disk| {
        // Of its own: the shared server must not lose a tablespace when this test fails.
        let server = PrivatePostgres::start().unwrap();
        let space = disk.join("space");
        fs::create_dir(&space).unwrap();
        let account = fs::metadata(server.data_directory()).unwrap();
        std::os::unix::fs::chown(&space, Some(account.uid()), Some(account.gid())).unwrap();
        server.psql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", space.display())).unwrap();
        server.psql("postgres", "CREATE DATABASE small TABLESPACE small").unwrap();
        run(fill_and_make_room(disk, &Store::at(Engine::Postgres, server.url("small"))));
    });
}

async fn fill_and_make_room(disk: &Path, store: &Store) {
    let log = store.open().await;
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![1; BALLAST_BYTES]).unwrap();

    let mut acknowledged = fill(&*log).await;
    assert!(acknowledged > 10, "full after {acknowledged} events");
    for _ in 0..3 {
        acknowledged += fill(&*log).await;
    }
    let history = History::of(&*log).await;
    history.assert_sound();
    assert_eq!(history.events().count(), acknowledged, "what was refused is recorded");

    fs::remove_file(&ballast).unwrap();
    for _ in 0..20 {
        log.append(simple(OrganizationId::PLATFORM, "with-room")).await.unwrap();
    }
    log.append(large()).await.unwrap();
    drop(log);
    let history = History::of(&*store.open().await).await;
    history.assert_sound();
    assert_eq!(history.events().count(), acknowledged + 21);
}

/// Appends until the disk is full, and answers how many events were acknowledged.
async fn fill(log: &dyn EventLog) -> usize {
    for acknowledged in 0..=DISK_MEBIBYTES * 16 {
        match log.append(large()).await {
            Ok(_) => {}
            Err(AppendError::Log(LogError::Full(message))) => {
                let said = LogError::Full(message).to_string();
                assert!(said.contains("make room") && said.contains("nothing was written"), "{said}");
                return acknowledged;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{DISK_MEBIBYTES} MiB are never full");
}

/// 64 KiB that cannot be compressed.
fn large() -> Append {
    let mut number: u32 = 1;
    let mut random = || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (number >> 24) as u8
    };
    Append::new(
        OrganizationId::PLATFORM,
        vec![event(&platform_stream("large"), (0..65_536).map(|_| random()).collect::<Vec<u8>>())],
    )
}

/// Runs a part of the test `name` with a small disk.
fn on_a_small_disk(name: &str, part: impl FnOnce(&Path)) {
    if let Some(disk) = std::env::var_os(SMALL_DISK) {
        return part(&PathBuf::from(disk));
    }
    match SmallDisk::mount() {
        Some(disk) => part(disk.directory.path()),
        None => again_in_a_name_space(name),
    }
}

/// A tmpfs, which is unmounted when dropped.
struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    /// Only root may.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_MEBIBYTES}m,mode=1777");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(directory.path()).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            return None;
        }
        // The server's account has to get through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
        fs::set_permissions(directory.path(), open).unwrap();
        Some(Self { directory })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, should anything still be open.
        let unmounted = Command::new("umount").arg("-l").arg(self.directory.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "a disk stays mounted");
    }
}

/// Starts this test again where an ordinary user may mount: as root of a new name space, and from there as somebody
/// else, because PostgreSQL refuses root.
fn again_in_a_name_space(name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=${MEBIBYTES}m,mode=1777 tmpfs \"$DIRECTORY\" \
        && exec unshare --user --map-user=1000 --map-group=1000 \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("MEBIBYTES", DISK_MEBIBYTES.to_string())
        .env("DIRECTORY", directory.path())
        .env(SMALL_DISK, directory.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let has_run = said.contains("test result: ok. 1 passed");
    assert!(
        output.status.success() && has_run,
        "the test needs root, or user name spaces (sysctl kernel.unprivileged_userns_clone):\n{said}"
    );
}
