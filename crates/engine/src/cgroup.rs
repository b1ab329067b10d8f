//! The control group of a container, as far as the host has one to give.
//!
//! On a host with only version 2 a container gets a group with limits; on a hybrid host root still gets one for
//! freezing and killing, without limits, and limits are refused with the reason.

use crate::container::ContainerRecord;
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use oci::runtime::Config;
use rustix::fs::{Mode, OFlags};
use spec::container::CgroupsMode;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A control group that belongs to a container.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) path: String,
}

/// What the host has.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Only version 2 is mounted.
    pub is_v2: bool,
    /// Controllers we may use.
    pub controllers: Vec<String>,
    /// In words.
    pub text: String,
}

const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

fn tree() -> Option<(PathBuf, bool)> {
    let is_v2 = |path: &str| rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type as u64 == CGROUP2_SUPER_MAGIC);
    if is_v2("/sys/fs/cgroup") {
        Some((PathBuf::from("/sys/fs/cgroup"), true))
    } else if is_v2("/sys/fs/cgroup/unified") {
        Some((PathBuf::from("/sys/fs/cgroup/unified"), false))
    } else {
        None
    }
}

/// Our own group in the version 2 tree.
fn own_group(root: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(root.join(path.trim_start_matches('/')))
}

/// The group ours are made in: given, or below our own.
fn parent_of(record: &ContainerRecord) -> Option<(PathBuf, bool)> {
    let (root, is_v2) = tree()?;
    let parent = match &record.spec.cgroup_parent {
        Some(parent) => root.join(parent.trim_start_matches('/')),
        None => {
            let own = own_group(&root)?;
            // A leaf we live in cannot have children with controllers; ours stand beside it.
            if own == root { root.join("coracle") } else { own.parent()?.join("coracle") }
        }
    };
    Some((parent, is_v2))
}

/// Looks at the host for `doctor` and `info`.
pub fn describe(engine: &Engine) -> Seen {
    match tree() {
        None => Seen { text: "no cgroup v2 tree is mounted".to_owned(), ..Seen::default() },
        Some((_, false)) => Seen { text: "this host has cgroup v1 controllers".to_owned(), ..Seen::default() },
        Some((root, true)) => {
            let own = own_group(&root).unwrap_or(root);
            let usable = own.parent().filter(|parent| rustix::fs::access(*parent, rustix::fs::Access::WRITE_OK).is_ok());
            let text = if engine.is_rootless() { "cgroup v2, delegated" } else { "cgroup v2" }.to_owned();
            let controllers = usable
                .and_then(|parent| std::fs::read_to_string(parent.join("cgroup.controllers")).ok())
                .map(|text| text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .unwrap_or_default();
            let text = if controllers.is_empty() { "cgroup v2 without a controller we may use".to_owned() } else { text };
            Seen { is_v2: true, controllers, text }
        }
    }
}

/// Makes the group of a container; `None` where there is none to be had.
pub(crate) fn create(_engine: &Engine, record: &ContainerRecord) -> Result<Option<Own>> {
    if record.spec.cgroups == CgroupsMode::Disabled {
        return Ok(None);
    }
    let Some((parent, _)) = parent_of(record) else { return Ok(None) };
    let path = parent.join(format!("coracle-{}.scope", record.id.short()));
    let made = std::fs::create_dir(&parent)
        .or_else(|e| if e.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })
        .and_then(|()| {
            enable_controllers(&parent);
            std::fs::create_dir(&path).or_else(|e| if e.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })
        });
    match made {
        Ok(()) => Ok(Some(Own { path: path.to_string_lossy().into_owned() })),
        // Not ours to write: a user without delegation, a read-only tree.
        Err(_) if record.spec.cgroup_parent.is_none() => Ok(None),
        Err(e) => Err(Error::io(format!("making a cgroup in {:?}", parent.display()), e)),
    }
}

