//! What happens in an organization in a year: pure, and the same for the same seed.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    OrganizationId, UserId,
    billing::licence::LicenceId,
    identity::Role,
    operations::{
        document::DocumentId,
        service_order::ServiceOrderId,
        vendor::{Service, VendorId},
    },
    support::ticket::TicketId,
};

use crate::{
    bills::{BillStep, Payer},
    desk::{self, TicketStep},
    documents::{self, DocumentStep},
    keys::LicenceStep,
    money::{self, Money},
    names,
    random::Random,
    traffic::{self, Call, CallStep, OrderStep},
};

pub(crate) const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The period that is shown.
pub(crate) const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How many organizations, and how many users they have together, at scale 1.
const ORGANIZATIONS: f64 = 40.0;
const USERS: f64 = 1_500.0;
/// Before those are left out that nobody can be responsible for.
const PORT_CALLS: f64 = 25_000.0;
const TICKETS: f64 = 600.0;
const DOCUMENTS: f64 = 300.0;

/// Where organizations are: the time zone of their business hours.
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "Europe/Amsterdam",
    "Europe/Lisbon",
    "Europe/Athens",
    "Asia/Singapore",
    "America/New_York",
    "Europe/Copenhagen",
    "Asia/Dubai",
];

/// An organization and its year.
pub(crate) struct Plan {
    pub(crate) number: usize,
    pub(crate) organization: OrganizationId,
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) zone: &'static str,
    pub(crate) people: Vec<Person>,
    pub(crate) calls: Vec<Call>,
    /// How it pays.
    pub(crate) payer: Payer,
    /// By time.
    pub(crate) steps: Vec<Step>,
}

/// A person with an account; the first one of an organization is its first admin.
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: Role,
    pub(crate) ip: String,
    pub(crate) user_agent: &'static str,
}

/// Something that happens.
pub(crate) struct Step {
    pub(crate) at: Timestamp,
    pub(crate) by: By,
    pub(crate) what: What,
}

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The person with this number in the organization.
    Person(usize),
    /// A super admin.
    Staff,
    /// Nobody who is known.
    Anonymous,
    /// The service itself.
    System,
}

/// What is done. Numbers are those of people.
pub(crate) enum What {
    /// The organization is created, and its first admin invited.
    Create,
    /// The admin chooses its settings.
    SetUp,
    Invite(usize),
    Accept(usize),
    SignIn(usize),
    FailedSignIns(usize, u64),
    ChangeRole(usize, Role),
    Deactivate(usize),
    Reactivate(usize),
    /// Something happens to the port call with this number.
    Call(usize, CallStep),
    Order(ServiceOrderId, OrderStep),
    Document(DocumentId, DocumentStep),
    Ticket(TicketId, TicketStep),
    CreateVendor {
        vendor: VendorId,
        name: String,
        service: Service,
        email: String,
    },
    /// Something happens to the subscription.
    Money(Money),
    /// Staff does something with invoices.
    Bill(BillStep),
    Licence(LicenceId, LicenceStep),
    Suspend(&'static str),
    Lift,
    Close(&'static str),
}

/// How an organization ends the year.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Active,
    /// Never chose a plan: its trial is over.
    TrialOver,
    /// Suspended for a month, then active again.
    Lifted,
    Suspended,
    Deactivated,
    /// Stopped working, and paying.
    Unpaid,
}

/// The year of all organizations until `now`.
pub(crate) fn plans(seed: u64, scale: f64, now: Timestamp) -> Vec<Plan> {
    let count = (ORGANIZATIONS * scale).ceil() as usize;
    let weights: Vec<f64> = (0..count).map(|number| 1.0 / (number as f64 / scale.max(1.0) + 2.0)).collect();
    let total: f64 = weights.iter().sum();
    let users = |number: usize| (USERS * scale * weights[number] / total).round().max(2.0) as usize;
    let share = |number: usize| scale * weights[number] / total;
    let plan = |number: usize| Planner::new(seed, number, now).plan(users(number), share(number), (number, count));
    (0..count).map(plan).collect()
}

impl Plan {
    /// The first person with a role who works until the end.
    pub(crate) fn account(&self, role: Role) -> Option<&Person> {
        let stays = |it: usize| {
            let changes = |step: &Step| match step.what {
                What::ChangeRole(of, _) | What::Deactivate(of) => of == it,
                _ => false,
            };
            let accepts = |step: &Step| matches!(step.what, What::Accept(of) if of == it);
            self.steps.iter().any(accepts) && !self.steps.iter().any(changes)
        };
        (0..self.people.len()).find(|it| self.people[*it].role == role && stays(*it)).map(|it| &self.people[it])
    }
}

pub(crate) struct Planner {
    pub(crate) random: Random,
    begin: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) steps: Vec<Step>,
    /// Who can be responsible for port calls, from when until when.
    pub(crate) agents: Vec<(usize, Timestamp, Timestamp)>,
    /// Who can be asked for which service, from when on.
    pub(crate) vendors: Vec<(VendorId, Service, Timestamp)>,
}

