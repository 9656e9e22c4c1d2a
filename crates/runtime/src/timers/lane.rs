//! Lanes: timers that are carried out on one node at a time, at a bounded rate.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::{
    task::JoinSet,
    time::{Instant, interval_at, sleep},
};

use super::{
    Parts, Timer,
    attempt::by_organization,
    worker::{Inner, LANE_PAUSE, PAUSE, Until},
};

/// Maximum timers of lanes per turn, and how long a turn lasts.
pub(super) const LANE_ROUND: usize = 500;
const LANE_TURN: Duration = Duration::from_secs(5);
/// Maximum timers of a lane at a time.
const LANE_AT_ONCE: usize = 16;

impl Inner {
    pub(super) fn lane(&self, timer: &Timer) -> Option<String> {
        self.handler(timer).and_then(|it| it.lane(timer))
    }

    /// Begins a turn in each lane.
    pub(super) fn take_turns(self: &Arc<Self>, timers: Vec<Timer>, until: &Until, turns: &mut JoinSet<()>) {
        let until = until.at_most(LANE_TURN);
        let mut lanes = BTreeMap::<_, Vec<Timer>>::new();
        for timer in timers {
            if let Some(lane) = self.lane(&timer) {
                lanes.entry(lane).or_default().push(timer);
            }
        }
        for (lane, timers) in lanes {
            #[expect(clippy::disallowed_methods, reason = "its worker waits for it")]
            turns.spawn(Arc::clone(self).carry_out_lane(lane, timers, until.clone()));
        }
    }

    /// Carries out timers, while no other worker works the lane, on any node: one by one within an organization, several at
    /// a time between organizations. They meet only where they append.
    async fn carry_out_lane(self: Arc<Self>, lane: String, timers: Vec<Timer>, until: Until) {
        let Some(_own) = OwnLane::take(&self.parts, &lane) else { return sleep(LANE_PAUSE).await };
        let name = format!("lane {lane}");
        match self.parts.database.hold(&name, &self.lease).await {
            Ok(true) => {}
            Ok(false) => return sleep(LANE_PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, lane, "the lease of a lane could not be taken: will retry");
                return sleep(PAUSE).await;
            }
        }
        let apart = Duration::from_secs(1) / self.parts.policy.lane_rate.max(1);
        let starts = &tokio::sync::Mutex::new(interval_at(Instant::now() + apart, apart));
        let work = async |timers: Vec<Timer>| {
            for timer in timers {
                starts.lock().await.tick().await;
                if until.is_over() {
                    return;
                }
                self.attempt(&timer).await;
            }
        };
        stream::iter(by_organization(timers)).for_each_concurrent(LANE_AT_ONCE, work).await;
        if let Err(error) = self.parts.database.release(&name, &self.lease.holder).await {
            tracing::warn!(%error, lane, "the lease of a lane expires later");
        }
    }
}

/// A lane that no other worker of this node works.
struct OwnLane<'a> {
    parts: &'a Parts,
    lane: &'a str,
}

impl<'a> OwnLane<'a> {
    fn take(parts: &'a Parts, lane: &'a str) -> Option<Self> {
        let is_free = parts.lanes.lock().unwrap_or_else(PoisonError::into_inner).insert(lane.to_owned());
        // Made only if it is taken: dropping one frees the lane.
        if is_free { Some(Self { parts, lane }) } else { None }
    }
}

impl Drop for OwnLane<'_> {
    fn drop(&mut self) {
        self.parts.lanes.lock().unwrap_or_else(PoisonError::into_inner).remove(self.lane);
    }
}
