//! Which crate may use which: `domain ← projections ← runtime ← {infra, app ← api} ← porttask`, a layer using any layer
//! below it, and no IO in the pure ones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Every crate of the workspace, and the crates of the workspace that it may use.
const CRATES: [(&str, &[&str]); 14] = [
    ("porttask-domain", &[]),
    ("porttask-projections", &["porttask-domain"]),
    ("porttask-runtime", &["porttask-domain", "porttask-projections"]),
    ("porttask-app", &["porttask-domain", "porttask-projections", "porttask-runtime", "porttask-licence"]),
    // It verifies licences in other programs, too.
    ("porttask-licence", &[]),
    // A changed use case does not rebuild the engines.
    ("porttask-infra", &["porttask-domain", "porttask-projections", "porttask-runtime"]),
    ("porttask-api", &["porttask-domain", "porttask-projections", "porttask-runtime", "porttask-app"]),
    // It calls the API's router, and knows no crate of the workspace.
    ("porttask-console", &[]),
    // It takes a document and knows nothing of how it was stored.
    ("porttask-invoice-pdf", &["porttask-domain"]),
    ("porttask-demo", &["porttask-domain", "porttask-projections", "porttask-runtime", "porttask-app"]),
    (
        "porttask",
        &[
            "porttask-domain",
            "porttask-projections",
            "porttask-runtime",
            "porttask-app",
            "porttask-infra",
            "porttask-api",
            "porttask-console",
            "porttask-bench",
            "porttask-demo",
            "porttask-licence",
            "porttask-invoice-pdf",
        ],
    ),
    ("private-postgres", &[]),
    (
        "porttask-bench",
        &[
            "porttask-domain",
            "porttask-projections",
            "porttask-runtime",
            "porttask-app",
            "porttask-infra",
            "porttask-invoice-pdf",
            "private-postgres",
        ],
    ),
    (TESTS, &[]),
];
/// May use anything.
const TESTS: &str = "porttask-tests";
/// Anybody may use these for tests of their own.
const TOOLS: [&str; 3] = ["private-postgres", "porttask-bench", TESTS];

/// What is pure stays without IO, now and for ever.
const PURE: [&str; 3] = ["porttask-domain", "porttask-projections", "porttask-licence"];
const MACHINERY: [&str; 26] = [
    "actix-rt",
    "actix-web",
    "async-executor",
    "async-io",
    "async-std",
    "axum",
    "deadpool",
    "deadpool-postgres",
    "diesel",
    "hyper",
    "libsqlite3-sys",
    "mio",
    "monoio",
    "postgres",
    "r2d2",
    "refinery",
    "reqwest",
    "rusqlite",
    "sea-orm",
    "smol",
    "sqlite",
    "sqlx",
    "sqlx-core",
    "tokio",
    "tokio-postgres",
    "tower-http",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// In what is built, or while it is built.
    Built,
    /// In tests only.
    Tested,
}

/// Who uses whom, by name.
#[derive(Debug, Default)]
struct Graph {
    members: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<(String, Use)>>,
}

impl Graph {
    /// The graph of this workspace, on this platform.
    fn of_this_workspace() -> Self {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let rustc = output(Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned())).arg("-vV"));
        let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let arguments = ["metadata", "--format-version", "1", "--manifest-path", manifest, "--filter-platform", host];
        Self::from_metadata(&serde_json::from_str(&output(Command::new(cargo).args(arguments))).unwrap())
    }

    fn from_metadata(metadata: &Value) -> Self {
        let list = |value: &Value| value.as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let packages = list(&metadata["packages"]);
        let names: BTreeMap<String, String> =
            packages.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let members = list(&metadata["workspace_members"]).iter().map(|id| names[&text(id)].clone()).collect();
        let mut graph = Self { members, edges: BTreeMap::new() };
        for node in list(&metadata["resolve"]["nodes"]) {
            let uses = graph.edges.entry(names[&text(&node["id"])].clone()).or_default();
            for dependency in list(&node["deps"]) {
                for kind in list(&dependency["dep_kinds"]) {
                    let kind = if kind["kind"] == "dev" { Use::Tested } else { Use::Built };
                    uses.insert((names[&text(&dependency["pkg"])].clone(), kind));
                }
            }
        }
        graph
    }

    /// Every use that the rules forbid.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for member in &self.members {
            let Some((_, allowed)) = CRATES.iter().find(|(name, _)| name == member) else {
                faults.push(format!("{member} has no place in the table: give it one in tests/architecture.rs"));
                continue;
            };
            for (used, kind) in self.edges.get(member).into_iter().flatten() {
                let is_foreign = !self.members.contains(used);
                let is_tool = *kind == Use::Tested && TOOLS.contains(&used.as_str());
                if !(is_foreign || member == TESTS || is_tool || allowed.contains(&used.as_str())) {
                    faults.push(format!("{member} must not use {used}"));
                }
            }
        }
        for pure in PURE {
            let reached = self.reached_from(pure);
            let machinery = MACHINERY.iter().filter(|name| reached.contains(**name));
            faults.extend(machinery.map(|name| format!("{name} reaches {pure}")));
        }
        faults
    }

    /// Everything that is built into a crate, near or far.
    fn reached_from<'a>(&'a self, start: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(name) = open.pop() {
            if reached.insert(name) {
                let uses = self.edges.get(name).into_iter().flatten();
                open.extend(uses.filter(|(_, kind)| *kind == Use::Built).map(|(used, _)| used.as_str()));
            }
        }
        reached
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_crate_uses_only_the_layers_below_it() {
    let graph = Graph::of_this_workspace();
    assert!(graph.members.contains(TESTS) && graph.members.contains("porttask-app"), "{:?}", graph.members);
    assert!(graph.reached_from("porttask-infra").contains("tokio"), "the graph has no far edges");
    assert_eq!(graph.faults(), Vec::<String>::new());
}