/// Hands controllers down, from the top on; those that cannot be are missing later, and named then.
fn enable_controllers(group: &Path) {
    for level in group.parent().into_iter().chain([group]) {
        let Ok(available) = std::fs::read_to_string(level.join("cgroup.controllers")) else { continue };
        for controller in available.split_ascii_whitespace() {
            let _ = std::fs::write(level.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

impl Own {
    pub(crate) fn directory(&self) -> Result<OwnedFd> {
        rustix::fs::open(&self.path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| Error::io(format!("opening cgroup {:?}", self.path), e))
    }

    /// Writes the limits; a controller that is missing is named with what needed it.
    pub(crate) fn limit(&mut self, record: &ContainerRecord, config: &Config) -> Result<()> {
        let Some(resources) = config.linux.as_ref().and_then(|linux| linux.resources.as_ref()) else { return Ok(()) };
        let available = std::fs::read_to_string(format!("{}/cgroup.controllers", self.path)).unwrap_or_default();
        for (controller, file, value, asked) in settings(record, resources) {
            if !available.split_ascii_whitespace().any(|known| known == controller) {
                if asked {
                    return Err(missing(controller));
                }
                continue;
            }
            std::fs::write(format!("{}/{file}", self.path), &value)
                .map_err(|e| Error::io(format!("setting {file} of the container's cgroup to {value:?}"), e))?;
        }
        Ok(())
    }

    /// Tells whether the kernel killed something in it for want of memory.
    pub(crate) fn saw_oom(&self) -> bool {
        let events = std::fs::read_to_string(format!("{}/memory.events", self.path)).unwrap_or_default();
        events.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
    }

    /// Ends what is left in it and removes it.
    pub(crate) fn remove(self) {
        let _ = std::fs::write(format!("{}/cgroup.kill", self.path), "1");
        for _ in 0..50 {
            match std::fs::remove_dir(&self.path) {
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) => {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                _ => return,
            }
        }
    }
}

/// Controller, file, text, and whether the user asked for it.
fn settings(record: &ContainerRecord, resources: &oci::runtime::Resources) -> Vec<(&'static str, String, String, bool)> {
    let mut settings = Vec::new();
    let mut set =
        |controller: &'static str, file: &str, value: String, asked: bool| settings.push((controller, file.to_owned(), value, asked));
    let limit = |value: i64| if value < 0 { "max".to_owned() } else { value.to_string() };
    if let Some(memory) = &resources.memory {
        if let Some(value) = memory.limit {
            set("memory", "memory.max", limit(value), true);
        }
        if let Some(value) = memory.reservation {
            set("memory", "memory.low", limit(value), true);
        }
        // Version 1 counts memory and swap together, version 2 swap alone; Podman's default is as much again.
        let swap = match (memory.swap, memory.limit) {
            (Some(-1), _) => Some("max".to_owned()),
            (Some(swap), Some(limit)) => Some((swap - limit).max(0).to_string()),
            (None, Some(limit)) if limit > 0 => Some(limit.to_string()),
            _ => None,
        };
        if let Some(value) = swap {
            set("memory", "memory.swap.max", value, memory.swap.is_some());
        }
    }
    if let Some(cpu) = &resources.cpu {
        if cpu.quota.is_some() || cpu.period.is_some() {
            let quota = cpu.quota.filter(|quota| *quota > 0).map_or_else(|| "max".to_owned(), |quota| quota.to_string());
            set("cpu", "cpu.max", format!("{quota} {}", cpu.period.unwrap_or(100_000)), true);
        }
        if let Some(shares) = cpu.shares.filter(|shares| *shares > 0) {
            let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142;
            set("cpu", "cpu.weight", weight.to_string(), true);
        }
        if let Some(cpus) = &cpu.cpus {
            set("cpuset", "cpuset.cpus", cpus.clone(), true);
        }
        if let Some(mems) = &cpu.mems {
            set("cpuset", "cpuset.mems", mems.clone(), true);
        }
    }
    if let Some(pids) = &resources.pids {
        set("pids", "pids.max", limit(pids.limit), record.spec.resources.pids_limit.is_some_and(|limit| limit > 0));
    }
    if let Some(io) = &resources.block_io {
        if let Some(weight) = io.weight {
            set("io", "io.weight", format!("default {}", 1 + (u64::from(weight).max(10) - 10) * 9999 / 990), true);
        }
        let mut throttle = |list: &[oci::runtime::ThrottleDevice], word: &str| {
            for device in list {
                set("io", "io.max", format!("{}:{} {word}={}", device.major, device.minor, device.rate), true);
            }
        };
        throttle(&io.throttle_read_bps_device, "rbps");
        throttle(&io.throttle_write_bps_device, "wbps");
        throttle(&io.throttle_read_iops_device, "riops");
        throttle(&io.throttle_write_iops_device, "wiops");
    }
    for (file, value) in &resources.unified {
        let controller = match file.split('.').next() {
            Some("memory") => "memory",
            Some("cpu") => "cpu",
            Some("io") => "io",
            Some("pids") => "pids",
            Some("cpuset") => "cpuset",
            _ => "hugetlb",
        };
        set(controller, file, value.clone(), true);
    }
    settings
}

/// Limits were asked for and there is no group at all.
pub(crate) fn refuse_limits(record: &ContainerRecord) -> Result<()> {
    let wish = &record.spec.resources;
    let plain = spec::resources::Resources { pids_limit: None, ..spec::resources::Resources::default() };
    let without_pids = spec::resources::Resources { pids_limit: None, ..wish.clone() };
    if without_pids == plain && wish.pids_limit.is_none_or(|limit| limit <= 0) {
        return Ok(());
    }
    let controller = if wish.memory.is_some() || wish.memory_reservation.is_some() || wish.memory_swap.is_some() {
        "memory"
    } else if wish.cpus.is_some() || wish.cpu_quota.is_some() || wish.cpu_shares.is_some() {
        "cpu"
    } else if wish.pids_limit.is_some() {
        "pids"
    } else if wish.cpuset_cpus.is_some() || wish.cpuset_mems.is_some() {
        "cpuset"
    } else {
        "io"
    };
    Err(missing(controller))
}

fn missing(controller: &str) -> Error {
    let why = match tree() {
        None => "no cgroup v2 tree is mounted",
        Some((_, false)) => "this host keeps its controllers in cgroup v1",
        Some((_, true)) => "it is not delegated to us",
    };
    Error::new(ErrorKind::Unsupported, format!("limiting the container: the {controller} controller is not available: {why}"))
        .with_cure(Cure::DelegateController { controller: controller.to_owned() })
}

/// Opens a container's group for a process that joins it; without one it stays where it is.
pub(crate) fn open_for_exec(path: &str) -> Option<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}
