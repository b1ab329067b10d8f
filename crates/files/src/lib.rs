//! Files below a held directory, atomic writes, locks, names claimed by link.
