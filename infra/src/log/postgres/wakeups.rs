//! How nodes learn of each other's appends: notifications after the commit, never within it, and a slow poll.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use porttask_runtime::{
    log::{LogError, Offset, PartitionId, Position},
    supervise::beat,
};
use tokio::{sync::Notify, time::sleep};
use tokio_postgres::{Client, Statement};

use super::{connect::Connector, error::from_postgres, reader};
use crate::log::heads::Heads;

const CHANNEL: &str = "porttask_log";
/// Minimum time between two notifications: appends in between share one.
const COALESCED: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Collects the heads to announce to other nodes.
#[derive(Default)]
pub(super) struct Announcer {
    news: Mutex<BTreeMap<PartitionId, Offset>>,
    wake: Notify,
}

impl Announcer {
    /// Announces soon to other nodes that a partition's head is at `position`.
    pub(super) fn announce(&self, position: Position) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        // A partition has two writers, which may announce their commits in another order.
        let head = news.entry(position.partition).or_default();
        *head = position.offset.max(*head);
        drop(news);
        self.wake.notify_one();
    }

    fn take(&self) -> BTreeMap<PartitionId, Offset> {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends notifications forever, on a dedicated connection. Lost ones are compensated by polling.
    pub(super) async fn run(self: Arc<Self>, connector: Connector) {
        let mut client = None;
        loop {
            self.wake.notified().await;
            let positions = self.take().into_iter().map(|(partition, offset)| Position { partition, offset });
            let payload: Vec<String> = positions.map(|position| position.to_string()).collect();
            if let Err(error) = notify(&connector, &mut client, &payload.join(" ")).await {
                tracing::warn!(%error, "other nodes could not be notified");
                client = None;
                sleep(LONGEST_PAUSE).await;
            }
            sleep(COALESCED).await;
        }
    }
}

async fn notify(
    connector: &Connector,
    client: &mut Option<(Client, Statement)>,
    payload: &str,
) -> Result<(), LogError> {
    let failed = |error: tokio_postgres::Error| from_postgres(&error);
    let connected = match client.take() {
        Some(connected) => connected,
        None => {
            let connected = connector.plain().await?;
            // A lost notification is harmless, so do not wait for the disk.
            connected.batch_execute("SET synchronous_commit = off").await.map_err(failed)?;
            let notify = connected.prepare("SELECT pg_notify($1, $2)").await.map_err(failed)?;
            (connected, notify)
        }
    };
    let (connected, notify) = client.insert(connected);
    connected.execute(&*notify, &[&CHANNEL, &payload]).await.map(drop).map_err(failed)
}

/// Receives notifications forever and polls slowly while there are subscribers; reconnects when the connection breaks.
pub(super) async fn listen(connector: Connector, heads: Arc<Heads>, poll: Duration) {
    let mut pause = COALESCED;
    loop {
        beat(LONGEST_PAUSE);
        match listen_once(&connector, &heads, poll, &mut pause).await {
            Ok(()) => tracing::warn!("the listening connection was lost"),
            Err(error) => tracing::warn!(%error, "cannot listen for appends of other nodes"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn listen_once(
    connector: &Connector,
    heads: &Arc<Heads>,
    poll: Duration,
    pause: &mut Duration,
) -> Result<(), LogError> {
    let failed = |error: tokio_postgres::Error| from_postgres(&error);
    let heard_heads = Arc::clone(heads);
    let heard = move |notification: &tokio_postgres::Notification| {
        for position in notification.payload().split(' ').filter_map(|position| position.parse::<Position>().ok()) {
            heard_heads.publish(position.partition, position.offset);
        }
    };
    let (client, mut driver) = connector.listening(heard).await?;
    client.batch_execute(&format!("LISTEN {CHANNEL}")).await.map_err(failed)?;
    // Catch up with commits from before the LISTEN.
    publish_all(&client, heads).await?;
    *pause = COALESCED;
    loop {
        beat(poll);
        tokio::select! {
            () = driver.ended() => return Ok(()),
            () = sleep(poll) => if heads.has_subscribers() {
                publish_all(&client, heads).await?;
            },
        }
    }
}

async fn publish_all(client: &Client, heads: &Heads) -> Result<(), LogError> {
    for head in reader::heads(client).await.map_err(|error| from_postgres(&error))? {
        heads.publish(head.position.partition, head.position.offset);
    }
    Ok(())
}
