//! Folding read models: from an empty table, and into tables in use.

use porttask_projections::models;
use porttask_runtime::log::{EventLog, Offset, PartitionId};
use std::time::{Duration, Instant};

use crate::{
    Error, Figure, Options,
    store::{Place, Store},
};

/// Measures both engines, or the chosen one.
pub(crate) async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    if options.figure.as_deref().is_some_and(|wanted| !"fold_from_nothing fold_live".contains(wanted)) {
        return Ok(figures);
    }
    for engine in Place::engines(options)? {
        let events = if engine == "sqlite" { 1_000_000 } else { 400_000 };
        let events = if options.quick { events / 10 } else { events };
        let Place { engine, directory, server } = Place::of(engine, options)?;
        let store = Store::open(server.as_ref(), directory.path(), 2).await?;
        progress(&format!("{engine}: recording {events} events"));
        let organization = store.fill(events).await?;
        progress(&format!("{engine}: folding {events} events into empty tables"));
        let views = store.views(server.as_ref(), directory.path()).await?;
        let home = store.log.partition_of(organization).await?.ok_or("the organization has no partition")?;
        let reading = read(store.log.as_ref(), home).await?;

        let start = Instant::now();
        views.rebuild_all(&|_| ()).await?;
        let rate = events as f64 / start.elapsed().as_secs_f64();
        let bar = if engine == "sqlite" { 50_000 } else { 35_000 };
        let note = format!(
            "{events} events into all models, indexes built afterwards; compared with reading them; target {bar}/s"
        );
        figures.push(Figure::beside(engine, "fold_from_nothing", rate, "events/s", reading, &note));

        progress(&format!("{engine}: folding into tables with indexes"));
        let more = events / 10;
        store.add(organization, more).await?;
        let head = store.log.heads().await?.into_iter().find(|it| it.position.partition == home);
        let position = head.ok_or("the partition has no head")?.position;
        let start = Instant::now();
        views.run();
        for model in models() {
            if !views.wait_for(model.table().name, position, Duration::from_secs(600)).await? {
                return Err(format!("{} did not catch up: {:?}", model.table().name, views.status()).into());
            }
        }
        let rate = more as f64 / start.elapsed().as_secs_f64();
        let note =
            format!("at {events} events, all models with their indexes; compared with reading them; target 15000/s");
        figures.push(Figure::beside(engine, "fold_live", rate, "events/s", reading, &note));
    }
    Ok(figures)
}

/// Events per second when a partition is read once, in the page size of folding.
async fn read(log: &dyn EventLog, partition: PartitionId) -> Result<f64, Error> {
    let (start, mut after, mut count) = (Instant::now(), Offset::START, 0);
    loop {
        let page = log.read_partition(partition, after, 4_096).await?;
        let Some(last) = page.last() else { break };
        after = last.position.offset;
        count += page.len();
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
