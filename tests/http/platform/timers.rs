//! What becomes due while the service is killed.

use std::time::Duration;

use jiff::SignedDuration;
use porttask_domain::{
    DomainEvent, UserId,
    identity::{Role, user},
    uuid_of,
};
use porttask_runtime::{log::Offset, new_id};
use porttask_tests::{Node, Store, by, invite, on_both_engines, signal};

use crate::service::{ADMIN, Service, porttask};

on_both_engines!(a_service_that_is_killed_expires_each_invitation_once);

const INVITATIONS: usize = 150;
const LIMIT: Duration = Duration::from_secs(30);

/// Kills the service twice while invitations expire, and counts them at the end.
async fn a_service_that_is_killed_expires_each_invitation_once(store: Store) {
    let run = |arguments: &[&str]| {
        let output = porttask(&store, arguments).envs(ADMIN).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init", "--simulated"]);
    let node = Node::on(&store).await;
    let people = invited(&node).await;
    // Under the same name, a node that starts again takes over at once.
    let start = || Service::start_with(&store, &[&ADMIN[..], &[("PORTTASK_NODE_NAME", "one")]].concat());
    let mut service = start();
    let (before, mut interrupted) = (recorded(&node).await, 0);
    run(&["clock", "advance", "8d"]);
    for count in [10, 40] {
        by(LIMIT, "some invitations expire", || async { recorded(&node).await >= before + count }).await;
        signal(service.pid(), libc::SIGKILL);
        assert!(!service.wait());
        interrupted += usize::from((1..INVITATIONS).contains(&expired(&node).await.len()));
        service = start();
    }
    assert!(interrupted > 0, "the service was too fast: kill it earlier, or with more invitations");
    by(LIMIT, "all invitations expire", || async { expired(&node).await.len() >= INVITATIONS }).await;
    // An attempt that repeats one would have ended by now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(expired(&node).await, people, "each once, in order of due");
    assert_eq!(node.log.timer_failures(None, 1).await.unwrap(), []);
}

/// Invites people whose invitations expire within a week, in this order.
async fn invited(node: &Node) -> Vec<UserId> {
    let acme = node.acme().await;
    let people: Vec<UserId> = (0..INVITATIONS).map(|_| new_id()).collect();
    let first = node.clock.now() + SignedDuration::from_hours(24);
    for (place, user) in people.iter().enumerate() {
        let mut command = invite(acme.organization, *user, &format!("p{place}@people.example"), Role::Agent);
        if let user::Command::Invite { expires_at, .. } = &mut command {
            *expires_at = first + SignedDuration::from_secs(place as i64);
        }
        node.user(&acme, *user, command).await.unwrap();
    }
    people
}

/// The number of events in the log.
async fn recorded(node: &Node) -> u64 {
    node.log.heads().await.unwrap().iter().map(|head| head.position.offset.0).sum()
}

/// The users whose invitation expired, in the order of the log.
async fn expired(node: &Node) -> Vec<UserId> {
    let mut expired = Vec::new();
    for head in node.log.heads().await.unwrap() {
        let mut after = Offset::START;
        loop {
            let page = node.log.read_partition(head.position.partition, after, 1_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position.offset;
            for (event, decoded) in page.iter().zip(node.vault.domain_events(&page).await.unwrap()) {
                if matches!(decoded, DomainEvent::User(user::Event::LinkExpired { .. })) {
                    expired.push(UserId(uuid_of(event.stream.name.id()).unwrap()));
                }
            }
        }
    }
    expired
}