impl Planner {
    fn new(seed: u64, number: usize, now: Timestamp) -> Self {
        let begin = now - YEAR;
        let random = Random::new(seed, number as u64 + 1);
        Self { random, begin, now, steps: Vec::new(), agents: Vec::new(), vendors: Vec::new() }
    }

    fn plan(mut self, users: usize, share: f64, (number, count): (usize, usize)) -> Plan {
        let created_at = match number * 40 / count {
            0..28 => self.random.instant(self.begin + DAY, self.begin + DAY * 60),
            28..37 => self.random.instant(self.begin + DAY * 60, self.now - DAY * 30),
            _ => self.random.instant(self.now - DAY * 12, self.now - DAY),
        };
        let fate = match number * 40 / count {
            11 => Fate::Lifted,
            17 | 26 => Fate::Suspended,
            20 => Fate::Unpaid,
            23 | 31 => Fate::Deactivated,
            33 => Fate::TrialOver,
            _ => Fate::Active,
        };
        let ended_at = self.end(fate, created_at);
        let name = names::company(number);
        let domain = format!("{}.example", names::slug(&name));
        let organization = self.random.id(created_at);
        let people: Vec<Person> = (0..users).map(|it| self.person(it, &domain, created_at)).collect();
        self.add(created_at, By::Staff, What::Create);
        let joined_at = created_at + self.random.hours(1..20);
        self.add(joined_at, By::Person(0), What::Accept(0));
        self.add(joined_at + SignedDuration::from_mins(9), By::Person(0), What::SetUp);
        self.career(0, joined_at, ended_at, &people);
        for it in 1..people.len() {
            // A trial has ten seats.
            let from = created_at + if it < 9 { DAY } else { DAY * 16 };
            if from + DAY < ended_at {
                self.join(it, (from, ended_at), &people);
            }
        }
        self.vendors(created_at + DAY, ended_at);
        // Organizations that are younger or have ended have had less time.
        let worked = ended_at.duration_since(created_at).as_secs_f64() / YEAR.as_secs_f64();
        let count = |of: f64| (of * share * worked).ceil() as usize;
        let calls = traffic::year(&mut self, (created_at + DAY * 3, ended_at), count(PORT_CALLS));
        let payer = Payer::of(number, fate == Fate::Unpaid, (ended_at, self.now));
        if fate != Fate::TrialOver {
            let months = (worked * 12.0).max(1.0);
            let size = (people.len(), calls.len() as f64 / months);
            money::year(&mut self, (created_at, ended_at), size, payer, number);
        }
        desk::year(&mut self, (created_at + DAY, ended_at), count(TICKETS));
        documents::year(&mut self, ended_at, &calls, count(DOCUMENTS));
        self.steps.sort_by_key(|step| step.at);
        let zone = ZONES[number % ZONES.len()];
        Plan { number, organization, name, domain, zone, people, calls, payer, steps: self.steps }
    }

    pub(crate) fn add(&mut self, at: Timestamp, by: By, what: What) {
        self.steps.push(Step { at, by, what });
    }

    fn person(&mut self, number: usize, domain: &str, at: Timestamp) -> Person {
        let name = names::person(&mut self.random);
        let role = match self.random.below(100) {
            _ if number == 0 => Role::Admin,
            0..8 => Role::Admin,
            8..70 => Role::Agent,
            70..88 => Role::ReadOnly,
            _ => Role::Auditor,
        };
        let mailbox = names::slug(&name.replace(' ', ".").replace('.', "-"));
        let mailbox = if number == 0 { "admin".to_owned() } else { format!("{mailbox}-{number}") };
        let ip = format!("203.0.113.{}", self.random.within(1..255));
        let user_agent = self.random.pick(&names::USER_AGENTS);
        Person { user: self.random.id(at), name, email: format!("{mailbox}@{domain}"), role, ip, user_agent }
    }

    /// The suspension or deactivation; returns until when people work.
    fn end(&mut self, fate: Fate, created_at: Timestamp) -> Timestamp {
        let late = self.random.instant(created_at + DAY * 60, self.now - DAY * 40);
        match fate {
            Fate::Active => return self.now,
            Fate::TrialOver => return created_at + DAY * 14,
            Fate::Lifted => {
                self.add(late, By::Staff, What::Suspend("Unpaid since the second reminder"));
                self.add(late + DAY * 30, By::Staff, What::Lift);
            }
            // It becomes read-only and ends before the year is over: the next invoice comes within a month.
            Fate::Unpaid => return created_at + (late.duration_since(created_at) / 3).max(DAY * 60),
            Fate::Suspended => self.add(late, By::Staff, What::Suspend("Unpaid since the second reminder")),
            Fate::Deactivated => self.add(late, By::Staff, What::Close("The contract was terminated")),
        }
        late
    }

