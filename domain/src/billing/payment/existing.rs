//! How an existing payment handles commands and events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Command, Event, RefundId, Rejection, Start, Status, Target};
use crate::billing::{Currency, payment_method::PaymentMethodId};

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// How much, in minor units.
    pub amount: i64,
    /// What became of it.
    pub(super) state: RefundState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RefundState {
    Open,
    Done,
    Failed,
}

/// Where a payment stands, without what was paid back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Started,
    ActionRequired,
    Unknown,
    Succeeded,
    Failed,
}

/// The state of a payment that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Existing {
    pub(super) target: Target,
    pub(super) amount: i64,
    pub(super) currency: Currency,
    pub(super) method: Option<PaymentMethodId>,
    pub(super) provider: Option<String>,
    pub(super) attempt: Option<u32>,
    pub(super) started_at: Option<Timestamp>,
    stage: Stage,
    pub(super) provider_ref: Option<String>,
    pub(super) failure: Option<(String, bool)>,
    refunds: BTreeMap<RefundId, Refund>,
    pub(super) reversed: i64,
}

impl Existing {
    pub(super) fn of(event: &Event) -> Option<Self> {
        let new = |target, amount, currency, stage| Self {
            target,
            amount,
            currency,
            method: None,
            provider: None,
            attempt: None,
            started_at: None,
            stage,
            provider_ref: None,
            failure: None,
            refunds: BTreeMap::new(),
            reversed: 0,
        };
        match event {
            Event::Started { target, amount, currency, method, provider, attempt, at } => Some(Self {
                method: Some(*method),
                provider: Some(provider.clone()),
                attempt: Some(*attempt),
                started_at: Some(*at),
                ..new(*target, *amount, *currency, Stage::Started)
            }),
            Event::RecordedManually { target, amount, currency, .. } => {
                Some(new(*target, *amount, *currency, Stage::Succeeded))
            }
            Event::ActionRequired {}
            | Event::OutcomeUnknown {}
            | Event::Succeeded { .. }
            | Event::Failed { .. }
            | Event::RefundStarted { .. }
            | Event::Refunded { .. }
            | Event::RefundFailed { .. }
            | Event::Reversed { .. } => None,
        }
    }

