//! Invoices and credit notes: issuing, settling, collecting. A document is issued in one append with its number, what it
//! credits, and what of the subscription it bills.
//!
//! | file | what it owns |
//! |---|---|
//! | `issuing.rs` | who sells and buys, tax, numbers |
//! | `billing.rs` | documents of subscriptions |
//! | `crediting.rs` | which lines of earlier invoices a change credits |
//! | `settling.rs` | payments, balance, credit notes, void, correction |
//! | `rendering.rs` | the PDF and the electronic invoice |
//! | `verifying.rs` | whether an invoice follows from its sources |
//! | `collecting.rs` | charges on issue, and what happens while an invoice is not paid |

pub mod billing;
pub mod collecting;
mod crediting;
pub mod issuing;
pub mod rendering;
pub mod settling;
pub mod verifying;

use porttask_domain::Rejection;
use porttask_runtime::execute::ExecuteError;

/// A rejection as an error of a unit of work.
fn rejected(rejection: impl Rejection) -> ExecuteError {
    ExecuteError::Rejected(rejection.into())
}
