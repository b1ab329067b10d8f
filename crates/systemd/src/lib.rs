//! What we say to systemd: scopes over D-Bus, readiness datagrams, journal entries.
