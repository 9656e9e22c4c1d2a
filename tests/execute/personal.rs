//! Personal data: sealed wherever it is kept, opened where it is read, erased where its key is destroyed.

use std::process::Command;

use porttask_domain::{
    DomainEvent,
    identity::{Role, user},
};
use porttask_runtime::log::{Offset, RecordedEvent};
use porttask_tests::{Engine, Store, on_both_engines, page_to_end};
use porttask_tests::{Node, become_role};
use private_postgres::PrivatePostgres;

on_both_engines! {
    nothing_personal_stands_in_the_files,
    every_node_opens_what_was_sealed,
    an_erased_person_stays_erased_and_can_still_be_administered,
}

/// What the tests' people are called, where they live and what they come with.
const SECRETS: [&str; 6] = ["Anastasia", "Quillfeather", "bob.marlinspike", "198.51.100.23", "Teakettle", "Candlemas"];

async fn nothing_personal_stands_in_the_files(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    node.joined(&acme, "bob.marlinspike@acme.example", Role::Agent).await;
    node.organization(&acme, acme.suspend()).await.unwrap();

    let folder = match store.engine() {
        Engine::Sqlite => store.place().to_owned(),
        Engine::Postgres => {
            store.sql("CHECKPOINT").await;
            PrivatePostgres::shared().data_directory().to_str().unwrap().to_owned()
        }
    };
    // A name that is in the clear on purpose: it shows that the search finds what is there.
    let all = [&SECRETS[..], &["user.invited.v1"]].concat();
    assert_eq!(found_in(&folder, &all), ["user.invited.v1"]);
}

/// Which of `texts` stand in any file of a folder.
fn found_in<'a>(folder: &str, texts: &[&'a str]) -> Vec<&'a str> {
    let is_found = |text: &&&str| {
        let grep = Command::new("grep").args(["-rqaFs", "-e", **text, folder]).status().unwrap();
        // A file of the server may go while it is looked at, which is an error if nothing was found.
        grep.success()
    };
    texts.iter().filter(is_found).copied().collect()
}

async fn events_of(node: &Node, home: porttask_runtime::log::PartitionId) -> Vec<RecordedEvent> {
    page_to_end(&*node.log, home, Offset::START, 100).await
}

async fn every_node_opens_what_was_sealed(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    one.joined(&acme, "bob.marlinspike@acme.example", Role::Agent).await;
    let home = two.log.partition_of(acme.organization).await.unwrap().unwrap();
    let events = events_of(&two, home).await;
    let mut names = Vec::new();
    for (event, domain_event) in events.iter().zip(two.vault.domain_events(&events).await.unwrap()) {
        assert!(event.is_intact());
        if let DomainEvent::User(user::Event::Invited { name, email, .. }) = domain_event {
            names.push((name.value().unwrap().to_owned(), email.value().unwrap().to_owned()));
        }
    }
    let named = |email: &str| ("Anastasia Quillfeather".to_owned(), email.to_owned());
    assert_eq!(names, [named("ana@acme.example"), named("bob.marlinspike@acme.example")]);
    assert_eq!(two.vault.metas(&events[events.len() - 1..]).await.unwrap(), [acme.meta()]);
}

async fn an_erased_person_stays_erased_and_can_still_be_administered(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob.marlinspike@acme.example", Role::Agent).await;
    node.vault.erase(acme.organization, bob.into()).await.unwrap();
    node.user(&acme, bob, become_role(Role::ReadOnly)).await.unwrap();

    let fresh = Node::on(&store).await;
    let home = fresh.log.partition_of(acme.organization).await.unwrap().unwrap();
    let events = events_of(&fresh, home).await;
    let mut values = Vec::new();
    for domain_event in fresh.vault.domain_events(&events).await.unwrap() {
        if let DomainEvent::User(user::Event::Invited { email, .. }) = domain_event {
            values.push(email.value().map(str::to_owned));
        }
    }
    assert_eq!(values, [Some("ana@acme.example".to_owned()), None]);
    fresh.user(&acme, bob, become_role(Role::Agent)).await.unwrap();
}