/// A workspace of all crates with these activity, and what is wrong with it.
fn faults_of(edges: &[(&str, &str, Use)]) -> Vec<String> {
    let members = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut graph = Graph { members, edges: BTreeMap::new() };
    for (user, used, kind) in edges {
        graph.edges.entry((*user).to_owned()).or_default().insert(((*used).to_owned(), *kind));
    }
    graph.faults()
}

#[test]
fn the_layers_as_they_are_meant_have_no_faults() {
    let meant = [
        ("porttask-domain", "serde", Use::Built),
        ("porttask-projections", "porttask-domain", Use::Built),
        ("porttask-app", "porttask-projections", Use::Built),
        ("porttask-app", "tokio", Use::Built),
        ("porttask-infra", "porttask-runtime", Use::Built),
        ("porttask-app", "porttask-runtime", Use::Built),
        ("porttask-infra", "private-postgres", Use::Tested),
        ("porttask-api", "porttask-app", Use::Built),
        ("porttask-api", "porttask-domain", Use::Built),
        ("porttask", "porttask-infra", Use::Built),
        ("porttask", "porttask-api", Use::Built),
        ("porttask", "porttask-bench", Use::Built),
        ("porttask-bench", "private-postgres", Use::Built),
        ("porttask-tests", "porttask", Use::Built),
    ];
    assert_eq!(faults_of(&meant), Vec::<String>::new());
}

#[test]
fn a_forbidden_use_is_found() {
    for (user, used, kind) in [
        ("porttask-domain", "porttask-app", Use::Built),
        ("porttask-domain", "porttask-projections", Use::Built),
        ("porttask-domain", "porttask-app", Use::Tested),
        ("porttask-projections", "porttask-app", Use::Built),
        ("porttask-app", "porttask-infra", Use::Built),
        ("porttask-app", "porttask-infra", Use::Tested),
        ("porttask-runtime", "porttask-app", Use::Built),
        ("porttask-infra", "porttask-app", Use::Built),
        ("porttask-infra", "porttask-api", Use::Built),
        ("porttask-api", "porttask-infra", Use::Built),
        ("porttask-infra", "porttask", Use::Built),
        ("porttask-infra", "private-postgres", Use::Built),
        ("porttask-app", "porttask-bench", Use::Built),
        ("porttask", "private-postgres", Use::Built),
        ("porttask", "porttask-tests", Use::Built),
        ("private-postgres", "porttask-app", Use::Built),
        ("porttask-bench", "porttask-api", Use::Built),
    ] {
        assert_eq!(faults_of(&[(user, used, kind)]), [format!("{user} must not use {used}")]);
    }
}

#[test]
fn machinery_that_reaches_a_pure_crate_is_found_however_far() {
    for machine in ["tokio", "axum", "rusqlite", "tokio-postgres", "sqlx"] {
        let far = [
            ("porttask-domain", "innocent", Use::Built),
            ("innocent", "less-innocent", Use::Built),
            ("less-innocent", machine, Use::Built),
        ];
        assert_eq!(faults_of(&far), [format!("{machine} reaches porttask-domain")]);
        let through_domain = [("porttask-projections", "porttask-domain", Use::Built), far[0], far[1], far[2]];
        assert_eq!(faults_of(&through_domain).len(), 2);
        let tested = [("porttask-domain", "proptest", Use::Tested), ("proptest", machine, Use::Built)];
        assert_eq!(faults_of(&tested), Vec::<String>::new(), "tests of a pure crate may use it");
    }
}

#[test]
fn a_crate_without_a_place_is_found() {
    let members = ["porttask-shed".to_owned()].into();
    let faults = Graph { members, edges: BTreeMap::new() }.faults();
    assert!(faults.len() == 1 && faults[0].contains("porttask-shed has no place"), "{faults:?}");
}

#[test]
fn metadata_is_read_with_the_kinds_of_its_edges() {
    let metadata = serde_json::json!({
        "packages": [
            {"id": "path+file:///domain#0.1.0", "name": "porttask-domain"},
            {"id": "path+file:///app#0.1.0", "name": "porttask-app"},
            {"id": "registry+tokio@1", "name": "tokio"},
            {"id": "registry+cc@1", "name": "cc"},
        ],
        "workspace_members": ["path+file:///domain#0.1.0", "path+file:///app#0.1.0"],
        "resolve": {"nodes": [
            {"id": "path+file:///domain#0.1.0", "deps": [
                {"pkg": "registry+cc@1", "dep_kinds": [{"kind": "build"}]},
                {"pkg": "path+file:///app#0.1.0", "dep_kinds": [{"kind": "dev"}]},
            ]},
            {"id": "registry+cc@1", "deps": [
                {"pkg": "registry+tokio@1", "dep_kinds": [{"kind": "dev"}, {"kind": null}]},
            ]},
            {"id": "path+file:///app#0.1.0", "deps": []},
            {"id": "registry+tokio@1", "deps": []},
        ]},
    });
    let faults = Graph::from_metadata(&metadata).faults();
    assert_eq!(faults, ["porttask-domain must not use porttask-app", "tokio reaches porttask-domain"]);
}
