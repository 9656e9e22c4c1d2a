//! Mails about invoices: they wait for their file, repeat nothing, and do without a file that cannot be made.

use std::sync::Arc;

use jiff::SignedDuration;
use porttask_app::{
    billing::{
        invoices::{collecting::Collector, rendering::Rendering},
        mails::mails,
        payments::Payments,
    },
    identity::{accounts::Accounts, links::Links},
    mail::Mailer,
};
use porttask_domain::{
    DomainEvent,
    billing::{
        Invoice, Payment, PaymentMethods,
        billing_account::Collection,
        billing_document::{InvoiceId, Issued},
        invoice::{self, Command},
        payment::{self, PaymentId, Start, Target},
        payment_method::{self, Details, MethodKind},
    },
};
use porttask_infra::{blobs::BlobFolder, payments::PaymentSimulator};
use porttask_projections::{ReadModel, identity::user::Users, models};
use porttask_runtime::{
    lease::{Holder, Lease},
    ledger::Database,
    log::Checkpoint,
    new_id,
    ports::blobs::BlobStore,
    reactors::{Reactor, TaskError, TaskOutcome},
    tasks::{Attempt, ErrorText, NewTask, Outcome, Task, TaskId},
    vault::impersonal,
    views::Views,
};
use porttask_tests::{Acme, Node, Store, on_both_engines};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::{
    fake::{Fake, SOON},
    usage::{events, leased},
};

on_both_engines! {
    a_mail_waits_for_its_file_and_is_the_same_again,
    a_file_that_cannot_be_made_holds_back_no_mail,
    a_failed_charge_is_mailed_while_something_is_due,
    a_step_that_charges_is_mailed_only_without_a_payment_method,
    what_is_open_is_charged_once_with_a_new_default_method,
}

/// What mails on a node.
struct Post {
    node: Node,
    acme: Acme,
    fake: Arc<Fake>,
    mailer: Mailer,
    blobs: Arc<BlobFolder>,
    views: Arc<Views>,
    _place: TempDir,
}

impl Post {
    async fn on(store: &Store) -> Self {
        let node = Node::on(store).await;
        let acme = node.acme().await;
        let views = node.views(models()).await;
        views.run();
        for head in node.log.heads().await.unwrap() {
            assert!(views.wait_for(Users::NAME, head.position, SOON).await.unwrap());
        }
        let place = tempfile::tempdir().unwrap();
        let blobs = Arc::new(BlobFolder::new(place.path().to_owned()));
        let accounts =
            Accounts::new(Arc::<dyn Database>::clone(&node.log), Arc::clone(&node.vault), Arc::clone(&views));
        let links = Links::open(&node.vault, "https://admin.example").await.unwrap();
        let files = Arc::<BlobFolder>::clone(&blobs);
        let mails = mails(Arc::clone(&node.executor), Arc::clone(&node.vault), links, accounts, files);
        let fake = Fake::answering([]);
        let mailer = Mailer::new(mails, Arc::<Fake>::clone(&fake), Arc::clone(&node.clock));
        Self { node, acme, fake, mailer, blobs, views, _place: place }
    }

    async fn invoice(&self, id: InvoiceId, command: Command) {
        self.node.executor.execute::<Invoice>(id, command, &self.acme.request()).await.unwrap();
    }

    /// Issues an invoice over 53.55 EUR, which is charged.
    async fn issue(&self) -> InvoiceId {
        let id = new_id();
        let at = self.node.clock.now() + SignedDuration::from_hours(24);
        let step = |step| invoice::Dunning { step, at };
        let dunning = vec![step(invoice::Step::Charge), step(invoice::Step::BecomeReadOnly)];
        let (kind, collection) = (invoice::InvoiceKind::Subscription, Collection::Automatic);
        self.invoice(id, Command::Issue { kind, collection, document: document(), dunning, replaces: None }).await;
        id
    }

    /// The only task of the last event of the category.
    async fn task(&self, is_meant: impl Fn(&DomainEvent) -> bool) -> Task {
        let found = events(&self.node).await.into_iter().rfind(|(_, event)| is_meant(event)).unwrap().0;
        let mut tasks = self.mailer.tasks(&impersonal(&found).unwrap(), &found);
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        leased(tasks.remove(0), Mailer::NAME)
    }

    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError> {
        self.mailer.run(task).await
    }

    async fn payment(&self, id: PaymentId, command: payment::Command) {
        self.node.executor.execute::<Payment>(id, command, &self.acme.request()).await.unwrap();
    }

