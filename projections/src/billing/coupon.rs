//! Coupons.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::coupon::{CouponId, DiscountTerms, Duration, Event, Off, Redemption},
};

use super::plan::money;
use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_if_different},
    id_columns, normalized, row,
};

id_columns!(CouponId);

row! {
    /// A coupon.
    pub struct Coupon {
        key {
            /// The platform's organization.
            organization: OrganizationId,
            /// The id.
            coupon: CouponId,
        }
        row {
            /// The code.
            code: String,
            /// The name.
            name: String,
            /// The code and the name as they are sorted and searched.
            normalized_name: String,
            /// What it takes off, as JSON.
            terms: String,
            /// Until when and how often, as JSON.
            redemption: String,
            /// Whether it is accepted no longer.
            is_retired: bool,
            /// When it was created.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

/// Which coupons are there?
pub struct Coupons;

impl ReadModel for Coupons {
    const NAME: &'static str = "coupons";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_name", columns: &["organization", "normalized_name", "coupon"] },
        Index { name: "by_age", columns: &["organization", "created_at", "coupon"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["normalized_name", "code"];
    type Source = Event;
    type Row = Coupon;

    fn project(row: Option<Coupon>, event: &Event, recorded: &Recorded) -> Change<Coupon> {
        let version = recorded.version;
        match (row, event) {
            (_, Event::Created { code, name, terms, redemption }) => Change::Put(Coupon {
                organization: recorded.organization,
                coupon: CouponId(recorded.subject),
                code: code.clone(),
                name: name.clone(),
                normalized_name: normalized(name),
                terms: serde_json::to_string(terms).unwrap_or_default(),
                redemption: serde_json::to_string(redemption).unwrap_or_default(),
                is_retired: false,
                created_at: recorded.time(),
                version,
            }),
            (Some(row), Event::Changed { to, .. }) => Change::Put(Coupon {
                name: to.name.clone(),
                normalized_name: normalized(&to.name),
                redemption: serde_json::to_string(&to.redemption).unwrap_or_default(),
                version,
                ..row
            }),
            (Some(row), Event::Retired {}) => Change::Put(Coupon { is_retired: true, version, ..row }),
            (None, Event::Changed { .. } | Event::Retired {}) => Change::Keep,
        }
    }
}

/// What a discount takes off, in words: `10% for 3 periods`.
pub fn discount_in_words(terms: &DiscountTerms) -> String {
    let off = match &terms.off {
        Off::Percent(percent) => format!("{percent}%"),
        Off::Amount { amount, currency } => money(*amount, *currency),
    };
    match terms.duration {
        Duration::Once => format!("{off} once"),
        Duration::Periods(periods) => format!("{off} for {periods} periods"),
        Duration::Forever => format!("{off} of every period"),
    }
}

pub(super) fn terms_changes(terms: &DiscountTerms, sink: &mut dyn DescriptionSink) {
    sink.change("discount", None, Some(DisplayValue::Text(&discount_in_words(terms))));
    sink.change("applies_to", None, Some(DisplayValue::Text(terms.applies_to.as_str())));
    let plans = terms.plans.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    if !plans.is_empty() {
        sink.change("plans", None, Some(DisplayValue::Filtered(&plans)));
    }
}

fn redemption_changes(from: &Redemption, to: &Redemption, sink: &mut dyn DescriptionSink) {
    fn filtered(time: &Option<Timestamp>) -> Option<DisplayValue<'_>> {
        time.as_ref().map(|time| DisplayValue::Filtered(time))
    }
    change_if_different("redeem_from", filtered(&from.redeem_from), filtered(&to.redeem_from), sink);
    change_if_different("redeem_until", filtered(&from.redeem_until), filtered(&to.redeem_until), sink);
    fn written(count: &Option<u32>) -> Option<DisplayValue<'_>> {
        count.as_ref().map(|count| DisplayValue::Written(count))
    }
    change_if_different("max_redemptions", written(&from.max_redemptions), written(&to.max_redemptions), sink);
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Created { code, name, terms, redemption } => {
            sink.words("created the coupon ");
            sink.value(DisplayValue::Text(code));
            sink.change("code", None, Some(DisplayValue::Text(code)));
            sink.change("name", None, Some(DisplayValue::Text(name)));
            terms_changes(terms, sink);
            redemption_changes(&Redemption::default(), redemption, sink);
        }
        Event::Changed { from, to } => {
            sink.words("changed the coupon");
            change_if_different("name", Some(DisplayValue::Text(&from.name)), Some(DisplayValue::Text(&to.name)), sink);
            redemption_changes(&from.redemption, &to.redemption, sink);
        }
        Event::Retired {} => sink.words("retired the coupon"),
    }
}
