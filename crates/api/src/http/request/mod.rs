//! Extractors: caller, client, preconditions, body, filters.
//!
//! | file | what it owns |
//! |---|---|
//! | `client.rs` | IP address, device, request id |
//! | `authorized.rs` | a caller with a permission, and the organization |
//! | `id.rs` | the id in a path |
//! | `list.rs` | a listing: filter, sort, page |
//! | `exported.rs` | a listing as a whole, as CSV |
//! | `params.rs` | other query parameters |
//! | `resource.rs` | one resource, with its ETag |
//! | `command.rs` | a command: body, precondition, idempotency key |
//! | `etag.rs` | preconditions on versions |
//! | `query.rs` | query strings, and what is wrong with each parameter |
//! | `upload.rs` | a file upload |
//! | `stream.rs` | a file upload that is streamed |
//! | `body.rs` | JSON bodies and their validation errors |

mod authorized;
mod body;
mod client;
mod command;
mod etag;
mod exported;
mod id;
mod list;
mod params;
mod query;
mod resource;
mod stream;
mod upload;

pub(crate) use self::{
    authorized::{Authorized, bearer},
    body::{Body, EmptyBody, read_at_most},
    client::{Client, REQUEST_ID, RequestId, address, is_forwarded, peer},
    command::{CommandParameters, CommandRequest, reached_limit},
    etag::is_known,
    exported::{Aborted, Exported, ListFormat, attachment_of, record, whole},
    id::Id,
    list::{List, ListParameters, Listed},
    params::Params,
    query::{Instant, whole_microseconds},
    resource::Resource,
    stream::StreamedUpload,
    upload::Upload,
};
pub(crate) use porttask_domain::merge_patch::{not_null, nullable};
