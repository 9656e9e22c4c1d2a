//! What a request says beside its body: who calls, from where, under what conditions.
//!
//! | file | what it owns |
//! |---|---|
//! | `client.rs` | address, device, id of the request |
//! | `allowed.rs` | a caller with a right, and where |
//! | `order.rs` | a command: its body, and what makes it safe to repeat |
//! | `upload.rs` | a file |
//! | `body.rs` | JSON, with what is wrong with it |

mod allowed;
mod body;
mod client;
mod order;
mod upload;

pub(crate) use self::{
    allowed::{Allowed, bearer},
    body::{Body, Nothing},
    client::{Client, REQUEST_ID, RequestId, address, is_forwarded, peer},
    order::{Order, OrderParameters},
    upload::Upload,
};
