//! A transport that remembers, and nodes that mail by it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use porttask_app::{
    identity::{accounts::Accounts, links::Links, mails::mails},
    mail::Mailer,
};
use porttask_domain::UserId;
use porttask_projections::models;
use porttask_runtime::{
    execute::Executor,
    lease::Holder,
    ledger::Database,
    new_id,
    ports::mail::{Mail, MailError, MailTransport},
    reactors::{Reactors, RetryPolicy},
};
use porttask_tests::{Node, by};

/// How long something may take that takes no time.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// In a hurry.
pub(crate) const POLICY: RetryPolicy = RetryPolicy {
    at_once: 4,
    attempt_timeout: Duration::from_millis(1_600),
    lease: Duration::from_secs(2),
    look_every: Duration::from_millis(50),
    first_retry: Duration::from_millis(20),
    longest_retry: Duration::from_millis(100),
    attempts: 5,
};

/// What answers the next mails get; all further ones are taken.
#[derive(Default)]
pub(crate) struct Fake {
    answers: Mutex<VecDeque<Answer>>,
    taken: Mutex<Vec<Mail>>,
}

/// How a mail is answered.
pub(crate) enum Answer {
    Busy,
    Rejected,
    Panic,
    /// Never.
    Nothing,
    /// Taken after this time.
    Slow(Duration),
}

impl Fake {
    pub(crate) fn answering(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), taken: Mutex::default() })
    }

    pub(crate) fn taken(&self) -> Vec<Mail> {
        self.taken.lock().unwrap().clone()
    }

    /// The mails that were taken, once there are so many.
    pub(crate) async fn mails(&self, count: usize) -> Vec<Mail> {
        by(SOON, "mails", || async { self.taken().len() >= count }).await;
        self.taken()
    }
}

#[async_trait]
impl MailTransport for Fake {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            None => self.taken.lock().unwrap().push(mail.clone()),
            Some(Answer::Busy) => return Err(MailError::Temporary("451 try <bob@acme.example> later".to_owned())),
            Some(Answer::Rejected) => return Err(MailError::Permanent("550 no such user".to_owned())),
            Some(Answer::Panic) => panic!("the transport is broken"),
            Some(Answer::Nothing) => std::future::pending().await,
            Some(Answer::Slow(time)) => {
                tokio::time::sleep(time).await;
                self.taken.lock().unwrap().push(mail.clone());
            }
        }
        Ok(())
    }
}

/// What mails on a node.
pub(crate) async fn mailer(node: &Node, transport: &Arc<Fake>) -> Mailer {
    let database = Arc::<dyn Database>::clone(&node.log);
    let links = Links::open(&node.vault, "https://admin.example").await.unwrap();
    let executor = Arc::<Executor>::clone(&node.executor);
    let transport: Arc<dyn MailTransport> = Arc::<Fake>::clone(transport);
    let views = node.views(models()).await;
    let accounts = Accounts::new(Arc::clone(&database), Arc::clone(&node.vault), views);
    Mailer::new(mails(database, Arc::clone(&node.vault), executor, links, accounts), transport)
}

/// A node's reactors, not yet at work.
pub(crate) async fn reactors(node: &Node, transport: &Arc<Fake>, policy: RetryPolicy) -> Arc<Reactors> {
    let mailer = mailer(node, transport).await;
    Reactors::open(Arc::<dyn Database>::clone(&node.log), vec![Arc::new(mailer)], policy).await.unwrap()
}

/// A node that did not run before.
pub(crate) fn any_node() -> Holder {
    Holder::new(new_id::<UserId>().to_string())
}

/// A node's reactors at work.
pub(crate) async fn mailing(node: &Node, transport: &Arc<Fake>) -> Arc<Reactors> {
    let reactors = reactors(node, transport, POLICY).await;
    reactors.run(&any_node());
    reactors
}
