//! The invoices of an organization: charges, transfers, reminders, and what staff does with some of them.

use jiff::Timestamp;
use porttask_app::billing::{
    invoices::{collecting, issuing, settling},
    payments,
};
use porttask_domain::{
    Actor, Meta, OrganizationId, Reason, UserId,
    billing::{
        BillingAccount, Currency, Invoice, Payment, PaymentMethods,
        billing_account::{self, AccountPatch, BillingAccountId, BillingContactId, BuyerId, Collection, NewPersons},
        billing_document::{CreditNoteId, InvoiceId},
        credit_note::CreditReason,
        invoice::{self, Command, CreditedLine, ManualLine, Step},
        payment::{self, PaymentId, Start, Target},
        settlement::{self, State},
    },
    uuid_of,
};
use porttask_runtime::{
    execute::{ExecuteError, Outcome, OutcomeEvent, Request, Tx},
    ports::payments::ChargeOutcome,
};
use rust_decimal::Decimal;
use serde_json::json;
use uuid::Uuid;

use super::{Site, Task};
use crate::{
    bills::{BillStep, Part, Payer},
    build::{Error, set},
    plan::DAY,
};

/// What is due of the invoices of an organization.
#[derive(Default)]
pub(super) struct Bills {
    /// The issued ones, the oldest first.
    issued: Vec<InvoiceId>,
    /// The next step to collect each that is open.
    dunning: Vec<(InvoiceId, Timestamp)>,
    /// The transfers that will arrive.
    transfers: Vec<(InvoiceId, Timestamp, Part)>,
}

impl Bills {
    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let dunning = self.dunning.iter().map(|(_, at)| *at);
        dunning.chain(self.transfers.iter().map(|(_, at, _)| *at)).min()
    }

    /// Remembers what an event leads to; returns what happens at once.
    pub(super) fn learn(&mut self, event: &OutcomeEvent, payer: Payer, now: Timestamp) -> Option<Task> {
        let porttask_domain::DomainEvent::Invoice(invoice) = &event.event else { return None };
        let id = InvoiceId(uuid_of(event.stream.name.id())?);
        let plan = |bills: &mut Self, next: Option<&invoice::Dunning>| {
            bills.dunning.retain(|(known, _)| *known != id);
            bills.dunning.extend(next.map(|next| (id, next.at)));
        };
        match invoice {
            invoice::Event::Issued { collection, document, dunning, .. } => {
                self.issued.push(id);
                plan(self, dunning.first());
                match (*collection, payer) {
                    _ if document.totals.total == 0 => None,
                    (Collection::Automatic, _) => Some(Task::Charge(id, 1)),
                    (Collection::Invoice { .. }, Payer::Transfer { after, until }) => {
                        self.transfers.extend((now < until).then_some((id, now + after, Part::Whole)));
                        None
                    }
                    (Collection::Invoice { .. }, _) => {
                        self.transfers.extend([(id, now + DAY * 14, Part::First), (id, now + DAY * 25, Part::Rest)]);
                        None
                    }
                }
            }
            invoice::Event::Dunned { step, stage, rest } => {
                plan(self, rest.first());
                (*step == Step::Charge).then_some(Task::Charge(id, 1 + stage))
            }
            invoice::Event::BalanceApplied { due, .. }
            | invoice::Event::PaymentRecorded { due, .. }
            | invoice::Event::Credited { due, .. } => {
                if *due == 0 {
                    plan(self, None);
                }
                None
            }
            invoice::Event::PaymentReversed { .. }
            | invoice::Event::Voided { .. }
            | invoice::Event::MarkedUncollectible { .. } => {
                plan(self, None);
                None
            }
            invoice::Event::Drafted { .. }
            | invoice::Event::DraftChanged { .. }
            | invoice::Event::DraftDiscarded {}
            | invoice::Event::BuiltOn { .. }
            | invoice::Event::CreditReturned { .. }
            | invoice::Event::PdfStored { .. } => None,
        }
    }
}

impl Site {
    /// Carries out what is due of invoices at an instant; `false` if nothing is.
    pub(super) async fn reach_bills(&mut self, due: Timestamp) -> Result<bool, Error> {
        set(&self.clock, due);
        if let Some(place) = self.bills.transfers.iter().position(|(_, at, _)| *at == due) {
            let (id, _, part) = self.bills.transfers.remove(place);
            self.transfer(id, part).await?;
            return Ok(true);
        }
        let Some(place) = self.bills.dunning.iter().position(|(_, at)| *at == due) else { return Ok(false) };
        let (id, _) = self.bills.dunning.remove(place);
        let request = self.settling(Meta::by(Actor::System));
        let dun = move |tx: Tx| async move { collecting::dun(&tx, id).await };
        let outcome = self.executor.transact(&request, dun).await?;
        self.follow(outcome).await?;
        Ok(true)
    }

