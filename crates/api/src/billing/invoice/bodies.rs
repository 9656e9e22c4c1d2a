//! An invoice in responses.

use jiff::{Timestamp, civil::Date};
use porttask_domain::{
    OrganizationId,
    billing::{
        BillingAccount,
        billing_account::Collection,
        billing_document::{
            Address, CreditNoteId, InvoiceId, Issued, Line, LineKind, LineSource, LineTax, Name, TaxGroup,
        },
        invoice::{Existing, InvoiceKind, ManualLine, Step},
        payment::PaymentId,
        settlement::State,
        tax::{Category, Treatment},
        terms::Meter,
    },
};
use porttask_projections::billing::invoice as view;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The status of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InvoiceStatus {
    /// A super admin prepares it.
    Draft,
    /// Something is due.
    Open,
    /// Nothing is due.
    Paid,
    /// Canceled.
    Void,
    /// No longer expected to be paid.
    Uncollectible,
    /// A draft that was not issued.
    Discarded,
}

impl From<InvoiceStatus> for view::Status {
    fn from(status: InvoiceStatus) -> Self {
        match status {
            InvoiceStatus::Draft => Self::Draft,
            InvoiceStatus::Open => Self::Open,
            InvoiceStatus::Paid => Self::Paid,
            InvoiceStatus::Void => Self::Void,
            InvoiceStatus::Uncollectible => Self::Uncollectible,
            InvoiceStatus::Discarded => Self::Discarded,
        }
    }
}

impl From<view::Status> for InvoiceStatus {
    fn from(status: view::Status) -> Self {
        match status {
            view::Status::Draft => Self::Draft,
            view::Status::Open => Self::Open,
            view::Status::Paid => Self::Paid,
            view::Status::Void => Self::Void,
            view::Status::Uncollectible => Self::Uncollectible,
            view::Status::Discarded => Self::Discarded,
        }
    }
}

/// An invoice, in a list. Amounts are minor units of `currency`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invoice)]
pub(crate) struct InvoiceResponse {
    pub(super) id: InvoiceId,
    pub(super) organization: OrganizationId,
    pub(super) status: InvoiceStatus,
    pub(super) kind: InvoiceKind,
    /// Null for a draft.
    #[schema(example = "PT-2026-000001")]
    pub(super) number: Option<String>,
    #[schema(format = Date)]
    pub(super) issue_date: Option<String>,
    #[schema(format = Date)]
    pub(super) due_date: Option<String>,
    #[schema(example = "EUR")]
    pub(super) currency: String,
    /// Without tax.
    pub(super) net: u64,
    pub(super) tax: u64,
    /// With tax.
    pub(super) total: u64,
    pub(super) due: u64,
    /// Whether the PDF can be downloaded.
    pub(super) has_pdf: bool,
    /// The next step of its collection; null if none is planned.
    pub(super) next_step: Option<String>,
    pub(super) next_step_at: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    /// The version: the ETag.
    pub(super) version: u64,
}

impl From<view::Invoice> for InvoiceResponse {
    fn from(row: view::Invoice) -> Self {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            id: row.invoice,
            organization: row.organization,
            status: row.status.into(),
            kind: row.kind,
            number: given(row.invoice_number),
            issue_date: given(row.issue_date),
            due_date: given(row.due_date),
            currency: row.currency,
            net: row.net,
            tax: row.tax,
            total: row.total,
            due: row.due,
            has_pdf: !row.pdf.is_empty(),
            next_step: row.next_step,
            next_step_at: row.next_step_at,
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// A postal address on a document. What was erased is empty.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentAddress {
    street: Vec<String>,
    postcode: String,
    city: String,
    region: Option<String>,
    /// ISO 3166-1, two letters.
    country: String,
}

impl From<&Address> for DocumentAddress {
    fn from(address: &Address) -> Self {
        let Address { street, postcode, city, region, country } = address.clone();
        Self { street: street.iter().map(text).collect(), postcode, city, region, country }
    }
}

fn text(name: &Name) -> String {
    name.text().unwrap_or_default().to_owned()
}

/// Who sells or buys, as of the issue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentParty {
    legal_name: String,
    address: DocumentAddress,
    vat_id: Option<String>,
}

