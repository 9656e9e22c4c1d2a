//! Mails about usage.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    billing::{
        Subscription, UsageMonth,
        usage_month::{Event, UsageMonthId},
    },
};
use porttask_runtime::{reactors::TaskError, tasks::Task};

use super::{recipients::Recipients, texts::Message};
use crate::mail::{Draft, Mails};

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// A share of a limit is reached.
        ThresholdReached = "usage_threshold_reached",
    }
}

pub(super) struct UsageMails(pub(super) Arc<Recipients>);

#[async_trait]
impl Mails for UsageMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, _: OrganizationId) -> Vec<Kind> {
        match event {
            Event::ThresholdReached { .. } => vec![Kind::ThresholdReached],
            Event::ApiCallsCounted { .. } | Event::AverageMeasured { .. } => Vec::new(),
        }
    }

    async fn compose(&self, kind: Kind, task: &Task, now: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let Kind::ThresholdReached = kind;
        let (home, id) = (task.organization, UsageMonthId(task.subject));
        let event = self.0.event::<UsageMonth>(task, id).await?;
        let Some(Event::ThresholdReached { meter, share, used, limit }) = event else { return Ok(Vec::new()) };
        let (subscription, _) = self.0.executor.load::<Subscription>(home, home.into()).await?;
        // Of a month that is over, there is nothing to be done.
        let month = subscription.usage_month(now).ok().flatten();
        let Some(month) = month.filter(|month| UsageMonthId::new(home, month.from) == id) else {
            return Ok(Vec::new());
        };
        let message = Message::ThresholdReached { meter, share, used, limit, resets_on: month.until };
        self.0.drafts(home, &message).await
    }
}
