//! What is mailed to whom, and what is not mailed any more.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use porttask_app::{
    identity::links::{Links, Purpose},
    mail::Mailer,
};
use porttask_domain::{
    Actor, Meta, OrganizationId, PersonId, UserId,
    identity::{
        Role, User,
        organization::{self},
        settings::{BrandingPatch, BusinessHoursPatch},
        user,
    },
};
use porttask_runtime::{
    execute::Request,
    new_id,
    ports::mail::Mail,
    reactors::{Reactor, TaskOutcome},
    tasks::{Task, TaskId},
    vault::impersonal,
};
use porttask_tests::{Acme, Node, Store, accept, invite, on_both_engines};

use super::fake::{Fake, mailer};

on_both_engines! {
    an_invitation_says_who_invites_to_what_and_how_to_accept,
    the_platform_invites_in_its_own_name,
    what_became_needless_is_not_mailed,
    whoever_is_let_in_again_has_the_same_invitation,
    a_link_for_another_password_is_mailed_while_it_is_good,
    a_new_password_is_told_to_its_owner,
    an_address_is_confirmed_where_it_leads_and_its_change_told_where_it_led,
    the_present_address_receives_a_link_that_cancels_its_change,
    a_task_of_a_newer_version_waits,
}

/// What is to be done because of the last event of somebody.
async fn task_of(node: &Node, mailer: &Mailer, organization: OrganizationId, user: UserId) -> Option<Task> {
    tasks_of(node, mailer, organization, user).await.pop()
}

/// All tasks of the last event of a user that has any, in order.
async fn tasks_of(node: &Node, mailer: &Mailer, organization: OrganizationId, user: UserId) -> Vec<Task> {
    let stream = porttask_runtime::execute::stream_of::<User>(organization, user).unwrap();
    let events = node.log.read_stream(&stream, porttask_runtime::log::Version::NONE, 1_000).await.unwrap();
    let tasks = events.iter().rev().map(|event| mailer.tasks(&impersonal(event).unwrap(), event));
    let tasks = tasks.into_iter().find(|tasks| !tasks.is_empty()).unwrap_or_default();
    let leased = |last: porttask_runtime::tasks::NewTask| Task {
        id: last.id,
        reactor: Mailer::NAME.to_owned(),
        organization: last.organization,
        kind: last.kind.to_owned(),
        subject: last.subject,
        number: last.number,
        target: last.target,
        due_at: last.due_at.unwrap_or_default(),
        leased_until: None,
        attempts: 1,
        epoch: 1,
        last_error: None,
        is_dead_lettered: false,
    };
    tasks.into_iter().map(leased).collect()
}

fn invite_until(acme: &Acme, user: UserId, until: Timestamp) -> user::Command {
    let invitation = invite(acme.organization, user, "bob@acme.example", Role::Auditor);
    let user::Command::Invite { organization, user, name, email, role, permissions, .. } = invitation else { panic!() };
    user::Command::Invite { organization, user, name, email, role, permissions, expires_at: until }
}

async fn sent(node: &Node, organization: OrganizationId, user: UserId) -> Mail {
    let fake = Fake::answering([]);
    let mailer = mailer(node, &fake).await;
    let task = task_of(node, &mailer, organization, user).await.unwrap();
    assert_eq!(mailer.run(&task).await, Ok(TaskOutcome::Done));
    assert_eq!(mailer.run(&task).await, Ok(TaskOutcome::Done));
    let [mail, again] = &fake.taken()[..] else { panic!("{:?}", fake.taken()) };
    assert!(mail == again && mail.id == task.id.0, "the same again");
    mail.clone()
}

async fn an_invitation_says_who_invites_to_what_and_how_to_accept(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let branding = BrandingPatch { display_name: Some(Some("Acme Häfen".to_owned())), ..BrandingPatch::default() };
    node.organization(&acme, organization::Command::ChangeBranding(branding)).await.unwrap();
    let hours = BusinessHoursPatch { time_zone: Some("Asia/Kolkata".to_owned()), days: None };
    node.organization(&acme, organization::Command::ChangeBusinessHours(hours)).await.unwrap();
    let bob = new_id();
    let until = "2200-03-01T20:00:00Z".parse().unwrap();
    node.user(&acme, bob, invite_until(&acme, bob, until)).await.unwrap();
    let mail = sent(&node, acme.organization, bob).await;
    assert_eq!((mail.to_name.as_str(), mail.to_address.as_str()), ("Anastasia Quillfeather", "bob@acme.example"));
    assert_eq!(mail.subject, "Anastasia Quillfeather invites you to Acme Häfen");
    assert!(
        mail.text.contains("\n\nAnastasia Quillfeather invites you to join Acme Häfen on PortTask as an auditor.\n")
    );
    assert!(mail.text.contains("until 2 March 2200 at 01:30 (Asia/Kolkata)."), "{}", mail.text);
    let link = mail.text.lines().find_map(|line| line.strip_prefix("https://admin.example/invitation#token=")).unwrap();
    let links = Links::open(&node.vault, "https://admin.example").await.unwrap();
    let link = links.read(link, Purpose::Invitation, Timestamp::now()).unwrap();
    assert_eq!((link.organization, link.subject, link.generation), (acme.organization, bob.0, 1));
    assert_eq!(link.expires_at, until);
}

