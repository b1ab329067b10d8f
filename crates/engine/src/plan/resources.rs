//! Limits, from the user's words to OCI's.

use super::Facts;
use crate::error::{Error, ErrorKind, Result};
use oci::runtime::{BlockIo, Cpu, DeviceRule, Memory, Pids, Resources, ThrottleDevice, WeightDevice};
use spec::ContainerSpec;

/// Plans the limits of a container.
pub fn plan(spec: &ContainerSpec, facts: &Facts) -> Result<Resources> {
    let wish = &spec.resources;
    let (quota, period) = match wish.cpus {
        Some(_) if wish.cpu_quota.is_some() || wish.cpu_period.is_some() => {
            return Err(Error::new(ErrorKind::InvalidInput, "--cpus and --cpu-quota or --cpu-period cannot be set together"));
        }
        // Podman counts in a period of 100 ms.
        Some(cpus) => (Some((cpus * 100_000.0) as i64), Some(100_000)),
        None => (wish.cpu_quota, wish.cpu_period),
    };
    let cpu = Cpu {
        shares: wish.cpu_shares,
        quota,
        period,
        realtime_period: wish.cpu_rt_period,
        realtime_runtime: wish.cpu_rt_runtime,
        cpus: wish.cpuset_cpus.clone(),
        mems: wish.cpuset_mems.clone(),
        ..Cpu::default()
    };
    let memory = Memory {
        limit: wish.memory,
        reservation: wish.memory_reservation,
        swap: wish.memory_swap,
        swappiness: wish.memory_swappiness.and_then(|n| u64::try_from(n).ok()),
        disable_oom_killer: wish.oom_kill_disable.then_some(true),
        ..Memory::default()
    };
    let pids = wish.pids_limit.or(facts.default_pids_limit).map(|limit| Pids { limit: if limit <= 0 { -1 } else { limit } });
    Ok(Resources {
        devices: device_rules(spec)?,
        memory: (memory != Memory::default()).then_some(memory),
        cpu: (cpu != Cpu::default()).then_some(cpu),
        pids,
        block_io: block_io(spec)?,
        unified: wish.unified.clone(),
        ..Resources::default()
    })
}

fn block_io(spec: &ContainerSpec) -> Result<Option<BlockIo>> {
    let wish = &spec.resources;
    let rates = |list: &[(String, u64)]| -> Result<Vec<ThrottleDevice>> {
        list.iter()
            .map(|(path, rate)| {
                let (major, minor) = device_number(path)?;
                Ok(ThrottleDevice { major, minor, rate: *rate })
            })
            .collect()
    };
    let weight_device = wish
        .blkio_weight_device
        .iter()
        .map(|(path, weight)| {
            let (major, minor) = device_number(path)?;
            Ok(WeightDevice { major, minor, weight: Some(*weight), leaf_weight: None })
        })
        .collect::<Result<Vec<_>>>()?;
    let block_io = BlockIo {
        weight: wish.blkio_weight,
        weight_device,
        throttle_read_bps_device: rates(&wish.device_read_bps)?,
        throttle_write_bps_device: rates(&wish.device_write_bps)?,
        throttle_read_iops_device: rates(&wish.device_read_iops)?,
        throttle_write_iops_device: rates(&wish.device_write_iops)?,
        ..BlockIo::default()
    };
    Ok((block_io != BlockIo::default()).then_some(block_io))
}

/// A device is named by path; its number is a fact of the host that only this asks for.
fn device_number(path: &str) -> Result<(i64, i64)> {
    let stat = rustix::fs::stat(path).map_err(|e| Error::io(format!("looking at device {path:?}"), e))?;
    Ok((i64::from(rustix::fs::major(stat.st_rdev)), i64::from(rustix::fs::minor(stat.st_rdev))))
}

fn device_rules(spec: &ContainerSpec) -> Result<Vec<DeviceRule>> {
    if spec.security.privileged {
        return Ok(vec![DeviceRule { allow: true, access: Some("rwm".to_owned()), ..DeviceRule::default() }]);
    }
    let mut rules = vec![DeviceRule { allow: false, access: Some("rwm".to_owned()), ..DeviceRule::default() }];
    for rule in &spec.device_rules {
        rules.push(parse_rule(rule).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("invalid device cgroup rule {rule:?}: it is written \"c|b|a MAJOR:MINOR rwm\""))
        })?);
    }
    for device in &spec.devices {
        let Ok(stat) = rustix::fs::stat(&device.host) else { continue };
        let kind = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::CharacterDevice => "c",
            rustix::fs::FileType::BlockDevice => "b",
            _ => continue,
        };
        rules.push(DeviceRule {
            allow: true,
            kind: Some(kind.to_owned()),
            major: Some(i64::from(rustix::fs::major(stat.st_rdev))),
            minor: Some(i64::from(rustix::fs::minor(stat.st_rdev))),
            access: Some(device.access.clone()),
        });
    }
    Ok(rules)
}

fn parse_rule(rule: &str) -> Option<DeviceRule> {
    let mut words = rule.split_ascii_whitespace();
    let kind = words.next().filter(|kind| matches!(*kind, "a" | "b" | "c"))?;
    let (major, minor) = words.next()?.split_once(':')?;
    let access = words.next().filter(|access| !access.is_empty() && access.bytes().all(|b| b"rwm".contains(&b)))?;
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse::<i64>().ok().map(Some) };
    (words.next().is_none()).then_some(DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major: number(major)?,
        minor: number(minor)?,
        access: Some(access.to_owned()),
    })
}
