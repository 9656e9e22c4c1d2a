//! Handing over what users leave when they are deactivated: open port calls and tickets.

use porttask_app::{
    operations::port_calls::{AGENT_ROLES, can_be_agent},
    support::requesters::can_be_requester,
};
use porttask_domain::{
    TextEnum, UserId,
    identity::User,
    operations::{
        PortCall,
        port_call::{self, PortCallId},
    },
    support::{
        Ticket,
        ticket::{self, Side, TicketId},
    },
};
use porttask_projections::{ColumnType, ReadModel, operations::port_call::PortCalls, support::ticket::Tickets};
use porttask_runtime::{
    execute::{self, ExecuteError, Outcome, Tx},
    views::{Condition, Query},
};

use crate::http::{app::App, permissions::Permission, problem::Problem, request::Authorized};

/// Maximum port calls, and tickets, that are listed and handed over.
const MOST: usize = 500;

/// What a user leaves.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenWork {
    /// The open port calls for which the user is responsible.
    pub(super) port_calls: Vec<PortCallId>,
    /// The open tickets in which the user asks.
    pub(super) tickets: Vec<TicketId>,
}

impl OpenWork {
    /// What a user leaves; `is_current` waits for the read models.
    ///
    /// # Errors
    /// If a read model fails or is behind.
    pub(super) async fn of<P: Permission>(
        app: &App,
        caller: &Authorized<P>,
        user: UserId,
        is_current: bool,
    ) -> Result<Self, Problem> {
        if is_current {
            caller.catch_up(app, PortCalls::NAME).await?;
            caller.catch_up(app, Tickets::NAME).await?;
        }
        let (partition, organization) = (app.partition(caller.organization).await?, caller.organization.to_value());
        let query = |conditions: Vec<Condition>, sort: Vec<&'static str>| {
            let conditions = [Condition::Equal("organization", organization.clone())].into_iter().chain(conditions);
            Query { partition, conditions: conditions.collect(), sort, limit: MOST, ..Query::default() }
        };
        let is_open = |status: &&port_call::Status| !status.is_final();
        let open = port_call::Status::ALL.iter().filter(is_open).map(ColumnType::to_value).collect();
        let calls = vec![Condition::Equal("agent", user.to_value()), Condition::OneOf("status", open)];
        let calls = app.views.rows::<PortCalls>(&query(calls, vec!["eta", "port_call"])).await?;
        let tickets = vec![
            Condition::Equal("requester", user.to_value()),
            Condition::Equal("status", ticket::Status::Open.to_value()),
            Condition::Equal("opened_side", Side::Organization.to_value()),
        ];
        let tickets = app.views.rows::<Tickets>(&query(tickets, vec!["ticket_number", "ticket"])).await?;
        Ok(Self {
            port_calls: calls.into_iter().map(|row| row.port_call).collect(),
            tickets: tickets.into_iter().map(|row| row.ticket).collect(),
        })
    }

    /// Hands it over. What was changed meanwhile is left.
    ///
    /// # Errors
    /// If the log fails: a repetition hands over the rest.
    pub(super) async fn hand_over<P: Permission>(
        &self,
        app: &App,
        caller: &Authorized<P>,
        (user, successor): (UserId, UserId),
    ) -> Result<(), Problem> {
        let request = &execute::Request::new(caller.organization, caller.meta.clone());
        for id in self.port_calls.iter().copied() {
            let assign = move |tx: Tx| async move {
                if tx.read::<PortCall>(id).await?.agent() == Some(user) && can_be_agent(&tx, successor).await? {
                    tx.decide::<PortCall>(id, &port_call::Command::Assign { agent: successor }).await?;
                }
                Ok::<_, ExecuteError>(())
            };
            done(app, caller, app.executor.transact(request, assign).await)?;
        }
        for id in self.tickets.iter().copied() {
            let hand_over = move |tx: Tx| async move {
                if can_be_requester(&tx.read::<User>(successor).await?) {
                    tx.decide::<Ticket>(id, &ticket::Command::HandOver { from: user, to: successor }).await?;
                }
                Ok::<_, ExecuteError>(())
            };
            done(app, caller, app.executor.transact(request, hand_over).await)?;
        }
        Ok(())
    }
}

/// Remembers a change as the caller's, who sees it in what they read next.
fn done<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    result: Result<Outcome, ExecuteError>,
) -> Result<(), Problem> {
    match result {
        Ok(Outcome { position: Some(position), .. }) => {
            app.last_changes.insert(caller.identity.credential.id(), position);
            Ok(())
        }
        Ok(_) | Err(ExecuteError::Rejected(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Rejects a successor who cannot go on with the work of a user.
///
/// # Errors
/// If the successor cannot be responsible for port calls, or cannot ask in tickets though there are some.
pub(super) async fn must_be_able<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    user: UserId,
    successor: UserId,
) -> Result<(), Problem> {
    let (state, _) = app.executor.load::<User>(caller.organization, successor).await?;
    let is_agent = state.rights().is_some_and(|(role, _)| AGENT_ROLES.contains(&role));
    if !is_agent || successor == user {
        let detail = "must be another active user of the organization with the role Admin or Agent";
        return Err(Problem::invalid("/hand_over_to", detail));
    }
    if !can_be_requester(&state) {
        let tickets = OpenWork::of(app, caller, user, true).await?.tickets.len();
        if tickets > 0 {
            let tickets = if tickets == 1 { "1 open ticket".to_owned() } else { format!("{tickets} open tickets") };
            let detail = format!(
                "must hold the permission `tickets:write` to take over {tickets}: grant it first, or name somebody else"
            );
            return Err(Problem::invalid("/hand_over_to", detail));
        }
    }
    Ok(())
}