    /// Charges the card of the organization for an invoice.
    pub(super) async fn charge(&self, id: InvoiceId, attempt: u32) -> Result<Outcome, Error> {
        let place = self.bills.issued.iter().position(|known| *known == id).unwrap_or_default();
        let pays = self.payer().pays(self.clock.now(), attempt, place);
        let request = self.settling(Meta::by(Actor::System));
        let charge = move |tx: Tx| async move {
            let invoice: Invoice = tx.read(id).await?;
            let methods: PaymentMethods = tx.read(tx.request().organization.into()).await?;
            let issued = invoice.existing().and_then(|it| it.issued()).filter(|it| it.due() > 0);
            let (Some(issued), Some((method, known))) = (issued, methods.usable()) else { return Ok(()) };
            let (amount, currency, provider) = (issued.due(), issued.document.currency, known.details.provider.clone());
            let (target, now) = (Target::Invoice(id.0), tx.now());
            let payment = PaymentId::of(target, attempt);
            let start = Start { target, amount, currency, method, provider, attempt, now };
            tx.decide::<Payment>(payment, &payment::Command::Start(start)).await?;
            let outcome = match pays {
                true => ChargeOutcome::Succeeded { provider_ref: format!("sim_{payment}") },
                false => ChargeOutcome::Failed { code: "insufficient_funds".to_owned(), is_final: false },
            };
            payments::record(&tx, payment, &outcome).await
        };
        Ok(self.executor.transact::<_, ExecuteError, _>(&request, charge).await?)
    }

    /// A transfer arrives, and staff records it.
    async fn transfer(&mut self, id: InvoiceId, part: Part) -> Result<(), Error> {
        let payment: PaymentId = self.random.id(self.clock.now());
        let request = self.by_staff();
        let pay = move |tx: Tx| async move {
            let invoice: Invoice = tx.read(id).await?;
            let Some(issued) = invoice.existing().and_then(|it| it.issued()) else { return Ok(()) };
            let (due, number, today) = (issued.due(), issued.document.number.clone(), issuing::today(&tx).await?);
            let (amount, reference) = match part {
                Part::Whole => (due, number),
                Part::First => (due * 3 / 5, number),
                Part::Rest => (due + 5_000, format!("{number} rest")),
            };
            if due == 0 {
                return Ok(());
            }
            let (paid_on, allow_duplicate) = (today, false);
            let pay = Command::MarkPaid { payment, amount, reference, paid_on, allow_duplicate, today };
            settling::mark_paid(&tx, id, &pay).await
        };
        let outcome = self.executor.transact::<_, ExecuteError, _>(&request, pay).await?;
        self.follow(outcome).await
    }

    /// A request of a super admin about invoices.
    pub(super) fn by_staff(&self) -> Request {
        let user: UserId = self.staff[self.done % self.staff.len()];
        self.settling(Meta::by(Actor::User { organization: OrganizationId::PLATFORM, user }))
    }

    /// Staff does something with the invoices of the organization, if there is one of that kind.
    pub(super) async fn bill_step(&mut self, step: BillStep, at: Timestamp) -> Result<(), Error> {
        let id: Uuid = self.random.id(at);
        match step {
            BillStep::ByTransfer => {
                let account = BillingAccountId::from(self.plan.organization);
                let to = billing_account::Command::ChangeCollection(Collection::Invoice { days: 30 });
                let request = self.by_staff();
                let outcome = self.executor.execute::<BillingAccount>(account, to, &request).await?;
                self.follow(outcome).await
            }
            BillStep::Workshop => self.by_hand(InvoiceId(id), at, false).await,
            BillStep::Duplicate => self.by_hand(InvoiceId(id), at, true).await,
            BillStep::Goodwill => self.credit(CreditNoteId(id)).await,
            BillStep::Correct => self.correct(InvoiceId(id)).await,
            BillStep::Chargeback => self.charge_back().await,
            BillStep::PayDisputed => match self.last(|it| it.due() > 0 && !it.payments.is_empty()).await? {
                Some(disputed) => self.transfer(disputed, Part::Whole).await,
                None => Ok(()),
            },
        }
    }

    /// The last invoice of a kind that is wanted.
    async fn last(&self, wanted: impl Fn(&invoice::IssuedInvoice) -> bool) -> Result<Option<InvoiceId>, Error> {
        for id in self.bills.issued.iter().rev() {
            let (state, _) = self.executor.load::<Invoice>(self.plan.organization, *id).await?;
            if state.existing().and_then(|it| it.issued()).is_some_and(&wanted) {
                return Ok(Some(*id));
            }
        }
        Ok(None)
    }

