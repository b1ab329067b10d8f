//! Capabilities, seccomp, labels, masks, privileges.

use serde::{Deserialize, Serialize};

/// All a user says of a container's confinement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecuritySpec {
    /// `--privileged`.
    pub privileged: bool,
    /// `--cap-add`, as `CAP_NET_ADMIN` or `ALL`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`.
    pub cap_drop: Vec<String>,
    /// `--read-only`.
    pub read_only: bool,
    /// `--read-only-tmpfs`; on when absent.
    pub read_only_tmpfs: Option<bool>,
    /// `no-new-privileges`.
    pub no_new_privileges: bool,
    /// `seccomp=`.
    pub seccomp: SeccompChoice,
    /// `apparmor=`.
    pub apparmor: Option<String>,
    /// `label=`: `disable`, `nested`, `user:…`, `role:…`, `type:…`, `level:…`, `filetype:…`.
    pub label: Vec<String>,
    /// `mask=`.
    pub mask: Vec<String>,
    /// `unmask=`; `ALL` included.
    pub unmask: Vec<String>,
    /// `proc-opts=`.
    pub proc_options: Vec<String>,
    /// `nested` user namespaces allowed by the default filter (`seccomp=nested`).
    pub nested: bool,
}

/// `--security-opt seccomp=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeccompChoice {
    /// The built-in profile, or the one `containers.conf` names.
    #[default]
    Default,
    /// No filter.
    Unconfined,
    /// A profile file: its path and its text, read by the command line.
    Profile {
        /// Path, for messages and `inspect`.
        path: String,
        /// The JSON text.
        text: String,
    },
}
