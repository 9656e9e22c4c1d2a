//! One resource as a response: JSON, with its version as the ETag.

use axum::{
    Json,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use porttask_projections::{Row, Value};
use serde::Serialize;

use crate::http::response::etag;

/// A resource, and its version if it has one.
pub(crate) struct Resource<T> {
    item: T,
    version: Option<u64>,
}

impl<T> Resource<T> {
    pub(crate) fn new(item: T, version: Option<u64>) -> Self {
        Self { item, version }
    }

    /// With another item.
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Resource<U> {
        Resource { item: map(self.item), version: self.version }
    }
}

impl<T: Serialize> IntoResponse for Resource<T> {
    fn into_response(self) -> Response {
        let tag = self.version.and_then(etag);
        let headers: HeaderMap = tag.map(|tag| (header::ETAG, tag)).into_iter().collect();
        (headers, Json(self.item)).into_response()
    }
}

/// The `version` column of a row.
pub(super) fn version_of<R: Row>(row: &R) -> Option<u64> {
    let index = R::COLUMNS.iter().position(|column| column.name == "version")?;
    match row.to_values().into_iter().nth(index)? {
        Value::Integer(version) => u64::try_from(version).ok(),
        Value::Null | Value::Id(_) | Value::Boolean(_) | Value::Time(_) | Value::Text(_) => None,
    }
}
