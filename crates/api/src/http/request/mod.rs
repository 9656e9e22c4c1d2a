//! What a request says beside its body: who calls, from where, under what conditions.
//!
//! | file | what it owns |
//! |---|---|
//! | `client.rs` | address, device, id of the request |
//! | `authorized.rs` | a caller with a right, and where |
//! | `request.rs` | a command: its body, and what makes it safe to repeat |
//! | `upload.rs` | a file |
//! | `body.rs` | JSON, with what is wrong with it |

mod authorized;
mod body;
mod client;
mod command;
mod upload;

pub(crate) use self::{
    authorized::{Authorized, bearer},
    body::{Body, Nothing},
    client::{Client, REQUEST_ID, RequestId, address, is_forwarded, peer},
    command::{CommandParameters, CommandRequest},
    upload::Upload,
};