    pub(super) fn status(&self) -> Status {
        match self.stage {
            Stage::Started => Status::Processing,
            Stage::ActionRequired => Status::ActionRequired,
            Stage::Unknown => Status::Unknown,
            Stage::Failed => Status::Failed,
            Stage::Succeeded if self.reversed > 0 => Status::Reversed,
            Stage::Succeeded if self.refunded() == self.amount => Status::Refunded,
            Stage::Succeeded => Status::Succeeded,
        }
    }

    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.stage, Stage::Started | Stage::ActionRequired | Stage::Unknown)
    }

    fn sum(&self, counts: impl Fn(RefundState) -> bool) -> i64 {
        self.refunds.values().filter(|it| counts(it.state)).map(|it| it.amount).sum()
    }

    pub(super) fn refunded(&self) -> i64 {
        self.sum(|state| state == RefundState::Done)
    }

    pub(super) fn left(&self) -> i64 {
        match self.stage {
            Stage::Succeeded => self.amount - self.sum(|state| state != RefundState::Failed) - self.reversed,
            Stage::Started | Stage::ActionRequired | Stage::Unknown | Stage::Failed => 0,
        }
    }

    pub(super) fn open_refunds(&self) -> Vec<(RefundId, i64)> {
        let open = self.refunds.iter().filter(|(_, it)| it.state == RefundState::Open);
        open.map(|(id, it)| (*id, it.amount)).collect()
    }

    /// Checks that an amount can be taken back.
    fn must_be_left(&self, amount: i64) -> Result<(), Rejection> {
        match (self.stage, self.left()) {
            (Stage::Started | Stage::ActionRequired | Stage::Unknown | Stage::Failed, _) => Err(Rejection::NotPaid),
            (Stage::Succeeded, _) if amount <= 0 => Err(Rejection::NotPositive),
            (Stage::Succeeded, left) if amount > left => Err(Rejection::TooMuch(left)),
            (Stage::Succeeded, _) => Ok(()),
        }
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Start(Start { target, amount, currency, attempt, .. }) => {
                let is_same = (self.target, self.amount, self.currency, self.attempt)
                    == (*target, *amount, *currency, Some(*attempt));
                if is_same { Ok(vec![]) } else { Err(Rejection::Exists) }
            }
            Command::RecordManually { target, amount, currency, .. } => {
                let is_same =
                    (self.target, self.amount, self.currency, self.attempt) == (*target, *amount, *currency, None);
                if is_same { Ok(vec![]) } else { Err(Rejection::Exists) }
            }
            Command::RequireAction => Ok(match self.stage {
                Stage::Started | Stage::Unknown => vec![Event::ActionRequired {}],
                Stage::ActionRequired | Stage::Succeeded | Stage::Failed => vec![],
            }),
            Command::LoseOutcome => Ok(match self.stage {
                Stage::Started => vec![Event::OutcomeUnknown {}],
                Stage::ActionRequired | Stage::Unknown | Stage::Succeeded | Stage::Failed => vec![],
            }),
            // What was paid wins, even if it was given up before.
            Command::Succeed { provider_ref, at } => Ok(match self.stage {
                Stage::Succeeded => vec![],
                Stage::Started | Stage::ActionRequired | Stage::Unknown | Stage::Failed => {
                    vec![Event::Succeeded { provider_ref: provider_ref.clone(), at: *at }]
                }
            }),
            Command::Fail { code, is_final } => Ok(match self.is_in_flight() {
                true => vec![Event::Failed { code: code.clone(), is_final: *is_final }],
                false => vec![],
            }),
            Command::StartRefund { refund, .. } if self.refunds.contains_key(refund) => Ok(vec![]),
            Command::StartRefund { refund, amount, credit_note } => {
                self.must_be_left(*amount)?;
                let (refund, amount, currency, credit_note) = (*refund, *amount, self.currency, *credit_note);
                Ok(vec![Event::RefundStarted { refund, amount, currency, credit_note }])
            }
            Command::FinishRefund { refund, provider_ref } => match self.refunds.get(refund) {
                None => Err(Rejection::NoRefund),
                Some(Refund { state: RefundState::Done, .. }) => Ok(vec![]),
                Some(_) => Ok(vec![Event::Refunded { refund: *refund, provider_ref: provider_ref.clone() }]),
            },
            Command::FailRefund { refund, code } => match self.refunds.get(refund) {
                None => Err(Rejection::NoRefund),
                Some(Refund { state: RefundState::Open, .. }) => {
                    Ok(vec![Event::RefundFailed { refund: *refund, code: code.clone() }])
                }
                Some(_) => Ok(vec![]),
            },
            Command::Reverse { amount, reason } => {
                let amount = amount.unwrap_or_else(|| self.left());
                if self.reversed > 0 && self.left() == 0 {
                    return Ok(vec![]);
                }
                self.must_be_left(amount)?;
                Ok(vec![Event::Reversed { amount, currency: self.currency, reason: reason.clone() }])
            }
        }
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        let mut set = |refund: &RefundId, state| {
            if let Some(refund) = self.refunds.get_mut(refund) {
                refund.state = state;
            }
        };
        match event {
            Event::Started { .. } | Event::RecordedManually { .. } => {}
            Event::ActionRequired {} => self.stage = Stage::ActionRequired,
            Event::OutcomeUnknown {} => self.stage = Stage::Unknown,
            Event::Succeeded { provider_ref, .. } => {
                (self.stage, self.failure) = (Stage::Succeeded, None);
                self.provider_ref = Some(provider_ref.clone());
            }
            Event::Failed { code, is_final } => {
                (self.stage, self.failure) = (Stage::Failed, Some((code.clone(), *is_final)));
            }
            Event::RefundStarted { refund, amount, .. } => {
                self.refunds.insert(*refund, Refund { amount: *amount, state: RefundState::Open });
            }
            Event::Refunded { refund, .. } => set(refund, RefundState::Done),
            Event::RefundFailed { refund, .. } => set(refund, RefundState::Failed),
            Event::Reversed { amount, .. } => self.reversed += amount,
        }
    }
}
