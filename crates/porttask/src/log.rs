//! `porttask log`: verifying the event log.

use std::{
    io::{self, Write},
    sync::Arc,
};

use clap::{Args, Subcommand};
use porttask_runtime::{
    ledger::Database,
    log::{
        Head, Offset, PartitionVerifier, Position,
        integrity::{Damage, Defect},
    },
};
use serde_json::json;

use crate::{error::Error, progress::Progress, storage::StorageArgs};

/// Maximum number of damaged places that are printed before the command stops.
const MOST_FAULTS: usize = 1_000;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Verify every event: its hash, contiguous offsets and versions, and times of recording that never fall.
    ///
    /// Prints the position and id of each damaged event and fails if there is one. Nodes may be running meanwhile. What
    /// hashes alone do not show is in docs/operating-the-log.md.
    Verify(Verify),
}

#[derive(Args)]
pub(crate) struct Verify {
    /// Only this partition. Default: all partitions.
    #[arg(long)]
    partition: Option<u16>,
    /// Continue after this offset, as printed by an interrupted run. Versions of streams are then verified from the first
    /// event found of each.
    #[arg(long, requires = "partition")]
    from: Option<u64>,
    /// Print one JSON object per damaged event, and one per partition.
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let Self::Verify(verify) = self;
        verify.run(storage).await
    }
}

impl Verify {
    async fn run(&self, storage: &StorageArgs) -> Result<(), Error> {
        let log = storage.open_unchecked().await?;
        let heads = log.heads().await?;
        let chosen: Vec<&Head> =
            heads.iter().filter(|head| self.partition.is_none_or(|it| head.position.partition.0 == it)).collect();
        if chosen.is_empty() {
            return Err(format!("no such partition: the log has partitions 0 to {}", heads.len() - 1).into());
        }
        let mut count = 0;
        for head in chosen {
            let start = Offset(self.from.unwrap_or_default());
            let mut verifier = PartitionVerifier::new(Arc::<dyn Database>::clone(&log), head, start);
            count += self.verify(&mut verifier, head, count).await?;
        }
        match count {
            0 => Ok(()),
            1 => Err("1 damaged event: keep a copy of the log, and restore the latest backup that verifies".into()),
            _ => Err(format!(
                "{count} damaged events: keep a copy of the log, and restore the latest backup that verifies"
            )
            .into()),
        }
    }

    /// Verifies a partition; returns the number of damaged places.
    async fn verify(&self, verifier: &mut PartitionVerifier, head: &Head, before: usize) -> Result<usize, Error> {
        let (partition, progress, mut count) = (head.position.partition, Progress::new(), 0);
        let what = format!("partition {partition}");
        loop {
            let resume = format!("continue with `--partition {partition} --from {}`", verifier.reached());
            let page = tokio::select! {
                page = verifier.next() => page.map_err(|error| format!("{error}; {resume}"))?,
                stopped = tokio::signal::ctrl_c() => {
                    stopped?;
                    return Err(format!("interrupted: {resume}").into());
                }
            };
            let Some(page) = page else { break };
            for damage in &page {
                self.say(damage)?;
            }
            count += page.len();
            if before + count >= MOST_FAULTS {
                let resume = format!("continue with `--partition {partition} --from {}`", verifier.reached());
                return Err(format!("stopped after {} damaged events: {resume}", before + count).into());
            }
            progress.tell(&what, verifier.reached().0, verifier.end().0);
        }
        drop(progress);
        let mut out = io::stdout().lock();
        if self.json {
            let line = json!({"partition": partition.0, "verified_to": verifier.reached().0, "damaged": count});
            writeln!(out, "{line}")?;
        } else if verifier.end() > Offset::START {
            let result = if count == 0 { "OK" } else { "DAMAGED" };
            writeln!(out, "partition {partition:<4} to offset {:<12} {result}", verifier.reached())?;
        }
        Ok(count)
    }

    fn say(&self, damage: &Damage) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.json {
            return writeln!(out, "{damage}");
        }
        let Damage { position: Position { partition, offset }, event, defect } = damage;
        let event = event.map(|event| event.to_string());
        let line = json!({
            "partition": partition.0, "offset": offset.0, "event_id": event, "defect": name(defect),
            "message": damage.to_string(),
        });
        writeln!(out, "{line}")
    }
}

fn name(defect: &Defect) -> &'static str {
    match defect {
        Defect::Altered => "altered",
        Defect::Missing { .. } => "missing",
        Defect::Version { .. } => "version",
        Defect::Misplaced => "misplaced",
        Defect::Backdated => "backdated",
        Defect::Unreadable(_) => "unreadable",
    }
}
