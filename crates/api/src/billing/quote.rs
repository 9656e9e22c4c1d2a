//! Quotes in requests and responses.

use jiff::civil::Date;
use porttask_domain::{
    OrganizationId,
    billing::{
        Currency, Plan,
        period::Interval,
        plan::PlanId,
        quote::{Action, Document, DocumentKind, Line, OverLimit, Quote, QuotedTax, Renewal},
        terms::Held,
    },
};
use porttask_runtime::execute::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::problem::Problem;

/// What an organization holds or would hold.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HeldPlan {
    plan: PlanId,
    #[schema(example = "starter")]
    code: String,
    #[schema(example = "Starter")]
    name: String,
    /// The version of the plan.
    plan_version: u32,
    interval: Interval,
    #[schema(example = "EUR")]
    currency: String,
    /// Extra seats.
    seats: u32,
    /// The price of the plan for an interval, in minor units.
    price: i64,
    /// The price of an extra seat; null if none is sold.
    seat_price: Option<i64>,
}

impl From<&Held> for HeldPlan {
    fn from(held: &Held) -> Self {
        let price = held.terms.offer.price(held.currency, held.interval);
        Self {
            plan: held.terms.plan,
            code: held.terms.code.clone(),
            name: held.terms.name.clone(),
            plan_version: held.terms.version,
            interval: held.interval,
            currency: held.currency.to_string(),
            seats: held.seats,
            price: price.map_or(0, |it| it.price),
            seat_price: price.and_then(|it| it.seat_price),
        }
    }
}

/// What a change of the subscription leads to. Amounts are minor units of `currency`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quote)]
pub(crate) struct QuoteResponse {
    action: Action,
    /// The first date on which the new terms hold.
    #[schema(value_type = String, format = Date)]
    effective: Date,
    #[schema(example = "EUR")]
    currency: Option<String>,
    /// The documents that it leads to when it takes effect.
    documents: Vec<QuoteDocument>,
    /// Their sum; if prices include the tax, with it.
    net: i64,
    /// What its invoices come to with tax: what is charged.
    total: i64,
    /// What is missing to calculate the tax, such as `billing-account-incomplete`: a change that costs something is refused
    /// until then; null if nothing is.
    waits_for: Option<String>,
    /// The renewal that follows; null if there is none.
    next_renewal: Option<QuoteRenewal>,
    /// What is used beyond the new terms; such a change is refused.
    over_limit: Vec<OverLimit>,
    /// Send it with the change as `quote`: the change is refused if it costs something else by then.
    digest: String,
}

/// A document that a change leads to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuoteDocument {
    kind: DocumentKind,
    lines: Vec<Line>,
    /// The sum of the lines; if prices include the tax, with it.
    net: i64,
    /// Its tax; null while it is not known.
    tax: Option<QuotedTax>,
}

/// A renewal of a subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuoteRenewal {
    /// The first date of the period.
    #[schema(value_type = String, format = Date)]
    on: Date,
    held: HeldPlan,
    lines: Vec<Line>,
    /// The sum of the lines; if prices include the tax, with it.
    net: i64,
    /// Its tax; null while it is not known.
    tax: Option<QuotedTax>,
}

impl From<&Quote> for QuoteResponse {
    fn from(quote: &Quote) -> Self {
        let document = |Document { kind, lines, net, tax }: &Document| {
            let (kind, lines, net, tax) = (*kind, lines.clone(), *net, tax.clone());
            QuoteDocument { kind, lines, net, tax }
        };
        let renewal = |Renewal { on, held, lines, net, tax }: &Renewal| {
            let (on, held, lines, net, tax) = (*on, held.into(), lines.clone(), *net, tax.clone());
            QuoteRenewal { on, held, lines, net, tax }
        };
        Self {
            action: quote.action,
            effective: quote.effective,
            currency: quote.currency.map(|it| it.to_string()),
            documents: quote.documents.iter().map(document).collect(),
            net: quote.net(),
            total: quote.total(),
            waits_for: None,
            next_renewal: quote.next_renewal.as_ref().map(renewal),
            over_limit: quote.over_limit.clone(),
            digest: quote.digest(),
        }
    }
}

impl QuoteResponse {
    /// With what is missing for its tax.
    pub(super) fn waiting_for(self, waits_for: Option<String>) -> Self {
        Self { waits_for, ..self }
    }
}

/// The terms that are asked for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedPlan {
    pub(super) plan: PlanId,
    pub(super) interval: Interval,
    /// Extra seats; none by default.
    #[serde(default)]
    #[schema(maximum = 100_000)]
    pub(super) seats: u32,
    /// The first currency of the plan by default; fixed while a subscription is active.
    #[serde(default)]
    #[schema(example = "EUR")]
    pub(super) currency: Option<String>,
}

/// Maximum extra seats.
const MAX_SEATS: u32 = 100_000;

impl WantedPlan {
    /// The terms, as the plan is sold now; of the plan that is held, the version that is held.
    ///
    /// # Errors
    /// If the plan cannot be chosen, or has no such price.
    pub(super) async fn held(
        &self,
        tx: &Tx,
        organization: OrganizationId,
        current: Option<&Held>,
        by_staff: bool,
    ) -> Result<Held, Problem> {
        if self.seats > MAX_SEATS {
            return Err(Problem::invalid("/seats", format!("must be at most {MAX_SEATS}")));
        }
        let plan: Plan = tx.read_in(OrganizationId::PLATFORM, self.plan).await?;
        let kept = current.filter(|held| held.terms.plan == self.plan).map(|held| (*held.terms).clone());
        let terms = kept.or_else(|| plan.terms_for(self.plan, organization, by_staff));
        let terms = terms.ok_or_else(|| Problem::not_found("plan"))?;
        let currency = match &self.currency {
            Some(code) => code.parse().map_err(|_| Problem::invalid("/currency", "must be a code such as EUR"))?,
            None => self.default_currency(&terms.offer, current),
        };
        Held::new(terms, self.seats, self.interval, currency).map_err(|_| {
            Problem::invalid("/interval", "the plan is not sold in this currency and interval, or sells no extra seats")
        })
    }

    fn default_currency(&self, offer: &porttask_domain::billing::terms::Offer, current: Option<&Held>) -> Currency {
        let first = offer.prices.iter().find(|price| price.interval == self.interval).or(offer.prices.first());
        let known = current.map(|held| held.currency).or(first.map(|price| price.currency));
        // Every version has a price.
        known.unwrap_or_else(|| unreachable!("a version without prices"))
    }
}
