//! How SQLite is compiled: its connections must not share the budget of their page caches (docs/adr/0003).

use rusqlite::Connection;

#[test]
fn every_connection_has_a_page_cache_of_its_own() {
    let connection = Connection::open_in_memory().unwrap();
    let mut options = connection.prepare("PRAGMA compile_options").unwrap();
    let options: Vec<String> = options.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(options.iter().any(|option| option.starts_with("THREADSAFE")), "no options are told: {options:?}");
    assert!(
        !options.iter().any(|option| option == "ENABLE_MEMORY_MANAGEMENT"),
        "LIBSQLITE3_FLAGS of .cargo/config.toml are not in force: build inside the repository, without setting them"
    );
}
