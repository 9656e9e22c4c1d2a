//! Coupons as CSV.

use jiff::Timestamp;
use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, CouponSelection, Event, Format},
};
use porttask_projections::billing::coupon as view;

use super::{CouponFilter, CouponResponse, DiscountDuration};
use crate::http::request::{Exported, ListFormat};

impl Exported for view::Coupons {
    const FILE: &'static str = "coupons";
    const NAMES: &'static [&'static str] = &[
        "id",
        "code",
        "name",
        "percent",
        "amount",
        "currency",
        "duration",
        "periods",
        "applies_to",
        "plans",
        "redeem_from",
        "redeem_until",
        "max_redemptions",
        "redemptions",
        "retired",
        "created_at",
    ];

    fn format(filter: &CouponFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &CouponFilter, text: Option<Personal>) -> Command {
        let CouponFilter { retired, format: _ } = *filter;
        Command::Take(Event::CouponsTaken { format: Format::Csv, selection: CouponSelection { retired, text } })
    }

    fn fields(coupon: CouponResponse) -> Vec<String> {
        let time = |value: Option<Timestamp>| value.map(|it| it.to_string()).unwrap_or_default();
        let (discount, bounds) = (coupon.discount.as_ref(), &coupon.redemption);
        let duration = |duration| match duration {
            DiscountDuration::Once => "once",
            DiscountDuration::Periods => "periods",
            DiscountDuration::Forever => "forever",
        };
        let plans = discount.map(|it| it.plans.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        vec![
            coupon.id.to_string(),
            coupon.code,
            coupon.name,
            discount.and_then(|it| it.percent.clone()).unwrap_or_default(),
            discount.and_then(|it| it.amount).map(|it| it.to_string()).unwrap_or_default(),
            discount.and_then(|it| it.currency.clone()).unwrap_or_default(),
            discount.map(|it| duration(it.duration).to_owned()).unwrap_or_default(),
            discount.and_then(|it| it.periods).map(|it| it.to_string()).unwrap_or_default(),
            discount.map(|it| it.applies_to.as_str().to_owned()).unwrap_or_default(),
            plans.unwrap_or_default(),
            time(bounds.redeem_from),
            time(bounds.redeem_until),
            bounds.max_redemptions.map(|it| it.to_string()).unwrap_or_default(),
            coupon.redemptions.to_string(),
            coupon.retired.to_string(),
            coupon.created_at.to_string(),
        ]
    }
}
