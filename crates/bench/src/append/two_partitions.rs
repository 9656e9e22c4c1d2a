//! Appends to the partitions of an organization and of the platform at once, beside ordinary appends to the
//! organization's partition.

use std::time::Duration;

use porttask_infra::log::postgres::{PostgresLog, PostgresOptions};

use super::{
    Bench, ROUNDS,
    delay::Delay,
    load::{Load, Run, median},
};
use crate::{Error, Figure};

/// The number of callers of ordinary appends.
const ORDINARY: usize = 64;
/// The added delay in each direction.
const DELAY: Duration = Duration::from_millis(1);

impl Bench<'_> {
    /// Over the machine's own network, and over one with a delay.
    pub(super) async fn two_partitions(&mut self) -> Result<(), Error> {
        for (suffix, delay, network) in [("", None, ""), ("_delayed", Some(DELAY), "with 1 ms of delay each way, ")] {
            let name = |callers| format!("append_two_partitions_{callers}{suffix}");
            let is_wanted = |name: String| self.wants(&format!("{name} {name}_p50 {name}_ordinary"));
            let wanted: Vec<usize> = [1, 8, 64].into_iter().filter(|callers| is_wanted(name(*callers))).collect();
            if wanted.is_empty() {
                continue;
            }
            let server = self.server.as_ref().ok_or("two partitions require PostgreSQL")?;
            let database = format!("two_partitions{suffix}");
            server.create_database(&database)?;
            let mut url = server.url(&database);
            let delay = match delay {
                Some(delay) => Some(Delay::start(server.port(), delay).await?),
                None => None,
            };
            if let Some(delay) = &delay {
                url = url.replace(&format!(":{}/", server.port()), &format!(":{}/", delay.port()));
            }
            let options = PostgresOptions { partitions: 2, ..PostgresOptions::new(url) };
            let mut ordinary = Load::new(PostgresLog::open(options).await?, 1).await?;
            let mut both = ordinary.two_partitions()?;
            for callers in wanted {
                self.beside(&name(callers), network, callers, &mut ordinary, &mut both).await?;
            }
        }
        Ok(())
    }

    /// Both kinds of appends at once, compared with each alone.
    async fn beside(
        &mut self,
        name: &str,
        network: &str,
        callers: usize,
        ordinary: &mut Load,
        both: &mut Load,
    ) -> Result<(), Error> {
        (self.progress)(&format!("postgres: {name}"));
        let time = self.time();
        let (mut ordinary_alone, mut ordinary_beside) = (Run::default(), Run::default());
        let (mut both_alone, mut both_beside) = (Run::default(), Run::default());
        tokio::try_join!(ordinary.run(ORDINARY, time / 2), both.run(callers, time / 2))?;
        for _ in 0..ROUNDS {
            ordinary_alone.add(ordinary.run(ORDINARY, time).await?);
            both_alone.add(both.run(callers, time).await?);
            let (one, two) = tokio::try_join!(ordinary.run(ORDINARY, time), both.run(callers, time))?;
            ordinary_beside.add(one);
            both_beside.add(two);
        }
        let note = format!("{network}beside {ORDINARY} ordinary callers, compared with two-partition appends alone");
        let (rate, limit) = (median(&mut both_beside.rates), median(&mut both_alone.rates));
        self.figures.push(Figure::beside(self.engine, name, rate, "appends/s", limit, &note));
        let p50 = both_beside.percentile_ms(50);
        self.figures.push(Figure::alone(self.engine, format!("{name}_p50"), p50, "ms", ""));
        let note = format!(
            "{network}{ORDINARY} ordinary callers beside {callers} of two-partition appends, compared with alone; target \
             0.80; p99 {:.2} ms, alone {:.2} ms",
            ordinary_beside.percentile_ms(99),
            ordinary_alone.percentile_ms(99)
        );
        let (rate, limit) = (median(&mut ordinary_beside.rates), median(&mut ordinary_alone.rates));
        let name = format!("{name}_ordinary");
        self.figures.push(Figure::beside(self.engine, name, rate, "appends/s", limit, &note));
        Ok(())
    }
}
