//! The id in a path.

use std::{convert::Infallible, marker::PhantomData, str::FromStr};

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use porttask_domain::Aggregate;

use crate::http::{app::App, problem::Problem};

/// The id of an aggregate in the path, found by its prefix. An invalid id is rejected by [`Id::get`], after
/// authentication, so that strangers learn nothing.
pub(crate) struct Id<A: Aggregate>(Option<A::Id>, PhantomData<A>);

impl<A: Aggregate<Id: FromStr>> FromRequestParts<App> for Id<A> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        let path = parts.extract::<Path<Vec<(String, String)>>>().await;
        let values = path.map(|Path(values)| values).unwrap_or_default();
        Ok(Self(values.iter().find_map(|(_, text)| text.parse().ok()), PhantomData))
    }
}

impl<A: Aggregate> Id<A> {
    /// A known id.
    pub(crate) fn known(id: A::Id) -> Self {
        Self(Some(id), PhantomData)
    }

    /// The id.
    ///
    /// # Errors
    /// Not found, if the path contains no valid id.
    pub(crate) fn get(&self) -> Result<A::Id, Problem> {
        self.0.ok_or_else(Self::not_found)
    }

    /// The aggregate does not exist or is not visible to the caller.
    pub(crate) fn not_found() -> Problem {
        Problem::not_found(&A::CATEGORY.replace('_', "-"))
    }
}
