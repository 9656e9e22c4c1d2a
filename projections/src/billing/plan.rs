//! Plans.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        Currency,
        plan::{Event, PlanId, Visibility},
        terms::{Offer, PlanPrice},
    },
};

use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_if_different, change_in_words, coded_change_in_words},
    id_columns, normalized, row, text_columns,
};

id_columns!(PlanId);
text_columns!(Visibility);

row! {
    /// A plan.
    pub struct Plan {
        key {
            /// The platform's organization.
            organization: OrganizationId,
            /// The id.
            plan: PlanId,
        }
        row {
            /// The code.
            code: String,
            /// The name.
            name: String,
            /// The name as it is sorted and searched.
            normalized_name: String,
            /// Who can choose it.
            visibility: Visibility,
            /// The only organization that it is for.
            for_organization: Option<OrganizationId>,
            /// The last version; null before the first.
            offer_version: Option<u64>,
            /// The content of the last version as JSON.
            offer: Option<String>,
            /// Whether it is sold no longer.
            is_retired: bool,
            /// When it was created.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

/// Which plans does the platform sell?
pub struct Plans;

impl ReadModel for Plans {
    const NAME: &'static str = "plans";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_name", columns: &["organization", "normalized_name", "plan"] },
        Index { name: "by_age", columns: &["organization", "created_at", "plan"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["normalized_name", "code"];
    type Source = Event;
    type Row = Plan;

    fn project(row: Option<Plan>, event: &Event, recorded: &Recorded) -> Change<Plan> {
        let version = recorded.version;
        if let Event::Created { code, name, visibility, for_organization } = event {
            return Change::Put(Plan {
                organization: recorded.organization,
                plan: PlanId(recorded.subject),
                code: code.clone(),
                name: name.clone(),
                normalized_name: normalized(name),
                visibility: *visibility,
                for_organization: *for_organization,
                offer_version: None,
                offer: None,
                is_retired: false,
                created_at: recorded.time(),
                version,
            });
        }
        let Some(row) = row else { return Change::Keep };
        let row = match event {
            Event::Created { .. } => row,
            Event::VersionPublished { version, offer } => {
                Plan { offer_version: Some((*version).into()), offer: serde_json::to_string(offer).ok(), ..row }
            }
            Event::Renamed { to, .. } => Plan { name: to.clone(), normalized_name: normalized(to), ..row },
            Event::VisibilityChanged { to, .. } => Plan { visibility: *to, ..row },
            Event::Retired {} => Plan { is_retired: true, ..row },
        };
        Change::Put(Plan { version, ..row })
    }
}

fn visibility_name(visibility: Visibility) -> &'static str {
    visibility.as_str()
}

/// An amount of a currency: `49.00 EUR`.
pub(super) fn money(minor: i64, currency: Currency) -> String {
    format!("{} {currency}", currency.decimal(minor))
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Created { code, name, visibility, for_organization } => {
            sink.words("created the plan ");
            sink.value(DisplayValue::Text(name));
            sink.change("code", None, Some(DisplayValue::Text(code)));
            sink.change("name", None, Some(DisplayValue::Text(name)));
            sink.change("visibility", None, Some(DisplayValue::Text(visibility.as_str())));
            let organization = for_organization.as_ref().map(|id| DisplayValue::Filtered(id));
            change_if_different("for_organization", None, organization, sink);
        }
        Event::VersionPublished { version, offer } => {
            sink.words("published version ");
            sink.value(DisplayValue::Written(version));
            sink.words(" of the plan");
            offer_changes(offer, sink);
        }
        Event::Renamed { from, to } => {
            change_in_words("renamed the plan", "name", DisplayValue::Text(from), DisplayValue::Text(to), sink);
        }
        Event::VisibilityChanged { from, to } => {
            coded_change_in_words(
                "changed the visibility of the plan",
                "visibility",
                (*from, *to),
                visibility_name,
                sink,
            );
        }
        Event::Retired {} => sink.words("retired the plan"),
    }
}

fn offer_changes(offer: &Offer, sink: &mut dyn DescriptionSink) {
    for PlanPrice { currency, interval, price, seat_price } in &offer.prices {
        let price = format!("{} a {interval}", money(*price, *currency));
        sink.change("price", None, Some(DisplayValue::Text(&price)));
        if let Some(seat_price) = seat_price {
            let price = format!("{} a {interval}", money(*seat_price, *currency));
            sink.change("seat_price", None, Some(DisplayValue::Text(&price)));
        }
    }
    sink.change("included_seats", None, Some(DisplayValue::Written(&offer.included_seats)));
    let limits = [
        ("users", offer.limits.users),
        ("port_calls", offer.limits.port_calls),
        ("storage_bytes", offer.limits.storage_bytes),
        ("api_calls", offer.limits.api_calls),
    ];
    for (field, limit) in limits {
        change_if_different(field, None, limit.as_ref().map(|limit| DisplayValue::Written(limit)), sink);
    }
    let features = offer.features.iter().map(TextEnum::as_str).collect::<Vec<_>>().join(" ");
    if !features.is_empty() {
        sink.change("features", None, Some(DisplayValue::Text(&features)));
    }
    for overage in &offer.overage {
        let price =
            format!("{} {} for each {} {}", overage.price_per_unit, overage.currency, overage.unit, overage.meter);
        sink.change("overage", None, Some(DisplayValue::Text(&price)));
    }
}
