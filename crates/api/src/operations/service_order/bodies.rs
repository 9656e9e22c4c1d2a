//! Service orders in requests and responses.

use jiff::{Timestamp, tz::TimeZone};
use porttask_domain::{
    UserId,
    operations::{
        Remark,
        port::PortTime,
        port_call::PortCallId,
        price::{InvalidPrice, Price},
        service_order::{Answer, AnsweredBy, Command, Details, NewServiceOrder, ServiceOrderId, Status},
        vendor::{Service, VendorId},
    },
};
use porttask_projections::operations::service_order as view;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    listing::Page,
    problem::Problem,
    request::{Instant, ListFormat, not_null, nullable},
};

/// A service order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceOrder)]
pub(crate) struct ServiceOrderResponse {
    pub(super) id: ServiceOrderId,
    pub(super) port_call: PortCallId,
    /// The vessel of the port call; null once it was deleted.
    pub(super) vessel: Option<String>,
    /// The name of the port; null once the port call was deleted.
    pub(super) port_name: Option<String>,
    /// The time zone of the port; null once the port call was deleted.
    pub(super) time_zone: Option<String>,
    /// The user who is responsible for the port call; null once it was deleted.
    pub(super) agent: Option<UserId>,
    /// The vendor who was asked last; null if none was.
    pub(super) vendor: Option<VendorId>,
    /// The name of that vendor.
    pub(super) vendor_name: Option<String>,
    pub(super) service: Service,
    pub(super) details: String,
    /// When the service is needed.
    pub(super) requested_at: Timestamp,
    /// The price; null if none was agreed on.
    pub(super) price: Option<PriceBody>,
    pub(super) status: Status,
    /// The number of requests to vendors.
    requests: u64,
    /// Until when the last request can be answered with the link in the email; null if none was sent.
    pub(super) answerable_until: Option<Timestamp>,
    /// The answers to the last request.
    answers: Vec<OrderAnswer>,
    /// When the vendor last answered the last request with the link in the email; null if they have not.
    pub(super) answered_at: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    /// The version: the ETag.
    version: u64,
}

/// An answer to a request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct OrderAnswer {
    answer: Answer,
    by: AnsweredBy,
    remark: Option<String>,
    answered_at: Timestamp,
}

/// A price.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Price)]
pub(crate) struct PriceBody {
    /// The amount as a decimal number, with at most the decimals of the currency.
    #[schema(example = "1250.00")]
    pub(super) amount: String,
    /// The currency: its code in ISO 4217.
    #[schema(example = "EUR")]
    pub(super) currency: String,
}

impl From<Price> for PriceBody {
    fn from(price: Price) -> Self {
        Self { amount: price.amount(), currency: price.currency }
    }
}

impl PriceBody {
    /// The price that is meant.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(&self) -> Result<Price, Problem> {
        Price::new(&self.amount, &self.currency).map_err(|wrong| match wrong {
            InvalidPrice::Amount(error) => Problem::invalid("/price/amount", error.to_string()),
            InvalidPrice::Currency(error) => Problem::invalid("/price/currency", error.to_string()),
        })
    }
}

impl From<view::ServiceOrder> for ServiceOrderResponse {
    fn from(row: view::ServiceOrder) -> Self {
        let price = row.amount_minor.zip(row.currency);
        Self {
            id: row.service_order,
            port_call: row.port_call,
            vessel: None,
            port_name: None,
            time_zone: None,
            agent: None,
            vendor: row.vendor,
            vendor_name: None,
            service: row.service,
            details: row.details,
            requested_at: row.requested_at,
            price: price.map(|(amount_minor, currency)| Price { amount_minor, currency }.into()),
            status: row.status,
            requests: row.requests,
            answerable_until: row.answerable_until,
            answers: serde_json::from_str(&row.answers).unwrap_or_default(),
            answered_at: row.answered_at,
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// A page of service orders.
pub(super) type ServiceOrderPage = Page<ServiceOrderResponse>;

/// Filters of service orders.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceOrderFilter {
    /// Only service orders for this port call.
    pub(super) port_call: Option<PortCallId>,
    /// Only service orders of which this vendor was asked last.
    pub(super) vendor: Option<VendorId>,
    /// Only service orders with this status.
    pub(super) status: Option<Status>,
    /// Only orders of this service.
    pub(super) service: Option<Service>,
    /// Only service orders whose vendor answered with the link at or after this time.
    #[param(value_type = Option<Timestamp>)]
    pub(super) answered_from: Option<Instant>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    pub(super) format: ListFormat,
}

/// A service order to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewServiceOrder)]
pub(crate) struct NewServiceOrderBody {
    pub(super) port_call: PortCallId,
    service: Service,
    /// What is ordered, for the vendor.
    #[schema(value_type = String, max_length = 2_000, example = "Two tugs for berthing")]
    details: Details,
    /// When the service is needed: an instant, or the local time of the port.
    #[schema(value_type = String, example = "2030-01-31T09:00:00Z")]
    requested_at: PortTime,
    /// The price, if one was agreed on.
    pub(super) price: Option<PriceBody>,
    /// The vendor to be asked at once.
    pub(super) vendor: Option<VendorId>,
}

impl NewServiceOrderBody {
    pub(super) fn command(&self, zone: &TimeZone, price: Option<Price>) -> Command {
        Command::Create(Box::new(NewServiceOrder {
            port_call: self.port_call,
            service: self.service,
            details: self.details.clone(),
            requested_at: self.requested_at.at(zone),
            price,
        }))
    }
}

/// A change of a service order: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceOrderPatch {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Service, required = false)]
    service: Option<Service>,
    /// What is ordered, for the vendor.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, max_length = 2_000, example = "Two tugs for berthing")]
    details: Option<Details>,
    /// When the service is needed: an instant, or the local time of the port.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, example = "2030-01-31T09:00:00Z")]
    requested_at: Option<PortTime>,
    /// The price; null removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<PriceBody>)]
    price: Option<Option<PriceBody>>,
}

impl ServiceOrderPatch {
    /// The change of the price.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn price(&self) -> Result<Option<Option<Price>>, Problem> {
        let parse = |price: &Option<PriceBody>| price.as_ref().map(PriceBody::parse).transpose();
        self.price.as_ref().map(parse).transpose()
    }

    pub(super) fn command(&self, zone: Option<&TimeZone>, price: Option<Option<Price>>, now: Timestamp) -> Command {
        let utc = TimeZone::UTC;
        let zone = zone.unwrap_or(&utc);
        let requested_at = self.requested_at.map(|time| time.at(zone));
        Command::Amend { service: self.service, details: self.details.clone(), requested_at, price, now }
    }
}

/// The vendor to be asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    pub(super) vendor: VendorId,
}

/// A cancellation of a service order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderCancellation {
    /// A remark, for the vendor.
    #[schema(value_type = Option<String>, max_length = 500, example = "the vessel does not call")]
    pub(super) remark: Option<Remark>,
}

/// The answer of a vendor, as a user has heard of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordedAnswer {
    pub(super) answer: Answer,
    /// A remark.
    #[schema(value_type = Option<String>, max_length = 500, example = "by telephone")]
    pub(super) remark: Option<Remark>,
}

/// The answer of a vendor.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VendorResponseBody {
    /// What follows `#token=` in the link, or the line below the link in the email.
    #[schema(example = "BgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    pub(super) token: String,
    pub(super) answer: Answer,
    /// A remark.
    #[schema(value_type = Option<String>, max_length = 500)]
    pub(super) remark: Option<Remark>,
}
