//! A stream that tells when something has changed, so that pages can show it.
//!
//! It says only that, and up to which position: what has changed is read with the operations for that, which check
//! permissions and record reads.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use porttask_domain::SessionId;
use porttask_projections::{ColumnType, ReadModel, compliance::audit_log as view};
use porttask_runtime::{
    log::{Offset, PartitionId, Position},
    views::{Condition, Direction, Query},
};
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    permissions::{Background, Impersonable, SignedIn, is_staff},
    problem::Problem,
    request::Authorized,
    shares::Share,
};

/// The routes of positions.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("positions", "When something has changed.").routes(routes!(stream_positions))
}

/// Maximum number of streams of a session.
pub(crate) const STREAMS_PER_SESSION: usize = 2;
/// The shortest time between two messages.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest time without a message or comment, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the caller is authenticated again.
const CONFIRM_EVERY: Duration = Duration::from_secs(30);
/// How long to wait until the views include what has changed.
const CATCH_UP: Duration = Duration::from_secs(2);
/// When a caller whose stream was refused may try again.
const RETRY_SECONDS: u32 = 30;

/// The data of a message.
#[derive(Serialize, ToSchema)]
pub(crate) struct PositionEvent {
    /// The position that the views have reached, for `Porttask-At-Least`.
    #[schema(example = "pos_0yXgVn4Rk1m5Z8b3cD7eF9gH2iJ4kL6mN8oP0qR2sT4")]
    position: String,
}

/// Stream positions: when something has changed in the caller's organization, for staff of the platform in any.
///
/// Server-sent events: first `position`, the present one; then `moved` with each change, at most one a second. Read again
/// what you show. With `Last-Event-ID`, the first message is `moved` if something has changed since. A session has at most
/// two streams, which do not count as its use; a stream ends with its session and when the node stops. Where there are too
/// many streams (429), read again from time to time instead.
#[utoipa::path(get, path = "/v1/events/positions", tag = "positions", extensions(("x-impersonable" = json!(true))),
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last message received.")),
    responses((status = 200, description = "A stream of messages.", body = PositionEvent,
        content_type = "text/event-stream")))]