/// Where a line comes from: an event, or metered use.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LineSourceBody {
    /// An event.
    Event {
        /// The aggregate, such as `sub_…`.
        stream: String,
        /// The version that the event gave it.
        version: u64,
    },
    /// Metered use.
    Usage {
        meter: Meter,
        #[schema(value_type = String, format = Date)]
        from: Date,
        /// The date after the last one.
        #[schema(value_type = String, format = Date)]
        until: Date,
        /// What was counted.
        count: u64,
        /// What the plan includes.
        included: u64,
        /// What was billed before; of late use only.
        billed: u64,
    },
}

impl From<&LineSource> for LineSourceBody {
    fn from(source: &LineSource) -> Self {
        match source.clone() {
            LineSource::Event { stream, version } => Self::Event { stream, version },
            LineSource::Usage { meter, from, until, count, included, billed } => {
                Self::Usage { meter, from, until, count, included, billed }
            }
        }
    }
}

/// How lines are taxed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineTaxBody {
    /// As EN 16931 codes it.
    category: Category,
    /// In percent.
    #[schema(example = "19")]
    rate: String,
    /// Why there is no tax, as VATEX codes it.
    #[schema(example = "VATEX-EU-AE")]
    reason: Option<String>,
}

impl From<&LineTax> for LineTaxBody {
    fn from(tax: &LineTax) -> Self {
        Self { category: tax.category, rate: tax.rate.to_string(), reason: tax.reason.clone() }
    }
}

/// A line of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentLine {
    id: u32,
    kind: LineKind,
    /// The name of the plan; empty for a line by hand.
    plan: String,
    plan_version: u32,
    /// Of a line by hand.
    description: String,
    #[schema(value_type = String, format = Date)]
    from: Date,
    /// The date after the last one.
    #[schema(value_type = String, format = Date)]
    until: Date,
    /// How many days of the period it is for.
    days: i64,
    of_days: i64,
    quantity: i64,
    /// Minor units, possibly with a fraction.
    unit_price: String,
    /// Before discounts.
    gross: i64,
    discount: i64,
    /// After discounts, without tax.
    net: i64,
    tax: LineTaxBody,
    /// The invoice whose line it credits.
    credits: Option<InvoiceId>,
    sources: Vec<LineSourceBody>,
}

impl From<&Line> for DocumentLine {
    fn from(line: &Line) -> Self {
        Self {
            id: line.id,
            kind: line.kind,
            plan: line.plan.clone(),
            plan_version: line.version,
            description: line.description.clone(),
            from: line.from,
            until: line.until,
            days: line.days,
            of_days: line.of_days,
            quantity: line.quantity,
            unit_price: line.unit_price.normalize().to_string(),
            gross: line.gross,
            discount: line.discount,
            net: line.net,
            tax: (&line.tax).into(),
            credits: line.credits.map(|it| it.invoice),
            sources: line.sources.iter().map(Into::into).collect(),
        }
    }
}

/// The tax of all lines that are taxed alike.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentTaxGroup {
    tax: LineTaxBody,
    /// Their sum without tax.
    taxable: i64,
    amount: i64,
}

impl From<&TaxGroup> for DocumentTaxGroup {
    fn from(group: &TaxGroup) -> Self {
        Self { tax: (&group.tax).into(), taxable: group.taxable, amount: group.amount }
    }
}

/// What an issued document says. Amounts are minor units of `currency`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedBody {
    number: String,
    #[schema(value_type = String, format = Date)]
    issue_date: Date,
    #[schema(value_type = String, format = Date)]
    due_date: Date,
    currency: String,
    seller: DocumentParty,
    buyer: DocumentParty,
    treatment: Treatment,
    lines: Vec<DocumentLine>,
    groups: Vec<DocumentTaxGroup>,
    /// Without tax.
    net: i64,
    tax: i64,
    /// With tax.
    total: i64,
}