async fn the_platform_invites_in_its_own_name(store: Store) {
    let node = Node::on(&store).await;
    let user = new_id();
    let invitation = invite(OrganizationId::PLATFORM, user, "carol@platform.example", Role::SuperAdmin);
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    node.executor.execute::<User>(user, invitation, &request).await.unwrap();
    let mail = sent(&node, OrganizationId::PLATFORM, user).await;
    assert_eq!(mail.subject, "You have been invited to become a PortTask super admin");
    assert!(mail.text.contains("become a PortTask super admin.\n"), "{}", mail.text);
}

/// Nothing is mailed after this was done to somebody who was invited.
async fn assert_needless(node: &Node, acme: &Acme, what: &str, until: Timestamp, then: impl AsyncFnOnce(UserId)) {
    let user: UserId = new_id();
    let email = format!("{}@people.example", user.0.simple());
    let user::Command::Invite { organization, user, name, role, permissions, .. } = invite_until(acme, user, until)
    else {
        panic!()
    };
    let email = porttask_domain::identity::EmailAddress::new(&email).unwrap();
    let invitation = user::Command::Invite { organization, user, name, email, role, permissions, expires_at: until };
    node.user(acme, user, invitation).await.unwrap();
    let fake = Fake::answering([]);
    let mailer = mailer(node, &fake).await;
    let task = task_of(node, &mailer, acme.organization, user).await.unwrap();
    then(user).await;
    assert_eq!(mailer.run(&task).await, Ok(TaskOutcome::Skipped), "{what}");
    assert!(fake.taken().is_empty(), "{what}");
}

async fn what_became_needless_is_not_mailed(store: Store) {
    let node = &Node::on(&store).await;
    let acme = &node.acme().await;
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    let do_it = async |user, command| drop(node.user(acme, user, command).await.unwrap());
    assert_needless(node, acme, "accepted", later, async |user| do_it(user, accept()).await).await;
    assert_needless(node, acme, "deactivated", later, async |user| do_it(user, user::Command::Deactivate).await).await;
    let again = user::Command::SendInvitation { expires_at: later + SignedDuration::from_hours(1), by_import: false };
    assert_needless(node, acme, "invited anew", later, async |user| do_it(user, again).await).await;
    assert_needless(node, acme, "expired", Timestamp::now(), async |_| {}).await;
    let erase = async |user: UserId| node.vault.erase(acme.organization, PersonId::from(user)).await.unwrap();
    assert_needless(node, acme, "erased", later, async |user| {
        erase(user).await;
    })
    .await;
    assert_needless(node, acme, "suspended", later, async |_| {
        node.organization(acme, acme.suspend()).await.unwrap();
    })
    .await;
    let fake = Fake::answering([]);
    let mailer = mailer(node, &fake).await;
    let nobody =
        Task { subject: new_id::<UserId>().0, ..task_of(node, &mailer, acme.organization, acme.admin).await.unwrap() };
    assert_eq!(mailer.run(&nobody).await, Ok(TaskOutcome::Skipped));
}

async fn whoever_is_let_in_again_has_the_same_invitation(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = new_id();
    node.user(&acme, bob, invite(acme.organization, bob, "bob@acme.example", Role::Agent)).await.unwrap();
    node.user(&acme, bob, user::Command::Deactivate).await.unwrap();
    let fake = Fake::answering([]);
    let mailer = mailer(&node, &fake).await;
    let invitation = task_of(&node, &mailer, acme.organization, bob).await.unwrap();
    node.user(&acme, bob, user::Command::Reactivate).await.unwrap();
    assert_eq!(mailer.run(&invitation).await, Ok(TaskOutcome::Done));
    assert_eq!(fake.taken()[0].to_address, "bob@acme.example");
    // Only super admins learn of it by mail: there is no other task.
    let latest = task_of(&node, &mailer, acme.organization, bob).await.unwrap();
    assert_eq!((latest.kind, latest.number), (invitation.kind, invitation.number));
}

/// The token of the link in a mail.
fn token<'a>(mail: &'a Mail, page: &str) -> &'a str {
    let start = format!("https://admin.example/{page}#token=");
    let token = mail.text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{}", mail.text));
    assert!(mail.html.contains(&format!("<a href=\"{start}{token}\"")), "{}", mail.html);
    token
}