    /// Someone is invited, accepts, and works.
    fn join(&mut self, it: usize, (from, until): (Timestamp, Timestamp), people: &[Person]) {
        let soon = (from + DAY * 60).min(until);
        let last = if self.random.chance(0.7) { soon } else { until };
        let invited_at = self.random.instant(from, last);
        let accepted_at = invited_at + self.random.hours(1..60);
        // Before anything else: the admin has accepted within a day.
        self.add(invited_at, By::Person(0), What::Invite(it));
        if accepted_at < until && !self.random.chance(0.04) {
            self.add(accepted_at, By::Person(it), What::Accept(it));
            self.career(it, accepted_at, until, people);
        }
    }

    /// Sign-ins, and for some a change of role or the end.
    fn career(&mut self, it: usize, from: Timestamp, until: Timestamp, people: &[Person]) {
        let leaves = it != 0 && self.random.chance(0.08);
        let left_at = if leaves { self.random.instant(from, until) } else { until };
        let mut at = from + SignedDuration::from_mins(2);
        while at < left_at {
            if self.random.chance(0.04) {
                let times = self.random.within(1..4) as u64;
                self.add(at - SignedDuration::from_mins(1), By::Anonymous, What::FailedSignIns(it, times));
            }
            self.add(at, By::Person(it), What::SignIn(it));
            at += self.random.hours(20..26 * 24);
        }
        let changes = it != 0 && self.random.chance(0.06);
        if !changes && matches!(people[it].role, Role::Admin | Role::Agent) {
            self.agents.push((it, from, left_at));
        }
        if changes {
            let at = self.random.instant(from, left_at);
            let role = if people[it].role == Role::Agent { Role::ReadOnly } else { Role::Agent };
            self.add(at, By::Person(0), What::ChangeRole(it, role));
        }
        if leaves {
            self.add(left_at, By::Person(0), What::Deactivate(it));
            let back_at = left_at + DAY * 20;
            if back_at < until && self.random.chance(0.2) {
                self.add(back_at, By::Person(0), What::Reactivate(it));
            }
        }
    }

    fn vendors(&mut self, from: Timestamp, until: Timestamp) {
        for number in 0..8 {
            let at = self.random.instant(from, (from + DAY * 30).min(until));
            let (name, service) = names::vendor(&mut self.random, number);
            let email = format!("orders@{}.example", names::slug(&name));
            let vendor = self.random.id(at);
            self.vendors.push((vendor, service, at));
            self.add(at, By::Person(0), What::CreateVendor { vendor, name, service, email });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-27T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_same_seed_makes_the_same_year() {
        let outline = |seed| {
            let all = plans(seed, 1.0, now());
            let of = |plan: &Plan| (plan.organization, plan.steps.iter().map(|step| step.at).collect::<Vec<_>>());
            all.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(outline(1), outline(1));
        assert_ne!(outline(1), outline(2));
    }

    #[test]
    fn documents_of_port_calls_are_the_same_for_the_same_seed_and_some_are_deleted() {
        let documents = |seed| {
            let all = plans(seed, 1.0, now());
            let steps = all.iter().flat_map(|plan| &plan.steps);
            let of = |step: &Step| match &step.what {
                What::Document(id, DocumentStep::Upload { content, .. }) => Some((*id, Some(content.clone()))),
                What::Document(id, DocumentStep::Delete) => Some((*id, None)),
                _ => None,
            };
            steps.filter_map(of).collect::<Vec<_>>()
        };
        let found = documents(1);
        let (uploaded, deleted): (Vec<_>, Vec<_>) = found.iter().partition(|(_, content)| content.is_some());
        assert!((250..350).contains(&uploaded.len()) && (10..60).contains(&deleted.len()), "{}", found.len());
        let sizes = uploaded.iter().map(|(_, content)| content.as_ref().map_or(0, String::len));
        assert!(sizes.clone().all(|bytes| (100..1_000).contains(&bytes)), "{:?}", sizes.collect::<Vec<_>>());
        assert_eq!(found, documents(1));
        assert_ne!(found, documents(2));
    }

    #[test]
    fn forty_organizations_have_users_and_port_calls_and_a_year_of_steps_in_order() {
        let all = plans(1, 1.0, now());
        assert_eq!(all.len(), 40);
        let users: usize = all.iter().map(|plan| plan.people.len()).sum();
        assert!((1_450..1_550).contains(&users), "{users}");
        let calls: usize = all.iter().map(|plan| plan.calls.len()).sum();
        assert!((17_000..23_000).contains(&calls), "{calls}");
        for plan in &all {
            assert!(plan.steps.is_sorted_by_key(|step| step.at));
            assert!(plan.steps.iter().all(|step| (now() - YEAR..=now()).contains(&step.at)));
            assert!(matches!(plan.steps[0].what, What::Create));
        }
    }
}
