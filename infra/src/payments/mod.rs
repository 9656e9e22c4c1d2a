//! Payment providers.
//!
//! | file | what it owns |
//! |---|---|
//! | `simulator.rs` | a provider that moves no money: for demonstrations and tests |
//! | `stripe.rs` | Stripe |

mod simulator;
mod stripe;

pub use self::{
    simulator::PaymentSimulator,
    stripe::{Stripe, StripeSettings},
};
