//! What is written of a container: the record (`config.json`, durable, never changed by its running), the
//! state of a run (`state.json` in the run root, written by the monitor) and its end (`exit.json`).
//!
//! ```text
//! $graphroot/containers/<id>/config.json   ContainerRecord
//!                           /exit.json     ExitRecord, absent until it ran once
//!                           /lock          flock: one verb at a time changes the container
//!                           /upper /work   changes to the root file system (crate storage)
//!                           /ctr.log*      the log (crate monitor)
//! $graphroot/container-names/<name>        the id
//! $runroot/containers/<id>/state.json      RunState
//!                         /alive           flock held by the monitor as long as it lives
//!                         /attach.sock     for attach
//!                         /config.json     the OCI configuration of this run
//!                         /seccomp.bpf     its compiled filter
//! ```
//! Whether a container runs is never read from a file: it runs while `alive` is locked.

use oci::image::ExecutionConfig;
use serde::{Deserialize, Serialize};
use spec::{ContainerId, ContainerSpec, Name};

/// Version of the records written by this release.
pub const RECORD_VERSION: u32 = 1;

/// A container, as it was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// Format version.
    pub version: u32,
    /// Id.
    pub id: ContainerId,
    /// Name.
    pub name: Name,
    /// When it was made, in nanoseconds since 1970.
    pub created: u128,
    /// The image it was made from.
    pub image: Option<ImageUse>,
    /// What was asked for.
    pub spec: ContainerSpec,
    /// Volumes made for it or named by it: `(volume, target)`. Anonymous ones go with `rm -v`.
    #[serde(default)]
    pub volumes: Vec<VolumeUse>,
    /// Ports with every host port decided.
    #[serde(default)]
    pub ports: Vec<spec::network::PortSpec>,
    /// Host path of the log file, if the driver has one.
    #[serde(default)]
    pub log_path: Option<String>,
    /// MCS label given to it where SELinux is on.
    #[serde(default)]
    pub mount_label: Option<String>,
    /// Process label.
    #[serde(default)]
    pub process_label: Option<String>,
    /// Its own user namespace, when it has one nested in the engine's.
    #[serde(default)]
    pub id_maps: Option<IdMaps>,
    /// An infra or service container belongs to this pod.
    #[serde(default)]
    pub pod: Option<String>,
}

/// The maps of a nested user namespace; outer ids are those of the engine's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IdMaps {
    /// User ids.
    pub uid: Vec<spec::container::IdMap>,
    /// Group ids.
    pub gid: Vec<spec::container::IdMap>,
}

/// The image of a container, with what its run needs, so that a start reads one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageUse {
    /// Image id.
    pub id: oci::Digest,
    /// Manifest digest.
    pub digest: Option<oci::Digest>,
    /// Name it was found by, in full.
    pub name: String,
    /// Layers, lowest first.
    pub layers: Vec<oci::Digest>,
    /// How the image wants to be run.
    pub config: ExecutionConfig,
}

/// A volume of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeUse {
    /// Volume.
    pub name: Name,
    /// Where in the container.
    pub target: String,
    /// Made for this container alone.
    pub anonymous: bool,
}

/// A run of a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunState {
    /// Process id of the monitor.
    pub monitor_pid: i32,
    /// Process id of the container's first process; 0 until it exists.
    pub init_pid: i32,
    /// Its start time in clock ticks since boot: tells a reused pid apart.
    pub init_start_time: u64,
    /// When it started, in nanoseconds since 1970.
    pub started: u128,
    /// Restarts by policy so far.
    pub restarts: u32,
    /// Path of its cgroup below /sys/fs/cgroup, if it has one.
    pub cgroup: Option<String>,
    /// Process id of the network helper.
    pub network_pid: Option<i32>,
    /// Addresses and the like, as `inspect` shows them.
    #[serde(default)]
    pub network_mode: String,
    /// Whether it waits to be started again by policy.
    #[serde(default)]
    pub waiting: bool,
    /// Set by `pause`, where the kernel cannot tell.
    #[serde(default)]
    pub paused: bool,
}

/// The end of the last run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Exit code; 128 and the signal if one ended it; -1 when nobody saw the end.
    pub code: i32,
    /// When it started, in nanoseconds since 1970.
    pub started: u128,
    /// When it ended, in nanoseconds since 1970.
    pub finished: u128,
    /// Whether memory ran out.
    pub oom_killed: bool,
    /// Restarts by policy.
    pub restarts: u32,
    /// Why it could not start, if it could not.
    #[serde(default)]
    pub error: String,
    /// Whether `stop` ended it: `unless-stopped` stays ended then.
    #[serde(default)]
    pub stopped_by_user: bool,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never started.
    Created,
    /// Prepared by `init`, not started.
    Initialized,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// Ended.
    Exited,
    /// Is being stopped.
    Stopping,
    /// Is being removed.
    Removing,
}

impl Status {
    /// Podman's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Initialized => "initialized",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Stopping => "stopping",
            Self::Removing => "removing",
        }
    }
}
