//! What the black-box tests share: stores of either engine, sample appends, checkers of what was recorded, and ways to
//! make machinery fail.
//!
//! | file | what it owns |
//! |---|---|
//! | `engine.rs` | a fresh store on either engine, opened as often as needed |
//! | `samples.rs` | appends and their parts, in few words |
//! | `history.rs` | everything that a log holds, and what is wrong with it |
//! | `work.rs` | appends whose traces tell whether they were recorded once and whole |
//! | `node.rs` | a node that carries out commands, and commands in few words |
//! | `admins.rs` | what admins do all day, at random |
//! | `child.rs` | a process that appends, to be killed or frozen |
//! | `proxy.rs` | a connection to PostgreSQL that breaks when it hurts most |

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod admins;
mod child;
mod engine;
mod history;
mod node;
mod proxy;
mod samples;
mod work;

pub use admins::work;
pub use child::{Appender, signal};
pub use engine::{Engine, Settings, Store, by, run, run_on, runtime};
pub use history::{History, faults};
pub use node::{Acme, MASTER_KEY, Node, accept, assert_refused, become_role, create, invite};
pub use proxy::{Proxy, Then, Trap};
pub use samples::{
    Dice, claim, count, counter_key, event, found, holder_of, idempotency_key, page_to_end, platform_stream, release,
    request_hash, simple, stream, value_of,
};
pub use work::{Acknowledged, Work};

/// Makes of each `async fn name(store: Store)` the tests `sqlite::name` and `postgres::name`.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { $crate::run_on($crate::Engine::Sqlite, super::$name); })*
        }
        mod postgres {
            $(#[test] fn $name() { $crate::run_on($crate::Engine::Postgres, super::$name); })*
        }
    };
}

/// The table of users that was built first, second, …: whatever version the model has.
pub fn users_table(generation: impl std::fmt::Display) -> String {
    use porttask_projections::{ReadModel, identity::user::Users};
    format!("{}_v{}_g{generation}", Users::NAME, Users::VERSION)
}
