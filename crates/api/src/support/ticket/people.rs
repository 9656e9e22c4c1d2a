//! Who writes and acts in tickets, as both sides see them.

use std::collections::{BTreeSet, HashMap};

use porttask_domain::{
    OrganizationId, UserId,
    support::ticket::{Author, Side},
};
use porttask_projections::{ColumnType, Value, identity::user::Users};
use porttask_runtime::views::{Condition, Query};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{app::App, problem::Problem};

/// Somebody who writes or acts in a ticket.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TicketPerson {
    id: UserId,
    side: Side,
    /// The full name of a user of the organization; null for staff, and once it was erased.
    name: Option<String>,
    /// The number by which organizations see a member of the staff; null for others.
    #[schema(example = "482193077")]
    staff_number: Option<String>,
}

impl From<Author> for TicketPerson {
    fn from(Author { user, side }: Author) -> Self {
        Self { id: user, side, name: None, staff_number: None }
    }
}

impl TicketPerson {
    /// A member of the staff.
    pub(super) fn staff(user: UserId) -> Self {
        Author { user, side: Side::Staff }.into()
    }

    /// The name or the staff number; empty once the name was erased.
    pub(super) fn shown(&self) -> String {
        self.name.clone().or_else(|| self.staff_number.clone()).unwrap_or_default()
    }
}

/// Adds the names of users of an organization, and the numbers of the staff.
pub(super) async fn complete(
    app: &App,
    organization: OrganizationId,
    people: Vec<&mut TicketPerson>,
) -> Result<(), Problem> {
    let users: BTreeSet<UserId> =
        people.iter().filter(|person| person.side == Side::Organization).map(|person| person.id).collect();
    let mut names = names(app, organization, users).await?;
    for person in people {
        match person.side {
            Side::Organization => person.name = names.get_mut(&person.id).and_then(|name| name.clone()),
            Side::Staff => person.staff_number = Some(app.staff_numbers.of(person.id)),
        }
    }
    Ok(())
}

async fn names(
    app: &App,
    organization: OrganizationId,
    users: BTreeSet<UserId>,
) -> Result<HashMap<UserId, Option<String>>, Problem> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let (partition, limit) = (app.partition(organization).await?, users.len());
    let users: Vec<Value> = users.iter().map(ColumnType::to_value).collect();
    let conditions = vec![Condition::Equal("organization", organization.to_value()), Condition::OneOf("user", users)];
    let rows = app.views.rows::<Users>(&Query { partition, conditions, limit, ..Query::default() }).await?;
    Ok(rows.into_iter().map(|row| (row.user, row.name)).collect())
}
