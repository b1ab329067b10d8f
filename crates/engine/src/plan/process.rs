//! The program: its arguments, directory, user, limits.

use super::{Facts, environment};
use crate::container::ContainerRecord;
use crate::error::{Error, ErrorKind, Result};
use oci::runtime::{Capabilities, Process, Rlimit, User};

/// Podman's limits for open files and processes, clamped to our own where we may not raise them.
const DEFAULT_LIMIT: u64 = 1_048_576;

/// Plans the program of a container.
pub fn plan(record: &ContainerRecord, facts: &Facts, capabilities: Capabilities) -> Result<Process> {
    let spec = &record.spec;
    let args = arguments(record, facts)?;
    let cwd = spec
        .process
        .workdir
        .clone()
        .or_else(|| record.image.as_ref().map(|image| image.config.working_dir.clone()).filter(|dir| !dir.is_empty()))
        .unwrap_or_else(|| "/".to_owned());
    if !cwd.starts_with('/') {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the working directory {cwd:?} is invalid, it needs to be an absolute path"),
        ));
    }
    Ok(Process {
        terminal: spec.process.terminal,
        user: User {
            uid: facts.user.uid,
            gid: facts.user.gid,
            umask: Some(spec.process.umask.unwrap_or(0o022)),
            additional_gids: facts.user.groups.clone(),
        },
        args,
        env: environment::plan(record, facts),
        cwd,
        capabilities: Some(capabilities),
        rlimits: rlimits(record, facts)?,
        no_new_privileges: spec.security.no_new_privileges,
        apparmor_profile: facts.apparmor_profile.clone(),
        selinux_label: record.process_label.clone(),
        oom_score_adj: spec.process.oom_score_adj.map(|wish| if facts.rootless { wish.max(facts.own_oom_score_adj) } else { wish }),
        ..Process::default()
    })
}

/// `--entrypoint` replaces the image's and drops its CMD; arguments replace the CMD.
fn arguments(record: &ContainerRecord, facts: &Facts) -> Result<Vec<String>> {
    let process = &record.spec.process;
    let image = record.image.as_ref().map(|image| &image.config);
    let mut args: Vec<String> = match (&process.entrypoint, image) {
        (Some(entrypoint), _) => entrypoint.iter().filter(|part| !part.is_empty()).cloned().collect(),
        (None, Some(image)) => image.entrypoint.clone(),
        (None, None) => Vec::new(),
    };
    if !process.command.is_empty() {
        args.extend(process.command.iter().cloned());
    } else if process.entrypoint.is_none()
        && let Some(image) = image
    {
        args.extend(image.cmd.iter().cloned());
    }
    if args.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "no command or entrypoint provided, and no CMD or ENTRYPOINT from image"));
    }
    if let Some(init) = &facts.init_program {
        args.splice(0..0, [init.clone(), "--".to_owned()]);
    }
    Ok(args)
}

fn rlimits(record: &ContainerRecord, facts: &Facts) -> Result<Vec<Rlimit>> {
    let wishes = &record.spec.process.ulimits;
    if wishes.iter().any(|wish| wish.name == "host") {
        return Ok(Vec::new());
    }
    let mut limits = Vec::new();
    for name in ["nofile", "nproc"] {
        if !wishes.iter().any(|wish| wish.name == name) {
            let ceiling = facts.own_rlimits.get(name).map_or(DEFAULT_LIMIT, |(_, hard)| (*hard).min(DEFAULT_LIMIT));
            limits.push(Rlimit { kind: format!("RLIMIT_{}", name.to_uppercase()), hard: ceiling, soft: ceiling });
        }
    }
    let bound = |value: i64| if value < 0 { u64::MAX } else { value as u64 };
    for wish in wishes {
        let (soft, hard) = (bound(wish.soft), bound(wish.hard));
        if soft > hard {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("ulimit {:?}: the soft limit {} is above the hard limit {}", wish.name, wish.soft, wish.hard),
            ));
        }
        limits.push(Rlimit { kind: format!("RLIMIT_{}", wish.name.to_uppercase()), hard, soft });
    }
    Ok(limits)
}