    /// Adds a card, and makes it the default.
    async fn card(&self, token: &str) -> payment_method::PaymentMethodId {
        let method = new_id();
        let text = str::to_owned;
        let details = Details {
            provider: text("simulator"),
            customer: text("acme"),
            token: text(token),
            kind: MethodKind::Card,
            brand: text("visa"),
            last4: text("0341"),
            expires: None,
            fingerprint: None,
        };
        let id = self.acme.organization.into();
        for command in
            [payment_method::Command::Add { method, details }, payment_method::Command::MakeDefault { method }]
        {
            self.node.executor.execute::<PaymentMethods>(id, command, &self.acme.request()).await.unwrap();
        }
        method
    }
}

/// That of the first sample.
pub(crate) fn document() -> Box<Issued> {
    match sample("invoice.issued.v1") {
        invoice::Event::Issued { document, .. } => document,
        other => panic!("{other:?}"),
    }
}

/// The first sample of an event.
pub(crate) fn sample<E: DeserializeOwned>(event_type: &str) -> E {
    let samples = include_str!("../../domain/samples/events.jsonl");
    let start = format!(r#"{{"type":"{event_type}""#);
    serde_json::from_str(samples.lines().find(|line| line.starts_with(&start)).unwrap()).unwrap()
}

fn is_issued(event: &DomainEvent) -> bool {
    matches!(event, DomainEvent::Invoice(invoice::Event::Issued { .. }))
}

async fn a_mail_waits_for_its_file_and_is_the_same_again(store: Store) {
    let post = Post::on(&store).await;
    let id = post.issue().await;
    let task = post.task(is_issued).await;
    let waits = post.run(&task).await;
    assert!(matches!(waits, Err(TaskError::NotYet { .. })), "{waits:?}");
    let mut writer = post.blobs.begin(post.acme.organization).await.unwrap();
    writer.write("%PDF-".into()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let (sha256, bytes, xml_sha256) = (blob.sha256, blob.bytes, None);
    post.invoice(id, Command::StorePdf { sha256, bytes, xml_sha256 }).await;
    for _ in 0..2 {
        assert_eq!(post.run(&task).await, Ok(TaskOutcome::Done));
    }
    let [mail, again] = &post.fake.taken()[..] else { panic!("{:?}", post.fake.taken()) };
    assert!(mail == again && mail.id == task.id.0, "the same again");
    assert_eq!(
        (mail.to_address.as_str(), mail.subject.as_str()),
        ("ana@acme.example", "Invoice PT-2026-000001: 53.55 EUR")
    );
    let file = &mail.attachments[0];
    assert_eq!((file.name.as_str(), &file.content[..]), ("PT-2026-000001.pdf", &b"%PDF-"[..]));
    assert!(mail.text.contains(&format!("https://admin.example/settings/billing/invoices/{id}\n")), "{}", mail.text);
    // One that is too large is behind the link.
    let other = post.issue().await;
    let task = post.task(is_issued).await;
    post.invoice(other, Command::StorePdf { sha256: "00".to_owned(), bytes: 5_000_001, xml_sha256: None }).await;
    assert_eq!(post.run(&task).await, Ok(TaskOutcome::Done));
    let mail = post.fake.taken().pop().unwrap();
    assert!(mail.attachments.is_empty() && mail.text.contains("too large to be attached"), "{}", mail.text);
}

async fn a_file_that_cannot_be_made_holds_back_no_mail(store: Store) {
    let post = Post::on(&store).await;
    let id = post.issue().await;
    let task = post.task(is_issued).await;
    let log = &post.node.log;
    let incarnation = log.incarnation().await.unwrap();
    let partition = log.partition_of(post.acme.organization).await.unwrap().unwrap();
    let head = log.heads().await.unwrap().into_iter().find(|it| it.position.partition == partition).unwrap();
    let rendering = NewTask {
        id: TaskId::generate(),
        organization: post.acme.organization,
        kind: "render_invoice",
        subject: id.0,
        number: 1,
        target: id.0,
        due_at: None,
    };
    let at = Checkpoint { incarnation, position: head.position, event_id: head.event_id };
    log.begin(Rendering::NAME, &[at]).await.unwrap();
    assert!(log.schedule(Rendering::NAME, &at, &at, &[rendering]).await.unwrap());
    assert!(matches!(post.run(&task).await, Err(TaskError::NotYet { .. })));
    let lease = Lease::new(Holder::new("one"), SOON);
    let taken = log.claim(Rendering::NAME, &lease, 1).await.unwrap().remove(0);
    let outcome = Outcome::Dead { error: ErrorText::new("no font") };
    assert_eq!(log.finish(&[Attempt { id: taken.id, epoch: taken.epoch, outcome }]).await.unwrap(), [true]);
    assert_eq!(post.run(&task).await, Ok(TaskOutcome::Done));
    let mail = post.fake.taken().pop().unwrap();
    assert!(mail.attachments.is_empty() && mail.text.contains("Its PDF is not ready yet"), "{}", mail.text);
    // Nor one that takes too long.
    post.issue().await;
    let late = Task { attempts: 15, ..post.task(is_issued).await };
    assert_eq!(post.run(&late).await, Ok(TaskOutcome::Done));
}

async fn a_failed_charge_is_mailed_while_something_is_due(store: Store) {
    let post = Post::on(&store).await;
    let (id, method) = (post.issue().await, post.card("sim_declined").await);
    let target = Target::Invoice(id.0);
    let failed = |event: &DomainEvent| matches!(event, DomainEvent::Payment(payment::Event::Failed { .. }));
    for (attempt, is_mailed) in [(1, true), (1_000, false), (1_000_007, true)] {
        let payment = PaymentId::of(target, attempt);
        let (currency, provider, now) = ("EUR".parse().unwrap(), "simulator".to_owned(), post.node.clock.now());
        let start = Start { target, amount: 5_355, currency, method, provider, attempt, now };
        post.payment(payment, payment::Command::Start(start)).await;
        let fail = payment::Command::Fail { code: "insufficient_funds".to_owned(), is_final: false };
        post.payment(payment, fail).await;
        let expected = if is_mailed { TaskOutcome::Done } else { TaskOutcome::Skipped };
        assert_eq!(post.run(&post.task(failed).await).await, Ok(expected), "{attempt}");
    }
    let mail = post.fake.taken().pop().unwrap();
    assert_eq!(mail.subject, "Payment of invoice PT-2026-000001 failed");
    assert!(mail.text.contains("to visa ending in 0341") && mail.text.contains("tried again on"), "{}", mail.text);
    let task = post.task(failed).await;
    post.invoice(id, Command::RecordPayment { payment: PaymentId::of(target, 2), amount: 5_355 }).await;
    assert_eq!(post.run(&task).await, Ok(TaskOutcome::Skipped), "it is paid");
}

async fn a_step_that_charges_is_mailed_only_without_a_payment_method(store: Store) {
    let post = Post::on(&store).await;
    let dunned = |event: &DomainEvent| matches!(event, DomainEvent::Invoice(invoice::Event::Dunned { .. }));
    let now = post.node.clock.now() + SignedDuration::from_hours(25);
    let id = post.issue().await;
    post.invoice(id, Command::Dun { now }).await;
    let task = post.task(dunned).await;
    assert_eq!(post.run(&task).await, Ok(TaskOutcome::Done));
    let mail = post.fake.taken().pop().unwrap();
    assert_eq!(mail.subject, "Payment of invoice PT-2026-000001 failed: no payment method");
    post.card("sim_declined").await;
    assert_eq!(post.run(&task).await, Ok(TaskOutcome::Skipped), "the charge has a mail of its own");
}

async fn what_is_open_is_charged_once_with_a_new_default_method(store: Store) {
    let post = Post::on(&store).await;
    let simulator = Arc::new(PaymentSimulator::new(Arc::clone(&post.node.log)));
    let provider = Arc::<PaymentSimulator>::clone(&simulator);
    let payments = Payments::new(Arc::clone(&post.node.executor), provider);
    let collector = Collector::new(Arc::clone(&post.node.executor), payments, Arc::clone(&post.views));
    let (first, second) = (post.issue().await, post.issue().await);
    let (kind, document) = (invoice::InvoiceKind::Manual, document());
    let by_transfer = Collection::Invoice { days: 30 };
    let transfer = Command::Issue { kind, collection: by_transfer, document, dunning: Vec::new(), replaces: None };
    post.invoice(new_id(), transfer).await;
    let states = async || {
        let mut states: Vec<_> = simulator.books().await.unwrap();
        states.sort_by(|one, other| one.state.cmp(&other.state));
        states.into_iter().map(|entry| entry.state).collect::<Vec<_>>()
    };
    for (token, expected) in [
        // The second one would be declined as well.
        ("sim_declined", &["failed"][..]),
        ("sim_ok", &["failed", "succeeded", "succeeded"]),
    ] {
        post.card(token).await;
        let made_default = |event: &DomainEvent| {
            matches!(event, DomainEvent::PaymentMethods(payment_method::Event::MadeDefault { .. }))
        };
        let event = events(&post.node).await.into_iter().rfind(|(_, event)| made_default(event)).unwrap().0;
        let [task] = &collector.tasks(&impersonal(&event).unwrap(), &event)[..] else { panic!() };
        let task = leased(task.clone(), Collector::NAME);
        for _ in 0..2 {
            collector.run(&task).await.unwrap();
            assert_eq!(states().await, expected, "{token}");
        }
    }
    for id in [first, second] {
        let (invoice, _) = post.node.executor.load::<Invoice>(post.acme.organization, id).await.unwrap();
        assert_eq!(invoice.existing().unwrap().issued().unwrap().due(), 0);
    }
}
