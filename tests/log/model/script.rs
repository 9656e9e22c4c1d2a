//! Random appends over a few organizations, streams, names, counts and keys, so that they meet often.

use jiff::SignedDuration;
use porttask_runtime::log::{Append, Constraint, IdempotencyKey, OrganizationId, StreamId, Version};
use porttask_tests::{claim, count, event, idempotency_key, release, stream};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{BoxedStrategy, Strategy, any};

use super::simple::Model;

const NAMES: u8 = 3;

/// The organizations and names of one script, which no other script uses.
pub(super) struct Names {
    /// Two that are founded sooner or later, and the platform.
    pub(super) organizations: [OrganizationId; 3],
    prefix: String,
}

/// One append.
#[derive(Debug, Clone)]
pub(super) struct Step {
    organization: usize,
    creates_organization: bool,
    /// Whose stream (the platform's?), which, and how far beside its version at submission.
    expected: Vec<(bool, u8, u64)>,
    events: Vec<(bool, u8)>,
    constraints: Vec<(bool, u8, Change)>,
    /// The key, the request, and whether its time is over.
    idempotency_key: Option<(u8, u8, bool)>,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Claim(u8),
    Release(u8),
    Count(i8, Option<i8>, Option<i8>),
}

impl Names {
    pub(super) fn new() -> Self {
        let (one, other) = (porttask_runtime::new_id::<OrganizationId>(), porttask_runtime::new_id::<OrganizationId>());
        Self { organizations: [one, other, OrganizationId::PLATFORM], prefix: one.to_string() }
    }

    fn name(&self, number: u8) -> String {
        format!("{}-{number}", self.prefix)
    }

    /// All names that are claimed and counted.
    pub(super) fn constrained(&self) -> impl Iterator<Item = String> {
        (0..NAMES).map(|number| self.name(number))
    }

    /// All streams.
    pub(super) fn streams(&self) -> impl Iterator<Item = StreamId> {
        let of = |organization| self.constrained().map(move |name| stream(organization, name));
        self.organizations.into_iter().flat_map(of)
    }
}

impl Step {
    /// The append, with the versions that the model has now.
    pub(super) fn append(&self, names: &Names, model: &Model) -> Append {
        let organization = names.organizations[self.organization];
        let owner = |platform: bool| if platform { OrganizationId::PLATFORM } else { organization };
        let stream = |(platform, name): (bool, u8)| stream(owner(platform), names.name(name));
        let events = self.events.iter().map(|place| event(&stream(*place), *b"{}")).collect();
        let mut append = Append::new(organization, events);
        for (platform, name, beside) in &self.expected {
            let stream = stream((*platform, *name));
            let version = Version(model.version(&stream).0 + beside);
            append = append.expecting(stream, version);
        }
        if let Some((key, request, is_over)) = self.idempotency_key {
            let mut idempotency_key: IdempotencyKey = idempotency_key(names.name(key), &request.to_string());
            if is_over {
                idempotency_key.kept_for = SignedDuration::from_hours(-1);
            }
            append = append.idempotency_key(idempotency_key);
        }
        if append.events.is_empty() {
            return append;
        }
        append.creates_organization = self.creates_organization && organization != OrganizationId::PLATFORM;
        let constraint = |(platform, name, change): &(bool, u8, Change)| {
            let (owner, name) = (owner(*platform), names.name(*name));
            match change {
                Change::Claim(who) => claim(owner, &name, &who.to_string()),
                Change::Release(who) => release(owner, &name, &who.to_string()),
                Change::Count(by, minimum, maximum) => {
                    count(owner, &name, (*by).into(), minimum.map(Into::into), maximum.map(Into::into))
                }
            }
        };
        append.constraints = self.constraints.iter().map(constraint).collect::<Vec<Constraint>>();
        append
    }
}

/// Groups of one to four appends, each group submitted at once. The first found the organizations.
pub(super) fn scripts() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let creations = (0..2_usize).prop_map(|organization| Step {
        organization,
        creates_organization: true,
        expected: vec![],
        events: vec![(false, 0)],
        constraints: vec![],
        idempotency_key: None,
    });
    (vec(creations, 1..3), vec(vec(steps(), 1..=4), 1..16)).prop_map(|(creations, mut groups)| {
        groups.insert(0, creations);
        groups
    })
}

fn steps() -> BoxedStrategy<Step> {
    let seldom = || proptest::bool::weighted(0.15);
    let beside = proptest::prop_oneof![9 => proptest::strategy::Just(0), 1 => 1..3_u64];
    let change = proptest::prop_oneof![
        (0..2_u8).prop_map(Change::Claim),
        (0..2_u8).prop_map(Change::Release),
        (-2..=2_i8, option::of(-1..1_i8), option::of(1..3_i8)).prop_map(|(by, low, high)| Change::Count(by, low, high)),
    ];
    let step = (
        0..3_usize,
        proptest::bool::weighted(0.05),
        vec((seldom(), 0..NAMES, beside), 0..3),
        vec((seldom(), 0..NAMES), 0..4),
        proptest::prop_oneof![1 => proptest::strategy::Just(vec![]), 1 => vec((seldom(), 0..NAMES, change), 1..4)],
        option::weighted(0.3, (0..2_u8, 0..2_u8, any::<bool>())),
    );
    let step = step.prop_map(|(organization, creates_organization, expected, events, constraints, idempotency_key)| {
        Step { organization, creates_organization, expected, events, constraints, idempotency_key }
    });
    let records_something = |step: &Step| !step.events.is_empty() || step.idempotency_key.is_some();
    step.prop_filter("records something", records_something).boxed()
}
