//! Query parameters that are not those of a listing.

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::http::{app::App, problem::Problem};

/// The query parameters of a request. Declare it after the caller, who is authenticated first.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned + Send + 'static> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let parsed = parts.extract::<Query<T>>().await;
        parsed.map(|Query(it)| Self(it)).map_err(|error| Problem::invalid("query", error.body_text()))
    }
}
