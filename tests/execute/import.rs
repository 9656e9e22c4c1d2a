//! Imports of users: again, at once, from the middle, and by people whose rights end.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use porttask_app::identity::{
    import::{Import, ImportError, ImportRequest, LineReport, LineResult, UnknownColumns, read},
    invitations::InvitationLimits,
};
use porttask_domain::{
    Actor, Meta,
    identity::{Access, Permissions, Role, User, user},
};
use porttask_runtime::jobs::Course;
use porttask_tests::{Acme, Node, Store, become_role, on_both_engines};

on_both_engines! {
    everybody_gets_an_account_and_the_second_time_nothing_happens,
    two_racing_imports_make_one_account_each,
    an_import_that_was_stopped_goes_on_where_it_was,
    a_dry_run_of_an_import_records_nothing,
    invitations_are_sent_once_and_within_the_limit,
    nobody_brings_in_more_than_they_hold,
    who_has_lost_their_right_brings_nobody_in,
    an_address_that_is_held_by_another_account_stays_there,
    nobody_is_brought_into_a_suspended_organization,
}

fn file(people: usize) -> String {
    let people = (0..people).map(|number| format!("Person {number},p{number}@acme.example,agent\n"));
    format!("name,email,role\n{}", people.collect::<String>())
}

fn order(acme: &Acme) -> ImportRequest {
    ImportRequest {
        organization: acme.organization,
        meta: Meta { request_id: Some("imp-1".to_owned()), ..Meta::by(Actor::Operator) },
        is_retry: false,
        send_invitations: false,
        invitations_expire_at: Timestamp::now() + InvitationLimits::default().lifetime,
        invitations_per_day: 1_000,
        dry_run: false,
    }
}

fn by_admin(acme: &Acme) -> ImportRequest {
    ImportRequest { meta: acme.meta(), ..order(acme) }
}

async fn import(node: &Node) -> Import {
    Import::open(node.log.clone(), Arc::clone(&node.vault), Arc::clone(&node.executor)).await.unwrap()
}

async fn run(node: &Node, order: ImportRequest, file: &str) -> Vec<LineReport> {
    let lines = read(file.as_bytes(), Role::ReadOnly, UnknownColumns::Reject).unwrap();
    import(node).await.run(order, lines, &Course::new()).await.unwrap()
}

fn count(reports: &[LineReport], result: LineResult) -> usize {
    reports.iter().filter(|report| report.result == result).count()
}

async fn events(node: &Node) -> u64 {
    node.log.heads().await.unwrap().iter().map(|head| head.position.offset.0).sum()
}

async fn sound(node: &Node) {
    assert_eq!(node.constraints().verify().await.unwrap(), []);
}

async fn everybody_gets_an_account_and_the_second_time_nothing_happens(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let file = format!("{}Zoë,nobody,\nAna again,ANA@acme.example,admin\n", file(200));
    let before = events(&node).await;
    let first = run(&node, order(&acme), &file).await;
    assert_eq!((count(&first, LineResult::Registered), count(&first, LineResult::Unchanged)), (200, 1));
    assert_eq!(first.iter().map(|it| it.line).collect::<Vec<_>>(), (2..=203).collect::<Vec<_>>());
    assert_eq!(first[201].user, Some(acme.admin), "who was there already");
    assert_eq!(events(&node).await, before + 200 + 1, "and the entry of the import");
    let (person, _) = node.executor.load::<User>(acme.organization, first[7].user.unwrap()).await.unwrap();
    assert_eq!(person.status(), Some(user::Status::Registered));
    assert_eq!(person.person().unwrap().1.value(), Some("p7@acme.example"));

    let again =
        run(&Node::on(&store).await, order(&acme), &file.to_uppercase().replace("NAME,EMAIL,ROLE", "name,email,role"))
            .await;
    assert_eq!((count(&again, LineResult::Unchanged), count(&again, LineResult::Rejected)), (201, 1));
    assert_eq!(again.iter().map(|it| it.user).collect::<Vec<_>>(), first.iter().map(|it| it.user).collect::<Vec<_>>());
    assert_eq!(events(&node).await, before + 200 + 1);
    sound(&node).await;
}

async fn two_racing_imports_make_one_account_each(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    let before = events(&one).await;
    let (names, other_names) = (file(150), file(150).replace("Person", "Somebody"));
    let (first, second) = tokio::join!(run(&one, order(&acme), &names), run(&two, order(&acme), &other_names));
    let registered = count(&first, LineResult::Registered) + count(&second, LineResult::Registered);
    assert_eq!(registered + count(&first, LineResult::Unchanged) + count(&second, LineResult::Unchanged), 300);
    assert_eq!((registered, events(&one).await), (150, before + 151));
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first.user, second.user);
    }
    sound(&one).await;
}

async fn an_import_that_was_stopped_goes_on_where_it_was(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let before = events(&node).await;
    let lines = read(file(500).as_bytes(), Role::ReadOnly, UnknownColumns::Reject).unwrap();
    let (course, import) = (Arc::new(Course::new()), import(&node).await);
    let order = ImportRequest { send_invitations: true, ..order(&acme) };
    let watcher = Arc::clone(&course);
    let stopper = tokio::spawn(async move {
        while watcher.done() < 70 {
            tokio::task::yield_now().await;
        }
        watcher.stop();
    });
    assert_eq!(import.run(order.clone(), lines.clone(), &course).await, Err(ImportError::Stopped));
    stopper.await.unwrap();
    let done = course.done();
    assert!((70..500).contains(&done), "{done}");
    let order = ImportRequest { is_retry: true, ..order };
    let reports = import.run(order, lines, &Course::new()).await.unwrap();
    // Also those of the first attempt are this import's.
    assert_eq!(count(&reports, LineResult::Registered), 500);
    assert!(reports.iter().all(|report| report.invited));
    assert_eq!(events(&node).await, before + 1_000 + 1);
    sound(&node).await;
}

