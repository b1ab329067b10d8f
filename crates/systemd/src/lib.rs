//! What we say to systemd: scopes over D-Bus, readiness datagrams, journal entries.

pub mod journal;
pub mod notify;
