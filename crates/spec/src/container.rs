//! A container as a user wishes it.

use crate::device::DeviceRequest;
use crate::identity::UserNamespace;
use crate::log::LogSpec;
use crate::mount::{AnonymousVolumes, MountSpec, TmpfsSpec, VolumesFrom};
use crate::network::NetworkSpec;
use crate::process::ProcessSpec;
use crate::resources::Resources;
use crate::restart::RestartPolicy;
use crate::security::SecuritySpec;
use crate::{Name, identity, process};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything a user can ask of one container. Absent wishes are `None` or empty; the defaults are the
/// engine's, and depend on the image, the configuration files and the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Name; one is made up when absent.
    pub name: Option<Name>,
    /// What was typed for the image; with `rootfs`, a directory.
    pub image: String,
    /// Whether `image` is a directory that becomes the root file system (`--rootfs`).
    pub rootfs: bool,
    /// The program and its surroundings.
    pub process: ProcessSpec,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the OCI configuration.
    pub annotations: BTreeMap<String, String>,
    /// Host name (`--hostname`).
    pub hostname: Option<String>,
    /// Mounts and named volumes (`-v`, `--mount`).
    pub mounts: Vec<MountSpec>,
    /// tmpfs mounts (`--tmpfs`).
    pub tmpfs: Vec<TmpfsSpec>,
    /// Containers whose mounts are taken over.
    pub volumes_from: Vec<VolumesFrom>,
    /// What becomes of the image's VOLUMEs (`--image-volume`).
    pub image_volumes: AnonymousVolumes,
    /// Size of /dev/shm in bytes.
    pub shm_size: Option<u64>,
    /// Devices (`--device`).
    pub devices: Vec<DeviceRequest>,
    /// Raw device rules (`--device-cgroup-rule`), as `c 10:200 rwm`.
    pub device_rules: Vec<String>,
    /// Secrets (`--secret`).
    pub secrets: Vec<crate::mount::SecretRequest>,
    /// Networks, ports, names.
    pub network: NetworkSpec,
    /// Capabilities, seccomp, labels, masks.
    pub security: SecuritySpec,
    /// User namespace.
    pub user_namespace: UserNamespace,
    /// PID namespace (`--pid`).
    pub pid_namespace: NamespaceMode,
    /// IPC namespace (`--ipc`).
    pub ipc_namespace: IpcMode,
    /// UTS namespace (`--uts`).
    pub uts_namespace: NamespaceMode,
    /// Cgroup namespace (`--cgroupns`).
    pub cgroup_namespace: NamespaceMode,
    /// Limits.
    pub resources: Resources,
    /// Whether cgroups are made (`--cgroups`).
    pub cgroups: CgroupsMode,
    /// Parent cgroup (`--cgroup-parent`).
    pub cgroup_parent: Option<String>,
    /// Kernel parameters (`--sysctl`).
    pub sysctls: BTreeMap<String, String>,
    /// Logging.
    pub log: LogSpec,
    /// What happens when the program ends.
    pub restart: RestartPolicy,
    /// Removed when it ends (`--rm`).
    pub remove: bool,
    /// The image is removed too (`--rmi`).
    pub remove_image: bool,
    /// Signal that stops it.
    pub stop_signal: Option<process::Signal>,
    /// Seconds until it is killed after that.
    pub stop_timeout: Option<u64>,
    /// Seconds it may run at most (`--timeout`); 0 is for ever.
    pub timeout: u64,
    /// An init process is put in front (`--init`).
    pub init: bool,
    /// Path of that init on the host (`--init-path`).
    pub init_path: Option<String>,
    /// Health check; acted upon with the services issue.
    pub health: Option<crate::process::HealthSpec>,
    /// Readiness (`--sdnotify`).
    pub sdnotify: SdNotify,
    /// Files with the ids of pod, container, process (`--cidfile`, `--pidfile`, `--conmon-pidfile`).
    pub pidfile: Option<String>,
    /// Process id file of the monitor.
    pub monitor_pidfile: Option<String>,
    /// Id file of the container.
    pub cidfile: Option<String>,
    /// Containers that must run first (`--requires`).
    pub requires: Vec<String>,
    /// Entry added to /etc/passwd unless switched off (`--passwd`).
    pub passwd: Option<bool>,
    /// Template of that entry.
    pub passwd_entry: Option<String>,
    /// Template of the /etc/group entry.
    pub group_entry: Option<String>,
    /// Host users added to /etc/passwd (`--hostuser`).
    pub host_users: Vec<String>,
    /// Runs systemd inside (`--systemd`).
    pub systemd: SystemdMode,
    /// OCI runtime to use instead of ours (`--runtime`).
    pub runtime: Option<String>,
    /// Personality (`--personality`).
    pub personality: Option<String>,
    /// The command line that made it, for `inspect`.
    pub create_command: Vec<String>,
    /// Architecture, OS and variant asked for, for messages.
    pub platform: Option<String>,
}

/// A namespace: own, the host's, another container's, or a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceMode {
    /// As the configuration says: its own.
    #[default]
    Default,
    /// Its own.
    Private,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
    /// The namespace at a path.
    Path(String),
}

/// The IPC namespace, which may also be offered or have no /dev/shm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpcMode {
    /// As the configuration says: shareable.
    #[default]
    Default,
    /// Its own, not joinable.
    Private,
    /// Its own, joinable.
    Shareable,
    /// Its own, without /dev/shm.
    None,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
    /// The namespace at a path.
    Path(String),
}

/// Whether and how cgroups are made (`--cgroups`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupsMode {
    /// Made.
    #[default]
    Enabled,
    /// Not made.
    Disabled,
    /// Not made for the monitor.
    NoConmon,
    /// Split below the caller's own.
    Split,
}

/// Whom systemd is told by (`--sdnotify`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SdNotify {
    /// By the program itself.
    #[default]
    Container,
    /// By us, once it runs.
    Conmon,
    /// By us, once it is healthy.
    Healthy,
    /// Not at all.
    Ignore,
}

/// Whether the container is prepared for systemd inside (`--systemd`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemdMode {
    /// When the program is systemd or an init.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

pub use identity::IdMap;

impl std::str::FromStr for NamespaceMode {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "" => Self::Default,
            "private" => Self::Private,
            "host" => Self::Host,
            _ => match text.split_once(':') {
                Some(("container", id)) if !id.is_empty() => Self::Container(id.to_owned()),
                Some(("ns", path)) if path.starts_with('/') => Self::Path(path.to_owned()),
                _ => return Err(crate::ParseError::new("namespace", text, "it is private, host, container:NAME or ns:/PATH")),
            },
        })
    }
}

impl std::str::FromStr for IpcMode {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "shareable" => Self::Shareable,
            "none" => Self::None,
            other => match other.parse::<NamespaceMode>().map_err(|_| {
                crate::ParseError::new("IPC namespace", text, "it is private, shareable, none, host, container:NAME or ns:/PATH")
            })? {
                NamespaceMode::Default => Self::Default,
                NamespaceMode::Private => Self::Private,
                NamespaceMode::Host => Self::Host,
                NamespaceMode::Container(id) => Self::Container(id),
                NamespaceMode::Path(path) => Self::Path(path),
            },
        })
    }
}
