//! `porttask events`: inspecting the log.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::Arc,
};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use porttask_app::positions::Positions;
use porttask_domain::OrganizationId;
use porttask_runtime::{
    ledger::Database,
    log::{EventLog, Follower, Head, Offset, PartitionId, Position, RecordedEvent},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{error::Error, node::Node, storage::StorageArgs};

/// Events per read.
const PAGE: usize = 500;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print the latest events and, with --follow, new ones as they are recorded.
    Tail(Tail),
    /// Print one event in full, and verify its hash.
    Show(Show),
    /// Declare that the log was restored from a backup: starts a new incarnation, so that readers start over.
    ///
    /// Run it once after the restore, before anything else uses the log. State derived from the former log, such as
    /// read models and cursors, is then rejected instead of being continued incorrectly. If invoices were issued after the
    /// backup, run `porttask invoices continue-series` next.
    Restored,
}

#[derive(Args)]
pub(crate) struct Tail {
    /// Number of events to print, per partition.
    #[arg(long, short = 'n', default_value_t = 10)]
    lines: u64,
    /// Only this partition. Default: all partitions.
    #[arg(long)]
    partition: Option<u16>,
    /// Print new events as they are recorded, until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Show {
    /// The position of the event as partition:offset, such as 0:17, or as its caller received it (`pos_…`).
    position: String,
    /// The organization of the caller who received the position `pos_…`.
    #[arg(long = "for", value_name = "ORGANIZATION")]
    organization: Option<OrganizationId>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        match self {
            Self::Show(show) => show.run(storage).await,
            Self::Tail(tail) => tail.run(storage.open().await?).await,
            Self::Restored => {
                println!("The log is now in incarnation {}.", storage.open().await?.begin_incarnation().await?);
                Ok(())
            }
        }
    }
}

impl Tail {
    async fn run(self, log: Arc<dyn EventLog>) -> Result<(), Error> {
        let heads = log.heads().await?;
        let chosen: Vec<&Head> =
            heads.iter().filter(|head| self.partition.is_none_or(|it| head.position.partition.0 == it)).collect();
        if chosen.is_empty() {
            return Err(format!("no such partition: the log has partitions 0 to {}", heads.len() - 1).into());
        }
        for head in &chosen {
            let Position { partition, offset } = head.position;
            self.print_range(log.as_ref(), partition, Offset(offset.0.saturating_sub(self.lines)), offset).await?;
        }
        if !self.follow {
            return Ok(());
        }
        eprintln!("Following the log. Press Ctrl-C to stop.");
        let (sender, mut receiver) = mpsc::channel(1);
        let mut followers = JoinSet::new();
        for head in chosen {
            #[expect(clippy::disallowed_methods, reason = "of this command")]
            followers.spawn(follow(Arc::clone(&log), *head, sender.clone()));
        }
        loop {
            tokio::select! {
                Some(events) = receiver.recv() => self.print(&events)?,
                Some(ended) = followers.join_next() => return ended?,
                result = tokio::signal::ctrl_c() => return Ok(result?),
            }
        }
    }

    async fn print_range(
        &self,
        log: &dyn EventLog,
        partition: PartitionId,
        mut after: Offset,
        until: Offset,
    ) -> Result<(), Error> {
        while after < until {
            let events = log.read_partition(partition, after, PAGE.min((until.0 - after.0) as usize)).await?;
            let Some(last) = events.last() else { break };
            after = last.position.offset;
            self.print(&events)?;
        }
        Ok(())
    }

    fn print(&self, events: &[RecordedEvent]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for event in events {
            if self.json {
                writeln!(out, "{}", as_json(event)?)?;
                continue;
            }
            let RecordedEvent { position, recorded_at, event_type, stream, version, .. } = event;
            let data = readable(&event.data);
            writeln!(out, "{position:>8}  {recorded_at:.6}  {event_type:<28} {stream} v{version}  {data}")?;
        }
        out.flush()
    }
}

/// Sends the events after `head`.
async fn follow(log: Arc<dyn EventLog>, head: Head, events: mpsc::Sender<Vec<RecordedEvent>>) -> Result<(), Error> {
    let mut follower = Follower::after(log, &head).await?;
    while events.send(follower.next(PAGE).await?).await.is_ok() {}
    Ok(())
}

