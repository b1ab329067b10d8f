//! The program: command, environment, user, terminal, signals, limits.

use serde::{Deserialize, Serialize};

/// The program of a container, as far as the user spoke of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessSpec {
    /// Arguments after the image.
    pub command: Vec<String>,
    /// `--entrypoint`: `Some([])` clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// `-e` and `--env-file`, in order; values already resolved by the command line.
    pub env: Vec<(String, String)>,
    /// `--env-merge`: values with `${NAME}` of the image's environment.
    pub env_merge: Vec<(String, String)>,
    /// `--unsetenv`.
    pub unset_env: Vec<String>,
    /// `--unsetenv-all`.
    pub unset_env_all: bool,
    /// Proxy variables of the host are passed in (`--http-proxy`, on by default).
    pub http_proxy: Option<bool>,
    /// Environment of the host (`--env-host`), captured by the command line.
    pub host_env: Vec<(String, String)>,
    /// `--workdir`.
    pub workdir: Option<String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--group-add`; `keep-groups` included.
    pub groups: Vec<String>,
    /// `--tty`.
    pub terminal: bool,
    /// `--interactive`.
    pub interactive: bool,
    /// `--umask`, four octal digits.
    pub umask: Option<u32>,
    /// `--tz`: a zone, or `local`.
    pub timezone: Option<String>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// `--oom-score-adj`.
    pub oom_score_adj: Option<i32>,
    /// `--preserve-fds`: this many from descriptor 3 on.
    pub preserve_fds: u32,
    /// `--preserve-fd`: these.
    pub preserve_fd: Vec<u32>,
}

/// One resource limit; -1 is unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Name without `RLIMIT_`, lower case; `host` takes all of the caller's.
    pub name: String,
    /// Soft limit.
    pub soft: i64,
    /// Hard limit.
    pub hard: i64,
}

/// A signal number, read from `TERM`, `SIGTERM`, `15` or `RTMIN+3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(pub i32);

/// A health check; times in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthSpec {
    /// `NONE`, `CMD …` or `CMD-SHELL …`.
    pub test: Vec<String>,
    /// Time between checks.
    pub interval: Option<u64>,
    /// Time one check may take.
    pub timeout: Option<u64>,
    /// Time at the start in which failures do not count.
    pub start_period: Option<u64>,
    /// Failures until unhealthy.
    pub retries: Option<u32>,
    /// What happens when unhealthy.
    pub on_failure: Option<String>,
}