async fn a_dry_run_of_an_import_records_nothing(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let before = events(&node).await;
    let file = format!("{}Ana,ana@acme.example,\nEve,eve@acme.example,super admin\n", file(20));
    let reports = run(&node, ImportRequest { dry_run: true, send_invitations: true, ..order(&acme) }, &file).await;
    let counts = [LineResult::Registered, LineResult::Unchanged, LineResult::Rejected].map(|it| count(&reports, it));
    assert_eq!((counts, events(&node).await), ([20, 1, 1], before));
    assert!(reports[21].faults[0].reason.contains("is not available in this organization"), "{:?}", reports[21]);
}

async fn invitations_are_sent_once_and_within_the_limit(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let invited = |reports: &[LineReport]| reports.iter().filter(|report| report.invited).count();
    let limited = || ImportRequest { send_invitations: true, invitations_per_day: 8, ..order(&acme) };
    let first = run(&node, limited(), &file(20)).await;
    assert_eq!((count(&first, LineResult::Registered), invited(&first)), (20, 8));
    let told = first.iter().filter_map(|report| report.not_invited.as_deref());
    assert_eq!(told.filter(|reason| reason.contains("at most 8 invitations can be sent by imports")).count(), 12);

    let second = run(&node, ImportRequest { invitations_per_day: 100, ..limited() }, &file(20)).await;
    assert_eq!((count(&second, LineResult::Unchanged), invited(&second)), (20, 12), "those who were not invited yet");
    let before = events(&node).await;
    let third = run(&node, ImportRequest { invitations_per_day: 100, ..limited() }, &file(20)).await;
    assert_eq!((invited(&third), events(&node).await), (0, before));
    sound(&node).await;
}

async fn nobody_brings_in_more_than_they_hold(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let narrow = Permissions { invoices: Access::None, ..Role::Admin.ceiling() };
    let bob = node.joined(&acme, "bob@acme.example", Role::Admin).await;
    node.user(&acme, bob, user::Command::ChangePermissions { permissions: narrow }).await.unwrap();
    let by_bob = Meta::by(Actor::User { organization: acme.organization, user: bob });
    let file = "name,email,role,invoices\nA,a@acme.example,agent,\nB,b@acme.example,agent,none\n";
    let reports = run(&node, ImportRequest { meta: by_bob, ..order(&acme) }, file).await;
    assert_eq!((reports[0].result, reports[1].result), (LineResult::Rejected, LineResult::Registered));
    assert!(reports[0].faults[0].reason.contains("users cannot grant more than they hold"));
}

async fn who_has_lost_their_right_brings_nobody_in(store: Store) {
    let (one, two) = (Node::on(&store).await, Node::on(&store).await);
    let acme = one.acme().await;
    two.joined(&acme, "bob@acme.example", Role::Admin).await;
    // More than can be done before the other node comes to write.
    let lines = read(file(20_000).as_bytes(), Role::ReadOnly, UnknownColumns::Reject).unwrap();
    let (course, import) = (Arc::new(Course::new()), import(&one).await);
    let refused = || course.counts().get("rejected").copied().unwrap_or_default();
    let demotion = async {
        while course.done() < 70 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let demoted = two.user(&acme, acme.admin, become_role(Role::Agent)).await.unwrap();
        while refused() < 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        course.stop();
        demoted.position.unwrap()
    };
    let (ended, demoted) = tokio::join!(import.run(by_admin(&acme), lines, &course), demotion);
    let counts = course.counts();
    assert_eq!(counts["registered"] + counts["rejected"], course.done(), "{ended:?}");
    // Nothing of it was recorded after the demotion.
    let later = one.log.read_partition(demoted.partition, demoted.offset, 1_000).await.unwrap();
    assert!(later.iter().all(|event| event.event_type.as_str() != "user.registered.v1"), "{}", later.len());

    let stranger = one.found("umbra.example").await;
    let order = ImportRequest { meta: stranger.meta(), ..order(&acme) };
    assert_eq!(count(&run(&one, order, &file(401)).await, LineResult::Rejected), 401);
}

async fn an_address_that_is_held_by_another_account_stays_there(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "p3@acme.example", Role::Admin).await;
    let reports = run(&node, by_admin(&acme), &file(5)).await;
    assert_eq!((reports[3].result, reports[3].user), (LineResult::Unchanged, Some(bob)));
    let (bob, _) = node.executor.load::<User>(acme.organization, bob).await.unwrap();
    assert_eq!(bob.rights().map(|(role, _)| role), Some(Role::Admin), "nothing of the line was taken");
}

async fn nobody_is_brought_into_a_suspended_organization(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    node.organization(&acme, acme.suspend()).await.unwrap();
    let lines = read(file(5).as_bytes(), Role::ReadOnly, UnknownColumns::Reject).unwrap();
    let refused = import(&node).await.run(order(&acme), lines, &Course::new()).await;
    assert!(matches!(&refused, Err(ImportError::Rejected(it)) if it.slug == "organization-suspended"), "{refused:?}");
}
