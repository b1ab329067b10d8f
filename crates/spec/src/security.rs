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

/// All capabilities, without `CAP_`.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Normalises a capability: `net_admin`, `CAP_NET_ADMIN` and `NET_ADMIN` are the same; `ALL` is itself.
pub fn parse_capability(text: &str) -> Result<String, crate::ParseError> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if name == "ALL" {
        return Ok("ALL".to_owned());
    }
    if CAPABILITIES.contains(&name) {
        return Ok(format!("CAP_{name}"));
    }
    let common = |known: &str| {
        let from_left = known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let from_right = known.bytes().rev().zip(name.bytes().rev()).take_while(|(a, b)| a == b).count();
        from_left + from_right
    };
    let nearest = CAPABILITIES.iter().max_by_key(|known| common(known)).copied().unwrap_or("CHOWN");
    Err(crate::ParseError::new("capability", text, format!("unknown capability; the nearest is CAP_{nearest}")))
}

impl SecuritySpec {
    /// Applies one `--security-opt`. `read` fetches the text of a seccomp profile.
    pub fn apply(&mut self, option: &str, read: impl FnOnce(&str) -> Result<String, String>) -> Result<(), crate::ParseError> {
        let invalid = |why: String| crate::ParseError::new("security option", option, why);
        let (key, value) = match option.split_once(['=', ':']) {
            Some((key, value)) => (key, Some(value)),
            None => (option, None),
        };
        let paths =
            |value: Option<&str>| value.unwrap_or_default().split(':').filter(|p| !p.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        match (key, value) {
            ("no-new-privileges", None | Some("true")) => self.no_new_privileges = true,
            ("no-new-privileges", Some("false")) => self.no_new_privileges = false,
            ("seccomp", Some("unconfined")) => self.seccomp = SeccompChoice::Unconfined,
            ("seccomp", Some("nested")) => self.nested = true,
            ("seccomp", Some(path)) if !path.is_empty() => {
                let text = read(path).map_err(invalid)?;
                self.seccomp = SeccompChoice::Profile { path: path.to_owned(), text };
            }
            ("apparmor", Some(profile)) if !profile.is_empty() => self.apparmor = Some(profile.to_owned()),
            ("label", Some(label))
                if label == "disable"
                    || label == "nested"
                    || label.split_once(':').is_some_and(|(k, _)| ["user", "role", "type", "level", "filetype"].contains(&k)) =>
            {
                self.label.push(label.to_owned());
            }
            ("mask", Some(_)) => self.mask.extend(paths(value)),
            ("unmask", Some(_)) => self.unmask.extend(paths(value)),
            ("systempaths", Some("unconfined")) => self.unmask.push("ALL".to_owned()),
            ("proc-opts", Some(options)) => self.proc_options.extend(options.split(',').map(str::to_owned)),
            _ => return Err(invalid("it is seccomp=, apparmor=, label=, mask=, unmask=, proc-opts= or no-new-privileges".to_owned())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_one_spelling() {
        assert_eq!(parse_capability("net_admin").unwrap(), "CAP_NET_ADMIN");
        assert_eq!(parse_capability("all").unwrap(), "ALL");
        assert!(parse_capability("NET_ADMN").unwrap_err().to_string().contains("CAP_NET_ADMIN"));
    }

    #[test]
    fn options_are_known_or_refused() {
        let mut spec = SecuritySpec::default();
        let none = |_: &str| Err("no".to_owned());
        for good in [
            "no-new-privileges",
            "seccomp=unconfined",
            "label=disable",
            "label=type:x_t",
            "unmask=/a:/b",
            "proc-opts=hidepid=2",
            "apparmor=unconfined",
        ] {
            spec.apply(good, none).unwrap();
        }
        assert_eq!(spec.unmask, ["/a", "/b"]);
        assert_eq!(spec.proc_options, ["hidepid=2"]);
        for bad in ["", "x", "seccomp", "seccomp=/nope", "label=x", "no-new-privileges=maybe"] {
            assert!(spec.apply(bad, none).is_err(), "{bad}");
        }
    }
}
