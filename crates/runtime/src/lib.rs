//! The OCI runtime: a config.json becomes a process.