impl From<&Issued> for IssuedBody {
    fn from(issued: &Issued) -> Self {
        let seller = DocumentParty {
            legal_name: issued.seller.legal_name.clone(),
            address: (&issued.seller.address).into(),
            vat_id: Some(issued.seller.vat_id.clone()),
        };
        let buyer = DocumentParty {
            legal_name: text(&issued.buyer.legal_name),
            address: (&issued.buyer.address).into(),
            vat_id: issued.buyer.vat_id.clone(),
        };
        Self {
            number: issued.number.clone(),
            issue_date: issued.issue_date,
            due_date: issued.due_date,
            currency: issued.currency.to_string(),
            seller,
            buyer,
            treatment: issued.treatment,
            lines: issued.lines.iter().map(Into::into).collect(),
            groups: issued.groups.iter().map(Into::into).collect(),
            net: issued.totals.net,
            tax: issued.totals.tax,
            total: issued.totals.total,
        }
    }
}

/// A step of collection that is planned.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlannedStep {
    step: Step,
    at: Timestamp,
}

/// A payment of an invoice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoicePayment {
    payment: PaymentId,
    /// What the invoice holds of it.
    amount: i64,
}

/// An invoice with its lines and what became of it. Amounts are minor units of its currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoiceDetail {
    id: InvoiceId,
    organization: OrganizationId,
    status: InvoiceStatus,
    currency: Option<String>,
    /// The lines of a draft; null once it is issued.
    lines: Option<Vec<ManualLine>>,
    kind: Option<InvoiceKind>,
    /// How many days it may be paid by transfer; null if the payment method is charged.
    payment_days: Option<u16>,
    /// What it says; null for a draft.
    issued: Option<IssuedBody>,
    due: i64,
    /// Whether it is past its due date in the time zone of the seller.
    is_overdue: bool,
    paid: i64,
    from_balance: i64,
    credited: i64,
    payments: Vec<InvoicePayment>,
    credit_notes: Vec<CreditNoteId>,
    /// The invoice that it replaces.
    replaces: Option<InvoiceId>,
    /// What is planned while it is not paid.
    collection: Vec<PlannedStep>,
    has_pdf: bool,
    /// The balance of the organization in this currency.
    balance: i64,
    /// The version: the ETag.
    version: u64,
}

impl InvoiceDetail {
    pub(super) fn new(
        organization: OrganizationId,
        id: InvoiceId,
        existing: &Existing,
        account: &BillingAccount,
        today: Date,
        version: u64,
    ) -> Self {
        let issued = existing.issued();
        let draft = existing.draft().map(|lines| lines.into_iter().map(|(line, _)| line.clone()).collect());
        let status = match issued.map(|it| it.settlement.state) {
            Some(State::Open) => InvoiceStatus::Open,
            Some(State::Paid) => InvoiceStatus::Paid,
            Some(State::Void) => InvoiceStatus::Void,
            Some(State::Uncollectible) => InvoiceStatus::Uncollectible,
            None if draft.is_some() => InvoiceStatus::Draft,
            None => InvoiceStatus::Discarded,
        };
        let payment_days = issued.and_then(|it| match it.collection {
            Collection::Automatic => None,
            Collection::Invoice { days } => Some(days),
        });
        Self {
            id,
            organization,
            status,
            currency: existing.currency().map(|it| it.to_string()),
            lines: draft,
            kind: issued.map(|it| it.kind),
            payment_days,
            issued: issued.map(|it| (&*it.document).into()),
            due: issued.map_or(0, |it| it.due()),
            is_overdue: issued.is_some_and(|it| it.is_overdue(today)),
            paid: issued.map_or(0, |it| it.settlement.paid),
            from_balance: issued.map_or(0, |it| it.settlement.from_balance),
            credited: issued.map_or(0, |it| it.settlement.credited),
            payments: issued
                .iter()
                .flat_map(|it| &it.payments)
                .map(|(payment, amount)| InvoicePayment { payment: *payment, amount: *amount })
                .collect(),
            credit_notes: issued.map(|it| it.credit_notes.clone()).unwrap_or_default(),
            replaces: issued.and_then(|it| it.replaces),
            collection: issued
                .iter()
                .filter(|it| it.due() > 0)
                .flat_map(|it| &it.dunning)
                .map(|it| PlannedStep { step: it.step, at: it.at })
                .collect(),
            has_pdf: issued.is_some_and(|it| it.pdf.is_some()),
            balance: existing.currency().map_or(0, |currency| account.balance(currency)),
            version,
        }
    }
}
