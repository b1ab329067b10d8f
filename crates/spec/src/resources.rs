//! Limits (`--memory`, `--cpus`, `--pids-limit`, `--blkio-weight`, …).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Limits on a container. `None` is no wish.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes.
    pub memory: Option<i64>,
    /// Bytes, soft.
    pub memory_reservation: Option<i64>,
    /// Bytes of memory and swap; -1 is unlimited.
    pub memory_swap: Option<i64>,
    /// 0 to 100; cgroup v1 only.
    pub memory_swappiness: Option<i64>,
    /// `--oom-kill-disable`; cgroup v1 only.
    pub oom_kill_disable: bool,
    /// Number of processors.
    pub cpus: Option<f64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds in a period.
    pub cpu_quota: Option<i64>,
    /// Weight.
    pub cpu_shares: Option<u64>,
    /// Real-time period; cgroup v1 only.
    pub cpu_rt_period: Option<u64>,
    /// Real-time run time; cgroup v1 only.
    pub cpu_rt_runtime: Option<i64>,
    /// Processors, as `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
    /// Number of tasks; -1 or 0 unlimited.
    pub pids_limit: Option<i64>,
    /// 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// `PATH:WEIGHT`.
    pub blkio_weight_device: Vec<(String, u16)>,
    /// `PATH:BYTES`.
    pub device_read_bps: Vec<(String, u64)>,
    /// `PATH:BYTES`.
    pub device_write_bps: Vec<(String, u64)>,
    /// `PATH:NUMBER`.
    pub device_read_iops: Vec<(String, u64)>,
    /// `PATH:NUMBER`.
    pub device_write_iops: Vec<(String, u64)>,
    /// Files of cgroup v2 (`--cgroup-conf`).
    pub unified: BTreeMap<String, String>,
}
