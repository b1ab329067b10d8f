//! Limits.

use crate::args::{Flag, Kind, Parsed, flag};
use crate::failure::Failure;
use spec::quantity::{parse_limit, parse_size};
use spec::resources::Resources;

pub(super) const FLAGS: &[Flag] = &[
    flag("memory", 'm', Kind::Value, "SIZE", "Limit memory"),
    flag("memory-reservation", ' ', Kind::Value, "SIZE", "Soft limit on memory"),
    flag("memory-swap", ' ', Kind::Value, "SIZE", "Limit memory and swap together, -1 for no limit"),
    flag("cpus", ' ', Kind::Value, "N", "Limit to so many processors"),
    flag("cpu-period", ' ', Kind::Value, "US", "Period of the processor limit, in microseconds"),
    flag("cpu-quota", ' ', Kind::Value, "US", "Processor time in a period, in microseconds"),
    flag("cpu-shares", 'c', Kind::Value, "N", "Weight among others"),
    flag("cpuset-cpus", ' ', Kind::Value, "LIST", "Processors to run on, as 0-2,4"),
    flag("cpuset-mems", ' ', Kind::Value, "LIST", "Memory nodes to use"),
    flag("pids-limit", ' ', Kind::Value, "N", "Limit the number of tasks, -1 for no limit"),
    flag("blkio-weight", ' ', Kind::Value, "N", "Weight of block I/O, 10 to 1000"),
    flag("device-read-bps", ' ', Kind::List, "DEVICE:SIZE", "Limit bytes a second read from a device"),
    flag("device-write-bps", ' ', Kind::List, "DEVICE:SIZE", "Limit bytes a second written to a device"),
    flag("device-read-iops", ' ', Kind::List, "DEVICE:N", "Limit reads a second from a device"),
    flag("device-write-iops", ' ', Kind::List, "DEVICE:N", "Limit writes a second to a device"),
    flag("cgroup-conf", ' ', Kind::List, "FILE=VALUE", "Write a file of the cgroup"),
];

/// Applies the limits that were given; what was not given stays.
pub(super) fn apply(resources: &mut Resources, parsed: &Parsed) -> Result<(), Failure> {
    fn put<T>(place: &mut Option<T>, value: Option<T>) {
        if value.is_some() {
            *place = value;
        }
    }
    put(&mut resources.memory, parsed.value("memory").map(|text| parse_size("memory limit", text).map(|size| size as i64)).transpose()?);
    put(
        &mut resources.memory_reservation,
        parsed.value("memory-reservation").map(|text| parse_limit("memory reservation", text)).transpose()?,
    );
    put(&mut resources.memory_swap, parsed.value("memory-swap").map(|text| parse_limit("swap limit", text)).transpose()?);
    if let (Some(memory), Some(swap)) = (resources.memory, resources.memory_swap)
        && swap >= 0
        && swap < memory
    {
        return Err(Failure::usage("minimum memoryswap limit should be larger than memory limit"));
    }
    if let Some(cpus) = parsed.number::<f64>("cpus")? {
        if !cpus.is_finite() || !(0.0..=8192.0).contains(&cpus) {
            return Err(Failure::usage(format!("invalid --cpus {cpus}: it is a number from 0 to 8192")));
        }
        resources.cpus = Some(cpus).filter(|cpus| *cpus > 0.0);
    }
    put(&mut resources.cpu_period, parsed.number("cpu-period")?);
    put(&mut resources.cpu_quota, parsed.number("cpu-quota")?);
    put(&mut resources.cpu_shares, parsed.number("cpu-shares")?);
    put(&mut resources.cpuset_cpus, parsed.value("cpuset-cpus").map(|text| list("cpuset-cpus", text)).transpose()?);
    put(&mut resources.cpuset_mems, parsed.value("cpuset-mems").map(|text| list("cpuset-mems", text)).transpose()?);
    put(&mut resources.pids_limit, parsed.number("pids-limit")?);
    put(&mut resources.blkio_weight, parsed.number::<u16>("blkio-weight")?);
    if resources.blkio_weight.is_some_and(|weight| weight != 0 && !(10..=1000).contains(&weight)) {
        return Err(Failure::usage("range of blkio weight is from 10 to 1000"));
    }
    let devices = |flag: &'static str, size: bool| -> Result<Vec<(String, u64)>, Failure> {
        parsed
            .all(flag)
            .iter()
            .map(|text| {
                let invalid = || Failure::usage(format!("invalid --{flag} {text:?}: it is written DEVICE:RATE"));
                let (device, rate) = text.rsplit_once(':').filter(|(device, _)| device.starts_with("/dev/")).ok_or_else(invalid)?;
                let rate = if size { parse_size("rate", rate)? } else { rate.parse().map_err(|_| invalid())? };
                Ok((device.to_owned(), rate))
            })
            .collect()
    };
    resources.device_read_bps.extend(devices("device-read-bps", true)?);
    resources.device_write_bps.extend(devices("device-write-bps", true)?);
    resources.device_read_iops.extend(devices("device-read-iops", false)?);
    resources.device_write_iops.extend(devices("device-write-iops", false)?);
    resources.unified.extend(super::pairs(parsed.all("cgroup-conf")));
    Ok(())
}

/// `0-2,4`: bounded, since the kernel's own bound is far away.
fn list(flag: &str, text: &str) -> Result<String, Failure> {
    let good = text.len() < 4096
        && text.split(',').all(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(first), Ok(last)) if first <= last && last < 8192)
        });
    if good { Ok(text.to_owned()) } else { Err(Failure::usage(format!("invalid --{flag} {text:?}: it is a list such as 0-2,4"))) }
}
