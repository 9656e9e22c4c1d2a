//! The plans that every platform has.

use std::sync::Arc;

use porttask_domain::{
    Actor, Meta, OrganizationId,
    billing::{
        Plan,
        plan::{Code, Command, PlanId, ProductName, built_in},
        terms::Terms,
    },
};
use porttask_runtime::execute::{ExecuteError, Executor, Request, Tx};

/// Creates the built-in plans that do not exist yet.
///
/// # Errors
/// If they cannot be recorded.
pub async fn make_plans(executor: &Arc<Executor>) -> Result<(), ExecuteError> {
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    let create = move |tx: Tx| async move {
        for (plan, code, name, visibility, offer) in built_in() {
            let known: Plan = tx.read(plan).await?;
            let (Ok(code), Ok(name), false) = (Code::new(code), ProductName::new(name), known.exists()) else {
                continue;
            };
            let create = Command::Create { code, name, visibility, for_organization: None };
            tx.decide_all::<Plan>(plan, &[create, Command::Publish { offer }]).await?;
        }
        Ok::<_, ExecuteError>(())
    };
    executor.transact(&request, create).await.map(drop)
}

/// What holds in a trial that starts now: the limits of the plan Professional, and every feature.
///
/// # Errors
/// If the plan cannot be read.
pub async fn trial_terms(tx: &Tx) -> Result<Terms, ExecuteError> {
    let (plan, code, name) = (PlanId::PROFESSIONAL, "professional".to_owned(), "Professional".to_owned());
    let known: Plan = tx.read_in(OrganizationId::PLATFORM, plan).await?;
    let [_, (.., offer), _] = built_in();
    Ok(known.terms(plan).unwrap_or(Terms { plan, code, name, version: 1, offer }).in_trial())
}