impl Show {
    /// The log, and the position of a token in it.
    async fn unsealed(&self, storage: &StorageArgs) -> Result<(Arc<dyn Database>, Position), Error> {
        let organization = self
            .organization
            .ok_or("the position must be partition:offset, such as 0:17, or pos_… together with --for ORGANIZATION")?;
        let Node { database, vault, .. } = Node::open(storage).await?;
        let positions = Positions::open(&vault, database.incarnation().await?).await?;
        let position = positions.unseal(organization, &self.position);
        let position = position.map_err(|_| format!("{} is no position for {organization}", self.position))?;
        Ok((database, position))
    }

    async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let (log, position) = match self.position.parse::<Position>() {
            Ok(position) => (storage.open_unchecked().await?, position),
            Err(_) => self.unsealed(storage).await?,
        };
        let Position { partition, offset } = position;
        let none = || format!("there is no event at position {position}");
        let before = offset.0.checked_sub(1).ok_or_else(none)?;
        let found = log.read_partition(partition, Offset(before), 1).await?.pop();
        let event = found.filter(|event| event.position == position).ok_or_else(none)?;
        if self.json {
            println!("{}", as_json(&event)?);
        } else {
            println!("position      {}", event.position);
            println!("event         {}", event.id);
            println!("type          {}", event.event_type);
            println!("organization  {}", event.stream.organization);
            println!("stream        {} v{}", event.stream.name.as_str(), event.version);
            println!("recorded      {:.6}", event.recorded_at);
            if let Some(time) = occurred_at(&event.meta) {
                println!("occurred      {time:.6}");
            }
            println!("leaf hash     {}", event.leaf_hash);
            println!("data          {}", readable(&event.data));
            println!("meta          {}", readable(&event.meta));
        }
        if !event.is_intact() {
            return Err(format!(
                "the event at position {} is damaged: its hash does not match the recorded one; `porttask log verify` \
                 lists all damage",
                self.position
            )
            .into());
        }
        Ok(())
    }
}

/// An event as one line of JSON. JSON payloads are embedded verbatim, so that the hash can be computed from the line.
#[derive(Serialize)]
struct EventLine<'a> {
    partition: u16,
    offset: u64,
    event_id: String,
    #[serde(rename = "type")]
    event_type: &'a str,
    organization: String,
    stream: &'a str,
    version: u64,
    recorded_at: String,
    leaf_hash: String,
    data: Verbatim<'a>,
    meta: Verbatim<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Verbatim<'a> {
    Json(&'a RawValue),
    Text(Cow<'a, str>),
}

fn as_json(event: &RecordedEvent) -> Result<String, serde_json::Error> {
    serde_json::to_string(&EventLine {
        partition: event.position.partition.0,
        offset: event.position.offset.0,
        event_id: event.id.to_string(),
        event_type: event.event_type.as_str(),
        organization: event.stream.organization.to_string(),
        stream: event.stream.name.as_str(),
        version: event.version.0,
        recorded_at: format!("{:.6}", event.recorded_at),
        leaf_hash: event.leaf_hash.to_string(),
        data: verbatim(&event.data),
        meta: verbatim(&event.meta),
    })
}

/// When it happened, if that differs from when it was recorded.
fn occurred_at(meta: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Times {
        occurred_at: Option<Timestamp>,
    }
    serde_json::from_slice::<Times>(meta).ok()?.occurred_at
}

/// Single-line JSON verbatim, anything else as text.
fn verbatim(bytes: &[u8]) -> Verbatim<'_> {
    match serde_json::from_slice::<&RawValue>(bytes) {
        Ok(json) if !json.get().contains(['\n', '\r']) => Verbatim::Json(json),
        _ => Verbatim::Text(String::from_utf8_lossy(bytes)),
    }
}

/// On one line, with control characters escaped.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|it| if it.is_control() { it.escape_default().to_string() } else { it.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(
            readable("{\"name\":\"\u{1b}[31mÅsa\u{9b}2J\n\"}".as_bytes()),
            "{\"name\":\"\\u{1b}[31mÅsa\\u{9b}2J\\n\"}"
        );
    }
}
