//! Durable appends of one small event, and reads.
//!
//! The baseline writes the same rows without the log, in batches, into the same tables and with the same driver. Rounds
//! of the two alternate.

mod bare;
mod bare_postgres;
mod bare_sqlite;
mod delay;
mod load;
mod two_partitions;

use std::{path::Path, sync::Arc, time::Duration};

use porttask_infra::log::{
    postgres::{PostgresLog, PostgresOptions},
    sqlite::{SqliteLog, SqliteOptions},
};
use porttask_runtime::{
    ledger::Database,
    log::{CheckedLog, EventLog, Offset, PartitionId},
};
use private_postgres::PrivatePostgres;
use tempfile::TempDir;

use self::{
    bare::{Bare, Rows},
    bare_postgres::BarePostgres,
    bare_sqlite::BareSqlite,
    load::{Load, Run, median},
};
use crate::{Error, Figure, Options, store::Place};

const ROUNDS: usize = 5;
/// Enough events for the read benchmark.
const FEW: u64 = 50_000;
const MILLION: u64 = 1_000_000;
const LONG_READER: Duration = Duration::from_secs(120);

/// The benchmarks of one engine.
struct Bench<'a> {
    engine: &'static str,
    options: &'a Options,
    progress: &'a (dyn Fn(&str) + Sync),
    figures: Vec<Figure>,
    server: Option<PrivatePostgres>,
    directory: TempDir,
}

/// Measures both engines, or the chosen one.
pub(crate) async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for engine in Place::engines(options)? {
        let Place { engine, directory, server } = Place::of(engine, options)?;
        let mut bench = Bench { engine, options, progress, figures: Vec::new(), server, directory };
        bench.measure().await?;
        figures.append(&mut bench.figures);
    }
    Ok(figures)
}