    /// An invoice that staff drafts and issues, and voids if it is one too many.
    async fn by_hand(&mut self, id: InvoiceId, at: Timestamp, is_voided: bool) -> Result<(), Error> {
        let currency: Currency = "EUR".parse().map_err(|_| Error::Text("EUR is no currency".to_owned()))?;
        let on = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let line = ManualLine {
            description: "Workshop: port calls and service orders, half a day".to_owned(),
            quantity: 2,
            unit_price: Decimal::from(480),
            from: on,
            until: on.tomorrow().unwrap_or(on),
        };
        let draft = &Command::Draft { currency, lines: vec![line] };
        let request = self.by_staff();
        let issue = move |tx: Tx| async move {
            tx.decide_new::<Invoice>(id, draft).await?;
            settling::issue_draft(&tx, id).await
        };
        let outcome = self.executor.transact(&request, issue).await?;
        if !is_voided {
            return self.follow(outcome).await;
        }
        // Before it is charged or paid.
        self.learn(&outcome);
        self.bills.transfers.retain(|(of, ..)| *of != id);
        let (note, reason) = (settling::note_of(id, "void"), &Reason::new("Issued twice")?);
        let void = move |tx: Tx| async move {
            let invoice: Invoice = tx.read(id).await?;
            // The balance may have paid it at once.
            let is_open = invoice.existing().and_then(|it| it.issued());
            match is_open.is_some_and(|it| it.settlement.state == State::Open) {
                true => settling::void(&tx, id, note, reason.clone()).await,
                false => Ok(()),
            }
        };
        let outcome = self.executor.transact::<_, ExecuteError, _>(&request, void).await?;
        self.follow(outcome).await
    }

    /// A fifth of the first line of the last invoice is credited.
    async fn credit(&mut self, note: CreditNoteId) -> Result<(), Error> {
        let wanted = |it: &invoice::IssuedInvoice| {
            it.credited.is_empty()
                && it.settlement.state == State::Paid
                && it.document.lines.iter().all(|line| line.net > 0)
        };
        let Some(id) = self.last(wanted).await? else { return Ok(()) };
        let (state, _) = self.executor.load::<Invoice>(self.plan.organization, id).await?;
        let line = state.existing().and_then(|it| it.issued()).and_then(|it| it.document.lines.first().cloned());
        let Some(line) = line else { return Ok(()) };
        let lines = &[CreditedLine { line: line.id, net: line.net / 5 }];
        let request = self.by_staff();
        let credit = move |tx: Tx| async move {
            let why = (CreditReason::Goodwill, settlement::Target::Balance);
            settling::credit(&tx, id, note, lines, why).await
        };
        let outcome = self.executor.transact(&request, credit).await?;
        self.follow(outcome).await
    }

    /// The last invoice lacked a purchase order.
    async fn correct(&mut self, new: InvoiceId) -> Result<(), Error> {
        let wanted =
            |it: &invoice::IssuedInvoice| it.credited.is_empty() && it.settlement.state == State::Paid && it.due() == 0;
        let Some(id) = self.last(wanted).await? else { return Ok(()) };
        let organization = self.plan.organization;
        let patch = json!({"purchase_order": "PO-2026-118"});
        let patch: AccountPatch = serde_json::from_value(patch).map_err(|error| Error::Text(error.to_string()))?;
        let of = |number: u128| Uuid::from_u128(organization.0.as_u128() ^ number);
        let persons = NewPersons { buyer: BuyerId(of(1)), contact: BillingContactId(of(2)) };
        let change = &billing_account::Command::Change { patch: Box::new(patch), new: persons };
        let (note, request) = (settling::note_of(id, "correction"), self.by_staff());
        let correct = move |tx: Tx| async move {
            tx.decide::<BillingAccount>(BillingAccountId::from(organization), change).await?;
            settling::correct(&tx, id, note, new).await
        };
        let outcome = self.executor.transact(&request, correct).await?;
        self.follow(outcome).await
    }

    /// The bank of the organization takes back what its card paid.
    async fn charge_back(&mut self) -> Result<(), Error> {
        let organization = self.plan.organization;
        for id in self.bills.issued.clone().into_iter().rev() {
            let (state, _) = self.executor.load::<Invoice>(organization, id).await?;
            let Some(issued) = state.existing().and_then(|it| it.issued()) else { continue };
            let held = issued.payments.iter().find(|(_, held)| **held > 0 && issued.credited.is_empty());
            let Some(payment) = held.map(|(payment, _)| *payment) else { continue };
            let reason = "fraudulent, says the cardholder".to_owned();
            let reverse = &payment::Command::Reverse { amount: None, reason };
            let request = self.by_staff();
            let reverse = move |tx: Tx| async move { settling::reverse(&tx, payment, reverse).await };
            let outcome = self.executor.transact(&request, reverse).await?;
            return self.follow(outcome).await;
        }
        Ok(())
    }
}
