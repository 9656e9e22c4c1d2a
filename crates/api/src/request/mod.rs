//! What a request says beside its body: who calls, from where, under what conditions.
//!
//! | file | what it owns |
//! |---|---|
//! | `client.rs` | address, device, id of the request |
//! | `allowed.rs` | a caller with a right, and where |
//! | `order.rs` | a command: its body, and what makes it safe to repeat |
//! | `body.rs` | JSON, with what is wrong with it |

mod allowed;
mod body;
mod client;
mod order;

pub(crate) use self::{
    allowed::Allowed,
    body::{Body, Nothing},
    client::{Client, REQUEST_ID, RequestId},
    order::{Order, OrderParameters},
};