pub(crate) async fn stream_positions(
    State(app): State<App>,
    caller: Authorized<Impersonable<Background<SignedIn>>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = caller.session()?;
    let too_many =
        |detail| Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", detail).after(RETRY_SECONDS);
    let share = app.streams.take(session).ok_or_else(|| {
        too_many("This session has two streams already: end one of them, or read again from time to time.")
    })?;
    let place =
        app.stream_place().ok_or_else(|| too_many("Too many streams are open: read again from time to time."))?;
    let partitions = match is_staff(&caller.identity) {
        true => app.partitions().await?,
        false => vec![caller.partition],
    };
    let heads = partitions.into_iter().filter_map(|it| Some((it, app.database.subscribe(it)?))).collect();
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let (now, stopping) = (Instant::now(), app.stopping());
    // Comments keep the connection open also where idle ones are closed early.
    let heartbeat = HEARTBEAT.min(app.settings.connections.idle_timeout / 2);
    let watch = Watch {
        caller,
        heads,
        seen,
        last: None,
        confirm_at: now + CONFIRM_EVERY,
        stopping,
        _held: (share, place),
        app,
    };
    let messages = stream::unfold(watch, |watch| async move {
        let (event, watch) = watch.next().await?;
        Some((Ok::<_, Infallible>(event), watch))
    });
    let mut response = Sse::new(messages).keep_alive(KeepAlive::new().interval(heartbeat)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies must not collect messages.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// A stream.
struct Watch {
    app: App,
    caller: Authorized<Impersonable<Background<SignedIn>>>,
    /// The partitions and their heads.
    heads: Vec<(PartitionId, watch::Receiver<Offset>)>,
    /// The last message that the client received in an earlier stream.
    seen: Option<String>,
    /// The positions as of the last message, and when it was sent.
    last: Option<(Vec<Position>, Instant)>,
    confirm_at: Instant,
    stopping: watch::Receiver<bool>,
    _held: (Share<SessionId>, OwnedSemaphorePermit),
}

impl Watch {
    /// The next message; `None` at the end of the session, and when the node stops.
    async fn next(mut self) -> Option<(Event, Self)> {
        if self.last.is_none() {
            let positions = self.positions().await.unwrap_or_default();
            let token = self.token(&positions, &[]);
            self.last = Some((positions, Instant::now()));
            // The position of one partition does not say whether others have moved.
            let is_alone = self.heads.len() == 1;
            let has_moved = self.seen.take().is_some_and(|seen| !is_alone || seen != token);
            return Some((message(if has_moved { "moved" } else { "position" }, token), self));
        }
        loop {
            let mut stopping = self.stopping.clone();
            let is_stopping = tokio::select! {
                biased;
                _ = stopping.wait_for(|is_stopping| *is_stopping) => true,
                () = self.wait() => false,
            };
            if is_stopping {
                return None;
            }
            let before = self.last.as_ref().map(|(last, _)| last.clone()).unwrap_or_default();
            // Without an answer, nothing is known to have moved: the next attempt finds it.
            let moved = self.positions().await.filter(|now| *now != before);
            if moved.is_some() || Instant::now() >= self.confirm_at {
                self.caller.authenticate_again(&self.app).await.ok()?;
                self.confirm_at = Instant::now() + CONFIRM_EVERY;
            }
            if let Some(now) = moved {
                let token = self.token(&now, &before);
                self.last = Some((now, Instant::now()));
                return Some((message("moved", token), self));
            }
        }
    }

    /// Waits until a head has risen, but not less than the pause after the last message, or until it is time to
    /// authenticate again.
    async fn wait(&mut self) {
        let confirm_at = self.confirm_at;
        if let Some((_, at)) = self.last {
            sleep_until(at + PAUSE).await;
        }
        let risen = self.heads.iter_mut().map(|(_, head)| Box::pin(head.changed()));
        tokio::select! {
            (result, ..) = futures_util::future::select_all(risen) => {
                if result.is_err() {
                    // The log was closed: the node stops.
                    sleep_until(confirm_at).await;
                }
            }
            () = sleep_until(confirm_at) => {}
        }
    }

    /// The token of a position that differs from those of before, or else of the first.
    fn token(&self, positions: &[Position], before: &[Position]) -> String {
        let start = Position { partition: self.caller.partition, offset: Offset::START };
        let new = positions.iter().find(|position| !before.contains(position));
        let position = new.or(positions.first()).copied().unwrap_or(start);
        self.app.positions.seal(self.caller.identity.organization, position)
    }

    /// The position of the last change of the caller's organization, for staff of each partition, that the views include.
    async fn positions(&mut self) -> Option<Vec<Position>> {
        let head = |(partition, head): &mut (PartitionId, watch::Receiver<Offset>)| Position {
            partition: *partition,
            offset: *head.borrow_and_update(),
        };
        let heads: Vec<Position> = self.heads.iter_mut().map(head).collect();
        for head in &heads {
            // What the views do not include in time is found by a later attempt.
            _ = self.app.views.wait_for(view::AuditLog::NAME, *head, CATCH_UP).await;
        }
        if is_staff(&self.caller.identity) {
            return Some(heads);
        }
        let query = Query {
            partition: self.caller.partition,
            conditions: vec![Condition::Equal("organization", self.caller.organization.to_value())],
            sort: vec!["offset"],
            direction: Direction::Descending,
            limit: 1,
            ..Query::default()
        };
        let rows = self.app.views.rows::<view::AuditLog>(&query).await;
        let rows = rows.inspect_err(|error| tracing::warn!(%error, "a stream of positions is behind"));
        let last = |row: &view::Entry| Position { partition: self.caller.partition, offset: Offset(row.offset) };
        Some(rows.ok()?.first().map(last).into_iter().collect())
    }
}

fn message(name: &'static str, position: String) -> Event {
    let event = Event::default().event(name).id(&position);
    event.json_data(PositionEvent { position }).unwrap_or_else(|error| unreachable!("a message is not JSON: {error}"))
}
