//! Logging (`--log-driver`, `--log-opt`).

use serde::{Deserialize, Serialize};

/// All a user says of a container's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSpec {
    /// Driver; k8s-file when absent.
    pub driver: Option<LogDriver>,
    /// Bytes of one file; `None` is the default bound, `Some(-1)` unlimited.
    pub max_size: Option<i64>,
    /// Number of files.
    pub max_files: Option<u32>,
    /// Where, instead of beside the container.
    pub path: Option<String>,
    /// Tag template.
    pub tag: Option<String>,
    /// Labels put in the journal (`label=`), as `key=value`.
    pub labels: Vec<String>,
}

/// Where output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// Lines of the Kubernetes format.
    K8sFile,
    /// Docker's JSON lines.
    JsonFile,
    /// The journal.
    Journald,
    /// The caller's own descriptors.
    Passthrough,
    /// The caller's own terminal.
    PassthroughTty,
    /// Nowhere.
    None,
}
