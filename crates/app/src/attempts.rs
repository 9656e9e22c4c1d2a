//! How often somebody may try to sign in: growing pauses for those who fail, and a ceiling for an account that only devices
//! pass that were let in before, so that nobody locks others out by failing in their name.
//!
//! Whether there is such an account changes nothing here: what is counted is the address that was typed. Each node counts
//! for itself, in bounded memory.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use parking::Mutex;
use porttask_domain::identity::EmailAddress;
use quick_cache::sync::Cache;

/// How many addresses and networks are remembered. Whoever was not seen for longest begins anew.
const REMEMBERED: usize = 100_000;
/// The longest pause after a failure.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(15);
/// After so long without a failure everything is forgotten.
const MEMORY: SignedDuration = SignedDuration::from_hours(24);
