//! A listing as a whole, as CSV: recorded first, then streamed page by page.

use std::marker::PhantomData;

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use porttask_domain::{
    Capability, ExportId, Personal,
    compliance::{Export, export},
};
use porttask_runtime::{
    execute::{Request, Tx},
    log::Position,
    new_id,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Authorized, List, Listed};
use crate::http::{
    app::App,
    csv::{self, Head, csv},
    listing::{Listing, MAX_LIMIT},
    permissions::Permission,
    problem::Problem,
    response::POSITION,
};

/// The format of a listing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ListFormat {
    /// In pages.
    #[default]
    Json,
    /// Whole, as CSV (RFC 4180, with a byte order mark and a header line).
    Csv,
}

/// A listing that can be exported.
pub(crate) trait Exported: Listed {
    /// The name of the file, without its ending.
    const FILE: &'static str;
    /// The header line.
    const NAMES: &'static [&'static str];

    /// The format that is asked for.
    fn format(filter: &Self::Filter) -> ListFormat;

    /// The command that records the export, with the words that are searched.
    fn recorded(filter: &Self::Filter, text: Option<Personal>) -> export::Command;

    /// The fields of a line, as in [`Exported::NAMES`].
    fn fields(item: Self::Item) -> Vec<String>;
}

impl<P: Permission, M: Exported> List<P, M> {
    /// The page, or the whole listing, in the format that is asked for.
    ///
    /// # Errors
    /// If a parameter is not valid, or the view cannot be read.
    pub(crate) async fn answer(self, app: &App) -> Result<Response, Problem> {
        match M::format(&self.filter) {
            ListFormat::Json => Ok(self.page(app).await?.into_response()),
            ListFormat::Csv => self.export(app).await,
        }
    }

    async fn export(mut self, app: &App) -> Result<Response, Problem> {
        let paging = &self.paging;
        for (name, is_given) in
            [("limit", paging.limit.is_some()), ("cursor", paging.cursor.is_some()), ("count", paging.count)]
        {
            if is_given {
                return Err(Problem::invalid(name, "must be left out: CSV contains all rows".to_owned()));
            }
        }
        let organization = self.caller.organization;
        let text = paging.q.clone().filter(|text| !text.trim().is_empty());
        let command = M::recorded(&self.filter, text.map(|text| Personal::identity(organization, text)));
        self.paging.limit = Some(MAX_LIMIT);
        let (caller, listing) = self.begin(app, None).await?;
        let position = record(app, &caller, &command).await?;
        let token = app.positions.seal(caller.identity.organization, position);
        let mut rest = Rest { app: app.clone(), caller, listing, is_broken: false, model: PhantomData::<fn() -> M> };
        // The first page is read before the answer, so that a failure is one, and reads by staff are recorded.
        let first = rest.page(Head::BomAndNames).await?.unwrap_or_default();
        // Whoever compresses it asks once more after its end.
        let rest = stream::unfold(rest, Rest::next).fuse();
        let body = Body::from_stream(stream::iter([Ok(Bytes::from(first))]).chain(rest));
        Ok(attachment(body, &format!("{}-{organization}", M::FILE), &token))
    }
}

/// Lines that are known as a whole, as CSV: recorded first.
///
/// # Errors
/// If the export cannot be recorded.
pub(crate) async fn whole<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    command: &export::Command,
    (file, names): (&str, &[&str]),
    lines: Vec<Vec<String>>,
) -> Result<Response, Problem> {
    let position = record(app, caller, command).await?;
    let token = app.positions.seal(caller.identity.organization, position);
    let body = csv(lines, names, Head::BomAndNames).map_err(|error| Problem::unavailable(&error))?;
    Ok(attachment(Body::from(body), &format!("{file}-{}", caller.organization), &token))
}

fn attachment(body: Body, file: &str, token: &str) -> Response {
    attachment_of(body, csv::CONTENT_TYPE, &format!("{file}.csv"), token)
}

/// A file as the answer, with the position at which its export was recorded.
pub(crate) fn attachment_of(body: Body, content_type: &str, file: &str, token: &str) -> Response {
    let mut response = body.into_response();
    for (header, value) in [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (HeaderName::from_static(POSITION), token.to_owned()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(header, value);
        }
    }
    response
}

/// Records an export; its position.
///
/// # Errors
/// If the caller has lost the permission, or it cannot be recorded.
pub(crate) async fn record<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    command: &export::Command,
) -> Result<Position, Problem> {
    let id: ExportId = new_id();
    let request = Request::new(caller.organization, caller.meta.clone()).needing(Capability::Settle);
    let work = move |tx: Tx| async move {
        caller.authorize(app, &tx).await?;
        Ok::<_, Problem>(tx.decide_new::<Export>(id, command).await?)
    };
    let outcome = app.executor.transact(&request, work).await?;
    let position = outcome.position.ok_or_else(|| Problem::unavailable(&"the export was not recorded"))?;
    app.last_changes.insert(caller.identity.credential.id(), position);
    Ok(position)
}

/// The rest of an export.
struct Rest<P, M> {
    app: App,
    caller: Authorized<P>,
    listing: Listing,
    is_broken: bool,
    model: PhantomData<fn() -> M>,
}

/// Why an export was aborted. The connection is aborted, too, so that a partial export is not taken for a complete one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Aborted {
    /// The caller may no longer read it.
    #[error("the export was aborted: the authorization was lost")]
    Unauthorized,
    /// It could not be read.
    #[error("the export was aborted: the rows could not be read")]
    Unreadable,
}

impl<P: Permission, M: Exported> Rest<P, M> {
    async fn next(mut self) -> Option<(Result<Bytes, Aborted>, Self)> {
        if self.is_broken {
            return None;
        }
        let page = match self.caller.authenticate_again(&self.app).await {
            Err(_) => Err(Aborted::Unauthorized),
            Ok(()) => self.page(Head::None).await.map_err(|_| Aborted::Unreadable),
        };
        let page = page.transpose()?.map(Bytes::from);
        if let Err(error) = &page {
            self.is_broken = true;
            tracing::error!(%error, "an export of a listing was aborted");
        }
        Some((page, self))
    }

    /// The next lines; `None` after the last.
    async fn page(&mut self, head: Head) -> Result<Option<Vec<u8>>, Problem> {
        let Some(rows) = self.listing.next::<M>(&self.app).await? else { return Ok(None) };
        let items = rows.into_iter().map(M::Item::from).collect();
        let items = M::complete(&self.app, self.caller.organization, items).await?;
        self.caller.shows_items(&items);
        let lines = csv(items.into_iter().map(M::fields), M::NAMES, head);
        lines.map(Some).map_err(|error| Problem::unavailable(&error))
    }
}