async fn a_link_for_another_password_is_mailed_while_it_is_good(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    let now = Timestamp::now();
    let expires_at = now + SignedDuration::from_hours(1);
    node.user(&acme, bob, user::Command::RequestPasswordReset { now, expires_at }).await.unwrap();
    let mail = sent(&node, acme.organization, bob).await;
    assert_eq!(mail.to_address, "bob@acme.example");
    let links = Links::open(&node.vault, "https://admin.example").await.unwrap();
    let link = links.read(token(&mail, "password-reset"), Purpose::PasswordReset, now).unwrap();
    assert_eq!((link.organization, link.subject, link.generation), (acme.organization, bob.0, 1));
    let fake = Fake::answering([]);
    let mailer = mailer(&node, &fake).await;
    let task = task_of(&node, &mailer, acme.organization, bob).await.unwrap();
    // A later link leaves the earlier one valid.
    let later = now + SignedDuration::from_mins(10);
    let command = user::Command::RequestPasswordReset { now: later, expires_at: later + SignedDuration::from_hours(1) };
    node.user(&acme, bob, command).await.unwrap();
    let second = task_of(&node, &mailer, acme.organization, bob).await.unwrap();
    assert_ne!(second.number, task.number);
    for task in [&task, &second] {
        assert_eq!(mailer.run(task).await, Ok(TaskOutcome::Done));
    }
    node.user(&acme, bob, user::Command::ResetPassword { request: 1, now }).await.unwrap();
    let late = user::Command::ResetPassword { request: 2, now };
    assert!(node.user(&acme, bob, late).await.unwrap().events.is_empty(), "one of them was used");
    assert_eq!(mailer.run(&second).await, Ok(TaskOutcome::Skipped), "one of them was used");
    assert_eq!(mailer.run(&task).await, Ok(TaskOutcome::Skipped), "it was used");
}

async fn a_new_password_is_told_to_its_owner(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    node.user(&acme, bob, user::Command::ChangePassword { session_epoch: 0, keeping: None }).await.unwrap();
    let mail = sent(&node, acme.organization, bob).await;
    assert!(mail.subject.starts_with("Your password for ") && mail.subject.ends_with(" was changed"));
    assert!(!mail.text.contains("token=") && mail.text.contains("If this was not you"), "{}", mail.text);
}

async fn an_address_is_confirmed_where_it_leads_and_its_change_told_where_it_led(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    let now = Timestamp::now();
    let expires_at = now + SignedDuration::from_hours(24);
    let email = porttask_domain::identity::EmailAddress::new("bob@fisher.example").unwrap();
    node.user(&acme, bob, user::Command::RequestAddressChange { email, expires_at }).await.unwrap();
    let mail = sent(&node, acme.organization, bob).await;
    assert_eq!(mail.to_address, "bob@fisher.example");
    let links = Links::open(&node.vault, "https://admin.example").await.unwrap();
    links.read(token(&mail, "address-change"), Purpose::AddressChange, now).unwrap();
    node.user(&acme, bob, user::Command::ConfirmAddress { request: 1, now }).await.unwrap();
    let mail = sent(&node, acme.organization, bob).await;
    assert_eq!(mail.to_address, "bob@acme.example", "whoever lost it learns of it");
    assert!(!mail.text.contains("bob@fisher.example") && !mail.text.contains("token="), "{}", mail.text);
}

async fn the_present_address_receives_a_link_that_cancels_its_change(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    let now = Timestamp::now();
    let expires_at = now + SignedDuration::from_hours(24);
    let email = porttask_domain::identity::EmailAddress::new("bob@fisher.example").unwrap();
    node.user(&acme, bob, user::Command::RequestAddressChange { email, expires_at }).await.unwrap();
    let fake = Fake::answering([]);
    let mailer = mailer(&node, &fake).await;
    let tasks = tasks_of(&node, &mailer, acme.organization, bob).await;
    let [notice, _confirmation] = &tasks[..] else { panic!("{tasks:?}") };
    assert_eq!(mailer.run(notice).await, Ok(TaskOutcome::Done));
    let [mail] = &fake.taken()[..] else { panic!("{:?}", fake.taken()) };
    assert_eq!(mail.to_address, "bob@acme.example");
    assert!(mail.text.contains("to bob@fisher.example was requested on "), "{}", mail.text);
    let links = Links::open(&node.vault, "https://admin.example").await.unwrap();
    let link = token(mail, "address-change-cancellation");
    let link = links.read(link, Purpose::AddressChangeCancellation, now).unwrap();
    node.user(&acme, bob, user::Command::CancelAddressChange { request: link.generation, now }).await.unwrap();
    for task in &tasks {
        assert_eq!(mailer.run(task).await, Ok(TaskOutcome::Skipped), "it was cancelled");
    }
}

async fn a_task_of_a_newer_version_waits(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([]);
    let mailer = Arc::new(mailer(&node, &fake).await);
    let task = task_of(&node, &mailer, acme.organization, acme.admin).await.unwrap();
    let newer = Task { kind: "reminder".to_owned(), id: TaskId::generate(), ..task };
    let refused = mailer.run(&newer).await.unwrap_err();
    assert!(matches!(refused, porttask_runtime::reactors::TaskError::Temporary(_)), "{refused:?}");
}
