//! Query parameters that are not those of a listing.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;

use super::query;
use crate::http::{app::App, problem::Problem};

/// The query parameters of a request. Declare it after the caller, who is authenticated first.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned + Send + 'static> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        query::parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}
