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

/// Signals by name (signal(7), Linux x86 and Arm).
const SIGNALS: [(&str, i32); 35] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("UNUSED", 31),
];
/// The first real-time signal that glibc leaves to programs, and the last.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

impl std::str::FromStr for Signal {
    type Err = crate::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || crate::ParseError::new("signal", text, "it is a name such as TERM or SIGTERM, RTMIN+n, or a number from 1 to 64");
        if let Some(number) = crate::quantity::digits::<i32>(text) {
            return if (1..=RTMAX).contains(&number) { Ok(Self(number)) } else { Err(invalid()) };
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*number));
        }
        let number = if let Some(offset) = name.strip_prefix("RTMIN") {
            if offset.is_empty() {
                Some(RTMIN)
            } else {
                offset.strip_prefix('+').and_then(crate::quantity::digits::<i32>).map(|n| RTMIN.saturating_add(n))
            }
        } else if let Some(offset) = name.strip_prefix("RTMAX") {
            if offset.is_empty() {
                Some(RTMAX)
            } else {
                offset.strip_prefix('-').and_then(crate::quantity::digits::<i32>).map(|n| RTMAX.saturating_sub(n))
            }
        } else {
            None
        };
        number.filter(|number| (RTMIN..=RTMAX).contains(number)).map(Self).ok_or_else(invalid)
    }
}

impl std::str::FromStr for Ulimit {
    type Err = crate::ParseError;

    /// `NAME=SOFT[:HARD]`, or `host`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NAMES: [&str; 16] = [
            "as",
            "core",
            "cpu",
            "data",
            "fsize",
            "locks",
            "memlock",
            "msgqueue",
            "nice",
            "nofile",
            "nproc",
            "rss",
            "rtprio",
            "rttime",
            "sigpending",
            "stack",
        ];
        let invalid = |why: &str| crate::ParseError::new("ulimit", text, why);
        if text == "host" {
            return Ok(Self { name: text.to_owned(), soft: 0, hard: 0 });
        }
        let (name, values) = text.split_once('=').ok_or_else(|| invalid("it is written NAME=SOFT[:HARD]"))?;
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("rlimit_").unwrap_or(&name).to_owned();
        if !NAMES.contains(&name.as_str()) {
            return Err(invalid(&format!("the name is one of {}", NAMES.join(", "))));
        }
        let number = |text: &str| match text {
            "unlimited" | "-1" => Ok(-1),
            _ => crate::quantity::digits::<i64>(text).ok_or_else(|| invalid("a limit is a number, or -1 for unlimited")),
        };
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let (soft, hard) = (number(soft)?, number(hard)?);
        if hard >= 0 && (soft < 0 || soft > hard) {
            return Err(invalid("the soft limit is above the hard limit"));
        }
        Ok(Self { name, soft, hard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [("TERM", 15), ("SIGTERM", 15), ("sigkill", 9), ("9", 9), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("rtmin", 34)]
        {
            assert_eq!(text.parse::<Signal>().unwrap().0, number, "{text}");
        }
        for bad in ["", "0", "65", "-1", "FOO", "RTMIN+99", "RTMAX+1", "SIG"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ulimits_are_soft_and_hard() {
        let limit: Ulimit = "nofile=100:200".parse().unwrap();
        assert_eq!((limit.name.as_str(), limit.soft, limit.hard), ("nofile", 100, 200));
        assert_eq!("core=-1".parse::<Ulimit>().unwrap().hard, -1);
        for bad in ["nofile", "x=1", "nofile=a", "nofile=5:1", "nofile=-2", "nofile=-1:5"] {
            assert!(bad.parse::<Ulimit>().is_err(), "{bad}");
        }
    }
}
