//! A document that exists.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Command, Content, Event, Rejection, Status, Subject, expiry};
use crate::{Personal, UserId};

/// A document that exists: only what `decide` needs.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub(super) name: Personal,
    /// The announced number of bytes.
    announced: u64,
    subject: Option<Subject>,
    pub(super) state: State,
    /// In which hour since 1970 somebody downloaded it last.
    downloads: BTreeMap<UserId, i64>,
}

#[derive(Debug, Clone)]
pub(super) enum State {
    /// The latest attempt differs from former ones in when it expires.
    Uploading {
        expires_at: Timestamp,
    },
    Stored(Content),
    Failed,
    Deleted,
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3_600)
}

impl Existing {
    /// The document whose upload an event started.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let Event::UploadStarted { name, bytes, expires_at, subject } = event else { return None };
        let state = State::Uploading { expires_at: *expires_at };
        Some(Self { name: name.clone(), announced: *bytes, subject: *subject, state, downloads: BTreeMap::new() })
    }

    pub(super) fn status(&self) -> Status {
        match &self.state {
            State::Uploading { .. } => Status::Uploading,
            State::Stored(_) => Status::Stored,
            State::Failed => Status::Failed,
            State::Deleted => Status::Deleted,
        }
    }

    /// The number of bytes that it claims.
    pub(super) fn held(&self) -> u64 {
        match &self.state {
            State::Uploading { .. } => self.announced,
            State::Stored(content) => content.bytes,
            State::Failed | State::Deleted => 0,
        }
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (command, &self.state) {
            (Command::StartUpload { document, name, bytes, subject, now }, state) => {
                let is_same =
                    (self.name.value(), self.announced, self.subject) == (Some(name.as_str()), *bytes, *subject);
                let is_tried_again = match state {
                    State::Uploading { expires_at } => is_same && *expires_at != expiry(*now),
                    State::Failed => true,
                    State::Stored(_) | State::Deleted => false,
                };
                match () {
                    () if is_tried_again => Ok(vec![Event::started(*document, name, *bytes, *subject, *now)]),
                    () if is_same => Ok(vec![]),
                    () => Err(Rejection::Exists),
                }
            }
            (Command::Store { sha256, bytes, content_type }, State::Uploading { .. }) => {
                let (sha256, bytes, content_type) = (sha256.clone(), *bytes, *content_type);
                Ok(vec![Event::Stored { sha256, bytes, content_type }])
            }
            (Command::Store { sha256, .. }, State::Stored(content)) if content.sha256 == *sha256 => Ok(vec![]),
            (Command::Store { .. }, State::Stored(_)) => Err(Rejection::Exists),
            (Command::Store { .. }, State::Failed) => Err(Rejection::UploadFailed),
            (Command::FailUpload { started_at }, State::Uploading { expires_at })
                if *expires_at == expiry(*started_at) =>
            {
                Ok(vec![Event::UploadFailed {}])
            }
            (Command::ExpireUpload { now }, State::Uploading { expires_at }) if expires_at <= now => {
                Ok(vec![Event::UploadFailed {}])
            }
            (Command::FailUpload { .. } | Command::ExpireUpload { .. }, _) => Ok(vec![]),
            (Command::Download { by, now }, State::Stored(_)) => match self.downloads.get(by) {
                Some(last) if *last == hour(*now) => Ok(vec![]),
                _ => Ok(vec![Event::Downloaded { by: *by, at: *now }]),
            },
            (Command::Delete, State::Stored(content)) => Ok(vec![Event::Deleted { bytes: content.bytes }]),
            (Command::Delete, State::Deleted) => Ok(vec![]),
            (Command::Delete, State::Uploading { .. }) => Err(Rejection::Uploading),
            (Command::Delete, State::Failed)
            | (Command::Store { .. }, State::Deleted)
            | (Command::Download { .. }, State::Uploading { .. } | State::Failed | State::Deleted) => {
                Err(Rejection::NotFound)
            }
        }
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        match event {
            Event::UploadStarted { name, bytes, expires_at, subject } => {
                (self.name, self.announced, self.subject) = (name.clone(), *bytes, *subject);
                self.state = State::Uploading { expires_at: *expires_at };
            }
            Event::Stored { sha256, bytes, content_type } => {
                let (sha256, bytes, content_type) = (sha256.clone(), *bytes, *content_type);
                self.state = State::Stored(Content { sha256, bytes, content_type });
            }
            Event::UploadFailed {} => self.state = State::Failed,
            Event::Downloaded { by, at } => {
                // Of earlier hours, nothing is needed.
                self.downloads.retain(|_, last| *last == hour(*at));
                self.downloads.insert(*by, hour(*at));
            }
            Event::Deleted { .. } => self.state = State::Deleted,
        }
    }
}
