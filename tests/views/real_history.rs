//! Three years of changes of members in seven real organizations, as users of ours, with their true times.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader},
};

use flate2::read::GzDecoder;
use jiff::{Timestamp, fmt::temporal::DateTimeParser};
use porttask_domain::{
    UserId,
    identity::{
        Role,
        user::{Command, Status},
    },
};
use porttask_projections::{
    ReadModel, Row,
    identity::user::{User, Users},
    models,
};
use porttask_runtime::{new_id, views::Views};
use porttask_tests::{Acme, Node, Store, accept, become_role, invite, on_both_engines};
use serde::Deserialize;

use crate::work::{caught_up, rows};

on_both_engines! {
    users_and_roles_equal_every_state_of_a_real_history,
}

const EVENTS: &[u8] = include_bytes!("admin-history/events-2018-2021.jsonl.gz");
const STATES: &[u8] = include_bytes!("admin-history/states-2018-2021.jsonl.gz");

/// A change of the history.
#[derive(Debug, Deserialize)]
struct Change {
    seq: u64,
    at: String,
    org: String,
    kind: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    new: serde_json::Value,
}

/// The state after the change sets until `seq`.
#[derive(Debug, Deserialize)]
struct State {
    seq: u64,
    orgs: BTreeMap<String, OrganizationState>,
}

#[derive(Debug, Deserialize)]
struct OrganizationState {
    members: BTreeMap<String, String>,
}

fn lines<T: serde::de::DeserializeOwned>(compressed: &[u8]) -> impl Iterator<Item = T> {
    BufReader::new(GzDecoder::new(compressed)).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn instant(at: &str) -> Timestamp {
    DateTimeParser::new().parse_timestamp(at).unwrap()
}

fn role(of: &str) -> Role {
    if of == "admin" { Role::Admin } else { Role::Agent }
}

/// An organization of the history, and when each of its members was added first.
struct Replayed {
    acme: Acme,
    users: HashMap<String, (UserId, Timestamp)>,
}

async fn users_and_roles_equal_every_state_of_a_real_history(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    let mut states = lines::<State>(STATES).peekable();
    let (mut replayed, mut others) = (BTreeMap::new(), BTreeMap::<String, u64>::new());
    for change in lines::<Change>(EVENTS) {
        if let Some(state) = states.next_if(|state| state.seq < change.seq) {
            assert_equal(&node, &views, &replayed, &state).await;
        }
        node.clock.set_offset(node.clock.offset() + instant(&change.at).duration_since(node.clock.now()));
        if !replay(&node, &mut replayed, &change).await {
            *others.entry(change.kind).or_default() += 1;
        }
    }
    for state in states {
        assert_equal(&node, &views, &replayed, &state).await;
    }
    // What the history has and we do not: teams, and settings of another product.
    let counted: Vec<(&str, u64)> = others.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    let teams = [("team.changed", 31), ("team.created", 862), ("team.removed", 244), ("team_member.added", 6_160)];
    let rest = [("team_member.removed", 2_758), ("team_member.role", 873)];
    assert_eq!(counted, [&[("org.setting", 42)][..], &teams, &rest].concat());
}

/// Executes a change; `false` if it has no counterpart.
async fn replay(node: &Node, replayed: &mut BTreeMap<String, Replayed>, change: &Change) -> bool {
    let Change { org, kind, user, new, .. } = change;
    if kind == "org.created" {
        let acme = node.found(&format!("{org}.example")).await;
        replayed.insert(org.clone(), Replayed { acme, users: HashMap::new() });
        return true;
    }
    let Some(Replayed { acme, users }) = replayed.get_mut(org) else { return false };
    let known = users.get(user).map(|(user, _)| *user);
    let new = new.as_str().map(role);
    let commands = match (kind.as_str(), known, new) {
        ("member.added", None, Some(role)) => {
            let (id, email) = (new_id(), format!("{user}@{org}.example"));
            users.insert(user.clone(), (id, instant(&change.at)));
            vec![invite(acme.organization, id, &email, role), accept()]
        }
        ("member.added", Some(_), Some(role)) => vec![Command::Reactivate, become_role(role)],
        ("member.role", Some(_), Some(role)) => vec![become_role(role)],
        ("member.removed", Some(_), None) => vec![Command::Deactivate],
        _ => return false,
    };
    let id = users[user].0;
    for command in commands {
        node.user(acme, id, command).await.unwrap_or_else(|error| panic!("{change:?}: {error}"));
    }
    true
}

/// The active users of each organization are its members, with their roles, and the times at which they were added.
async fn assert_equal(node: &Node, views: &Views, replayed: &BTreeMap<String, Replayed>, state: &State) {
    caught_up(node, views).await;
    let rows: Vec<User> =
        rows(node, views, Users::NAME).await.into_iter().map(|it| User::from_values(it).unwrap()).collect();
    for (org, OrganizationState { members }) in &state.orgs {
        let Replayed { acme, users } = &replayed[org];
        let expected = members.iter().map(|(user, of)| {
            let (id, added_at) = users[user];
            (id, (role(of), added_at.as_second()))
        });
        let active = rows.iter().filter(|row| row.organization == acme.organization && row.status == Status::Active);
        let found = active.filter(|row| row.user != acme.admin);
        let found = found.map(|row| (row.user, (row.role, row.created_at.as_second())));
        assert_eq!(
            found.collect::<BTreeMap<_, _>>(),
            expected.collect::<BTreeMap<_, _>>(),
            "{org} after change {}",
            state.seq
        );
    }
}