impl Bench<'_> {
    async fn measure(&mut self) -> Result<(), Error> {
        let log = self.open("ours", 2).await?;
        let mut bare = self.bare("bare").await?;
        let mut load = Load::new(Arc::clone(&log), 1).await?;
        for callers in [1, 16, 64, 256] {
            if self.wants(&format!("append_callers_{callers}_")) {
                self.append(callers, &mut load, bare.as_mut()).await?;
            }
        }
        if self.wants("read_partition") {
            load.fill(FEW).await?;
            bare.fill(FEW).await?;
            self.read("read_partition", load.partition(), log.as_ref(), bare.as_mut()).await?;
        }
        if self.wants("read_checked") {
            self.checked().await?;
        }
        if self.engine == "postgres" && self.wants("append_4_partitions") {
            self.partitions().await?;
        }
        if self.engine == "postgres" {
            self.two_partitions().await?;
        }
        if !self.options.quick && self.wants("append_million read_partition_million") {
            self.million().await?;
        }
        if !self.options.quick && self.wants("append_long_reader") {
            self.long_reader().await?;
        }
        Ok(())
    }

    fn wants(&self, names: &str) -> bool {
        self.options.figure.as_deref().is_none_or(|wanted| names.contains(wanted))
    }

    /// Concurrent appends through the log, compared with batches of `callers` rows without the log, and with a
    /// transaction per event.
    async fn append(&mut self, callers: usize, load: &mut Load, bare: &mut dyn Bare) -> Result<(), Error> {
        (self.progress)(&format!("{}: append, {callers} callers", self.engine));
        let time = self.time();
        let (mut ours, mut ceilings, mut naive) = (Run::default(), Vec::new(), Vec::new());
        load.run(callers, time / 4).await?;
        for _ in 0..ROUNDS {
            ceilings.push(bare.batches(callers, time).await?);
            ours.add(load.run(callers, time).await?);
            naive.push(bare.naive(callers, time / 2).await?);
        }
        let (ceiling, naive) = (median(&mut ceilings), median(&mut naive));
        let rate = median(&mut ours.rates);
        let bar = match (self.engine, callers) {
            ("sqlite", 1 | 64 | 256) => "target 0.70",
            ("postgres", 1) => "target 0.60",
            ("postgres", 64) => "target 0.65",
            ("postgres", 256) => "target 0.70",
            _ => "no target",
        };
        let name = format!("append_callers_{callers}");
        let note = format!("compared with batches of {callers} without the log; {bar}");
        self.figures.push(Figure::beside(self.engine, &name, rate, "events/s", ceiling, &note));
        let note = "compared with a transaction per event; target 2.5 on postgres at 64";
        self.figures.push(Figure::beside(self.engine, format!("{name}_naive"), rate, "events/s", naive, note));
        for (percentile, note) in [(50, ""), (99, "target at 256: 25 ms on sqlite, 20 ms on postgres")] {
            let name = format!("{name}_p{percentile}");
            self.figures.push(Figure::alone(self.engine, name, ours.percentile_ms(percentile), "ms", note));
        }
        Ok(())
    }

    /// Pages of 1,000 through the log, compared with scans of the same pages without the log.
    async fn read(
        &mut self,
        name: &str,
        partition: PartitionId,
        log: &dyn EventLog,
        bare: &mut dyn Bare,
    ) -> Result<(), Error> {
        (self.progress)(&format!("{}: {name}", self.engine));
        let (mut ours, mut ceilings) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ceilings.push(bare.scan(self.time()).await?);
            ours.push(load::scan(log, partition, self.time()).await?);
        }
        let bar = if self.engine == "sqlite" { "target 0.50" } else { "target 0.60" };
        let note = format!("compared with paged scans without the log; {bar}");
        let (rate, ceiling) = (median(&mut ours), median(&mut ceilings));
        self.figures.push(Figure::beside(self.engine, name, rate, "events/s", ceiling, &note));
        Ok(())
    }

    /// Reading with verification of hashes, offsets and versions, compared with reading without it.
    async fn checked(&mut self) -> Result<(), Error> {
        (self.progress)(&format!("{}: read_checked", self.engine));
        let plain = self.database("checked", 2).await?;
        let mut load = Load::new(Arc::<dyn Database>::clone(&plain), 1).await?;
        load.fill(FEW).await?;
        let checked = CheckedLog::new(Arc::clone(&plain));
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(load::scan(plain.as_ref(), load.partition(), self.time()).await?);
            with.push(load::scan(checked.as_ref(), load.partition(), self.time()).await?);
        }
        let (with, without) = (median(&mut with), median(&mut without));
        let each = (1.0 / with - 1.0 / without) * 1_000_000.0;
        let note = format!("compared with unchecked reads; {each:.2} µs per event");
        self.figures.push(Figure::beside(self.engine, "read_checked", with, "events/s", without, &note));
        Ok(())
    }

    /// 256 callers over four partitions, compared with one.
    async fn partitions(&mut self) -> Result<(), Error> {
        (self.progress)("postgres: append, 256 callers over 4 partitions");
        let mut one = Load::new(self.open("one", 5).await?, 1).await?;
        let mut four = Load::new(self.open("four", 5).await?, 4).await?;
        let (mut ones, mut fours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ones.append(&mut one.run(256, self.time()).await?.rates);
            fours.append(&mut four.run(256, self.time()).await?.rates);
        }
        let (rate, limit) = (median(&mut fours), median(&mut ones));
        let note = "compared with one partition; target 1.20";
        self.figures.push(Figure::beside(self.engine, "append_4_partitions", rate, "events/s", limit, note));
        Ok(())
    }

    /// Appends and reads with a million events in the store; appends are compared with an empty store.
    async fn million(&mut self) -> Result<(), Error> {
        (self.progress)(&format!("{}: writing 1,000,000 events twice", self.engine));
        let log = self.open("million", 2).await?;
        let mut full = Load::new(Arc::clone(&log), 1).await?;
        full.fill(MILLION).await?;
        let mut bare = self.bare("bare_million").await?;
        bare.fill(MILLION).await?;
        let bar = if self.engine == "sqlite" { "target 0.80" } else { "target 0.85" };
        for callers in [1, 64, 256] {
            (self.progress)(&format!("{}: append at 1,000,000 events, {callers} callers", self.engine));
            let mut empty = Load::new(self.open(&format!("empty_{callers}"), 2).await?, 1).await?;
            let (mut ours, mut limits) = (Run::default(), Vec::new());
            empty.run(callers, self.time()).await?;
            full.run(callers, self.time()).await?;
            for _ in 0..ROUNDS {
                limits.append(&mut empty.run(callers, self.time()).await?.rates);
                ours.add(full.run(callers, self.time()).await?);
            }
            let name = format!("append_million_callers_{callers}");
            let note = format!(
                "with 1,000,000 events, compared with an empty store; {bar}; p99 {:.2} ms",
                ours.percentile_ms(99)
            );
            let (rate, limit) = (median(&mut ours.rates), median(&mut limits));
            self.figures.push(Figure::beside(self.engine, name, rate, "events/s", limit, &note));
        }
        self.read("read_partition_million", full.partition(), log.as_ref(), bare.as_mut()).await
    }

    /// The rate after two minutes with one open snapshot, compared with the rate before.
    async fn long_reader(&mut self) -> Result<(), Error> {
        (self.progress)(&format!("{}: append with an open snapshot for two minutes", self.engine));
        let mut load = Load::new(self.open("long_reader", 2).await?, 1).await?;
        let window = Duration::from_secs(10);
        load.run(256, window).await?;
        let before = median(&mut load.run(256, window).await?.rates);
        let mut bare = self.bare_on("long_reader").await?;
        let snapshot = bare.snapshot().await?;
        load.run(256, LONG_READER - window).await?;
        let after = load.run(256, window).await?;
        drop(snapshot);
        let bar = if self.engine == "sqlite" { "target 0.60" } else { "target 0.80" };
        let note = format!("after 2 minutes, compared with before; {bar}; p99 {:.2} ms", after.percentile_ms(99));
        let rate = median(&mut after.rates.clone());
        self.figures.push(Figure::beside(self.engine, "append_long_reader", rate, "events/s", before, &note));
        Ok(())
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.options.seconds)
    }

    async fn open(&self, name: &str, partitions: u16) -> Result<Arc<dyn EventLog>, Error> {
        Ok(self.database(name, partitions).await?)
    }

    async fn database(&self, name: &str, partitions: u16) -> Result<Arc<dyn Database>, Error> {
        Ok(match &self.server {
            None => SqliteLog::open(SqliteOptions::new(self.directory.path().join(name))).await?,
            Some(server) => {
                server.create_database(name)?;
                let options = PostgresOptions { partitions, ..PostgresOptions::new(server.url(name)) };
                PostgresLog::open(options).await?
            }
        })
    }

    /// A separate store, created by the log and then written without it.
    async fn bare(&self, name: &str) -> Result<Box<dyn Bare>, Error> {
        drop(self.open(name, 2).await?);
        self.bare_on(name).await
    }

    async fn bare_on(&self, name: &str) -> Result<Box<dyn Bare>, Error> {
        Ok(match &self.server {
            None => Box::new(BareSqlite::open(&log_file(self.directory.path(), name), Rows::new())?),
            Some(server) => Box::new(BarePostgres::open(&server.url(name), Rows::new()).await?),
        })
    }
}

fn log_file(directory: &Path, name: &str) -> std::path::PathBuf {
    directory.join(name).join("log.db")
}

/// The head of a partition.
async fn head(log: &dyn EventLog, partition: PartitionId) -> Result<Offset, Error> {
    let heads = log.heads().await?;
    let head = heads.iter().find(|head| head.position.partition == partition);
    Ok(head.map_or(Offset::START, |head| head.position.offset))
}
