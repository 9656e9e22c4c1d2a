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
//! | `subscriptions.rs` | subscriptions with limits that tests choose |
//! | `admins.rs` | what admins do all day, at random |
//! | `child.rs` | a process that appends, to be killed or frozen |
//! | `proxy.rs` | a connection to PostgreSQL that breaks when it hurts most |

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod admins;
mod child;
mod engine;
mod history;
mod node;
mod proxy;
mod samples;
mod subscriptions;
pub mod vectors;
mod work;

pub use admins::work;
pub use child::{Appender, signal};
pub use engine::{Background, Engine, Fixture, Settings, Store, by, private_directory, run, run_on, run_sql, runtime};
pub use history::{History, faults};
pub use node::{Acme, MASTER_KEY, Node, accept, assert_refused, become_role, create, invite};
pub use proxy::{Proxy, Then, Trap};
pub use samples::{
    Dice, claim, count, counter_key, event, found, holder_of, idempotency_key, page_to_end, platform_stream, release,
    request_hash, simple, stream, value_of,
};
pub use subscriptions::noon_zone;
pub use work::{Acknowledged, Work};

/// Generates for each `async fn name(fixture: impl Fixture)`, usually with a fresh `Store`, the tests `sqlite::name` and
/// `postgres::name`. After `; waiting:` follow tests that mostly wait: unless tests are filtered by name, they run in the
/// background from the first test of the file on, and `waiting::sqlite::name` and `waiting::postgres::name` await them.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),* $(; waiting: $($waiting:ident),*)? $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { super::start_waiting(); $crate::run_on($crate::Engine::Sqlite, super::$name); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::start_waiting(); $crate::run_on($crate::Engine::Postgres, super::$name); })*
        }
        $(mod waiting {
            mod sqlite {
                $(#[test] fn $waiting() { super::$waiting.join($crate::Engine::Sqlite); })*
            }
            mod postgres {
                $(#[test] fn $waiting() { super::$waiting.join($crate::Engine::Postgres); })*
            }
            $(
                #[allow(non_upper_case_globals)]
                pub(super) static $waiting: $crate::Background =
                    $crate::Background::new(|engine| $crate::run_on(engine, super::$waiting));
            )*
        })?
        fn start_waiting() {
            $($(waiting::$waiting.start();)*)?
        }
    };
}

/// The table of users that was built first, second, …: whatever version the model has.
pub fn users_table(generation: impl std::fmt::Display) -> String {
    use porttask_projections::{ReadModel, identity::user::Users};
    format!("{}_v{}_g{generation}", Users::NAME, Users::VERSION)
}
