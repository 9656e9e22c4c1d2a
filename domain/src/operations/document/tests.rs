use uuid::Uuid;

use super::*;
use crate::{Personal, operations::port_call::PortCallId, testing::given};

const DOCUMENT: DocumentId = DocumentId(Uuid::from_u128(31));
const BOB: UserId = UserId(Uuid::from_u128(11));

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn start(bytes: u64) -> Command {
    start_for(None, bytes)
}

fn start_for(subject: Option<Subject>, bytes: u64) -> Command {
    start_at(0, subject, bytes)
}

fn start_at(second: i64, subject: Option<Subject>, bytes: u64) -> Command {
    Command::StartUpload { document: DOCUMENT, name: DocumentName::new("crew.pdf"), bytes, subject, now: at(second) }
}

fn started() -> Event {
    started_for(None)
}

fn started_for(subject: Option<Subject>) -> Event {
    started_at(0, subject)
}

fn started_at(second: i64, subject: Option<Subject>) -> Event {
    let name = Personal::identity(DOCUMENT, "crew.pdf");
    Event::UploadStarted { name, bytes: 10, expires_at: at(second + 3_600), subject }
}

fn fail(second: i64) -> Command {
    Command::FailUpload { started_at: at(second) }
}

fn store(sha256: &str) -> Command {
    Command::Store { sha256: sha256.to_owned(), bytes: 9, content_type: ContentType::Pdf }
}

fn stored() -> Event {
    Event::Stored { sha256: "aa".to_owned(), bytes: 9, content_type: ContentType::Pdf }
}

fn download(second: i64) -> Command {
    Command::Download { by: BOB, now: at(second) }
}

fn downloaded(second: i64) -> Event {
    Event::Downloaded { by: BOB, at: at(second) }
}

#[test]
fn an_upload_is_started_once_and_stored_once() {
    given::<Document>([]).when(start(10)).then([started()]);
    given::<Document>([started()]).when(start(10)).then([]);
    given::<Document>([started()]).when(start(11)).then_rejected(Rejection::Exists);
    given::<Document>([started()]).when(store("aa")).then([stored()]);
    given::<Document>([started(), stored()]).when(start(10)).then([]);
    given::<Document>([started(), stored()]).when(store("bb")).then_rejected(Rejection::Exists);
    given::<Document>([]).when(store("aa")).then_rejected(Rejection::NotFound);
}

#[test]
fn a_document_belongs_to_the_same_subject_for_ever() {
    let call = |id: u128| Some(Subject::PortCall(PortCallId(Uuid::from_u128(id))));
    given::<Document>([]).when(start_for(call(5), 10)).then([started_for(call(5))]);
    given::<Document>([started_for(call(5))]).when(start_for(call(5), 10)).then([]);
    for other in [None, call(6)] {
        given::<Document>([started_for(call(5))]).when(start_for(other, 10)).then_rejected(Rejection::Exists);
    }
    let failed = Event::UploadFailed {};
    given::<Document>([started_for(call(5)), failed]).when(start_for(call(6), 10)).then([started_for(call(6))]);
}

#[test]
fn an_upload_that_fails_or_expires_is_never_stored() {
    let failed = Event::UploadFailed {};
    given::<Document>([started()]).when(fail(0)).then([failed.clone()]);
    given::<Document>([started()]).when(Command::ExpireUpload { now: at(3_599) }).then([]);
    given::<Document>([started()]).when(Command::ExpireUpload { now: at(3_600) }).then([failed.clone()]);
    given::<Document>([started(), failed.clone()]).when(store("aa")).then_rejected(Rejection::UploadFailed);
    given::<Document>([started(), failed.clone()]).when(start(10)).then([started()]);
    given::<Document>([started(), failed.clone(), started()]).when(store("aa")).then([stored()]);
    given::<Document>([started(), failed]).when(Command::Delete).then_rejected(Rejection::NotFound);
    given::<Document>([started(), stored()]).when(fail(0)).then([]);
    given::<Document>([started(), stored()]).when(Command::ExpireUpload { now: at(9_999) }).then([]);
}

#[test]
fn a_retry_takes_over_an_upload_in_progress() {
    let retried = || [started(), started_at(15, None)];
    given::<Document>([started()]).when(start_at(15, None, 10)).then([started_at(15, None)]);
    given::<Document>([started()]).when(start_at(15, None, 11)).then_rejected(Rejection::Exists);
    // What was taken over neither fails nor expires, but what it received completely is kept.
    given::<Document>(retried()).when(fail(0)).then([]);
    given::<Document>(retried()).when(Command::ExpireUpload { now: at(3_600) }).then([]);
    given::<Document>(retried()).when(store("aa")).then([stored()]);
    given::<Document>(retried()).when(fail(15)).then([Event::UploadFailed {}]);
    given::<Document>(retried()).when(Command::ExpireUpload { now: at(3_615) }).then([Event::UploadFailed {}]);
    given::<Document>([started(), stored()]).when(start_at(15, None, 10)).then([]);
}

#[test]
fn a_download_is_recorded_once_per_person_and_hour() {
    given::<Document>([started(), stored()]).when(download(10)).then([downloaded(10)]);
    given::<Document>([started(), stored(), downloaded(10)]).when(download(3_599)).then([]);
    given::<Document>([started(), stored(), downloaded(10)]).when(download(3_600)).then([downloaded(3_600)]);
    given::<Document>([started()]).when(download(10)).then_rejected(Rejection::NotFound);
}

#[test]
fn what_is_deleted_is_gone() {
    let deleted = Event::Deleted { bytes: 9 };
    given::<Document>([started()]).when(Command::Delete).then_rejected(Rejection::Uploading);
    given::<Document>([started(), stored()]).when(Command::Delete).then([deleted.clone()]);
    given::<Document>([started(), stored(), deleted.clone()]).when(Command::Delete).then([]);
    given::<Document>([started(), stored(), deleted]).when(download(10)).then_rejected(Rejection::NotFound);
}

/// What events add to the counter of bytes.
fn counted(events: &[Event]) -> Vec<i64> {
    let mut document = Document::default();
    let mut count = |event: &Event| {
        let constraints = document.constraints(event);
        document.evolve(event);
        constraints.into_iter().map(|constraint| match constraint {
            Constraint::Count { by, .. } => by,
            Constraint::Claim { .. } | Constraint::Release { .. } => panic!("no counter"),
        })
    };
    events.iter().flat_map(|event| count(event).collect::<Vec<_>>()).collect()
}

#[test]
fn bytes_are_claimed_at_the_start_and_released_at_the_end() {
    assert_eq!(counted(&[started(), stored(), downloaded(10), Event::Deleted { bytes: 9 }]), [10, -1, -9]);
    assert_eq!(counted(&[started(), Event::UploadFailed {}]), [10, -10]);
    assert_eq!(counted(&[started(), Event::UploadFailed {}, started(), stored()]), [10, -10, 10, -1]);
    assert_eq!(counted(&[started(), started_at(15, None), stored()]), [10, -1], "a retry claims nothing more");
}
