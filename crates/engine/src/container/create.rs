//! `create`: a wish becomes a record. Needs no namespace; the root file system is made when it first starts.

use super::names;
use super::random_name::random_name;
use super::record::{ContainerRecord, ImageUse, RECORD_VERSION, VolumeUse};
use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, Durability};
use crate::open::Engine;
use crate::plan;
use crate::{host, ports, userns, volume};
use rustix::fs::{FlockOperation, flock};
use spec::mount::{AnonymousVolumes, MountSource, TmpfsSpec};
use spec::{ContainerId, ContainerSpec};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Makes a container. Nothing is left behind on failure.
pub fn create(engine: &Engine, mut spec: ContainerSpec, image: Option<ImageUse>) -> Result<ContainerRecord> {
    let id = ContainerId::from_random(&host::random());
    refuse_labels(&spec)?;
    check_sources(&spec)?;
    take_over_volumes(engine, &mut spec)?;
    let volumes = plan_volumes(&mut spec, image.as_ref());
    let ports = ports::decide(&spec, image.as_ref())?;
    let id_maps = userns::maps(engine, &spec, image.as_ref())?;
    let remove = spec.remove;
    let wished_name = spec.name.clone();
    let mut record = ContainerRecord {
        version: RECORD_VERSION,
        name: wished_name.clone().unwrap_or_else(|| random_name(0)),
        created: host::now(),
        image,
        spec,
        volumes,
        ports,
        log_path: None,
        mount_label: None,
        process_label: None,
        id_maps,
        pod: None,
        id,
    };
    record.log_path = log_path(engine, &record);
    check(&record)?;
    crate::net::check(&record)?;
    let stage = Stage::new(engine, &record.id)?;
    claim_some_name(engine, &mut record, wished_name.is_some())?;
    let made = volume::make_for(engine, &record).and_then(|()| {
        let durability = if remove { Durability::Fleeting } else { Durability::Durable };
        json::save(&stage.dir.join("config.json"), &record, durability)?;
        stage.publish(engine, &record.id)
    });
    if let Err(error) = made {
        names::release(engine, &record.name, &record.id);
        volume::unmake_for(engine, &record);
        return Err(error);
    }
    Ok(record)
}

/// What we cannot confine by is refused: an option that is accepted and does nothing would be believed.
fn refuse_labels(spec: &ContainerSpec) -> Result<()> {
    let refuse = |what: &str| Err(Error::new(ErrorKind::Unsupported, format!("{what} is not supported yet")));
    if spec.security.apparmor.as_deref().is_some_and(|profile| profile != "unconfined") {
        return refuse("confining by an AppArmor profile");
    }
    let selinux = std::path::Path::new("/sys/fs/selinux/enforce").exists();
    if selinux && spec.security.label.iter().any(|label| label != "disable") {
        return refuse("confining by an SELinux label");
    }
    if selinux && spec.mounts.iter().any(|mount| mount.options.relabel.is_some()) {
        return refuse("relabelling a mount (z, Z) on a host with SELinux");
    }
    Ok(())
}

/// Plans once with facts that are always true, so that a wish that cannot be is refused at once.
fn check(record: &ContainerRecord) -> Result<()> {
    let mut facts = plan::Facts::default();
    for volume in volume::names_of(record) {
        facts.volumes.insert(volume, "/".to_owned());
    }
    let _ = plan::config(record, &facts)?;
    Ok(())
}

fn claim_some_name(engine: &Engine, record: &mut ContainerRecord, wished: bool) -> Result<()> {
    for attempt in 0.. {
        match names::claim(engine, &record.name, &record.id) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !wished && attempt < 20 => {
                record.name = random_name(attempt + 1);
            }
            result => return result,
        }
    }
    unreachable!("the loop returns")
}

/// A bind source must exist, or be wished to be made; the words are Podman's.
fn check_sources(spec: &ContainerSpec) -> Result<()> {
    for wish in &spec.mounts {
        if let MountSource::Bind { path, create } = &wish.source
            && let Err(e) = std::fs::metadata(path)
        {
            if *create && e.kind() == std::io::ErrorKind::NotFound {
                std::fs::create_dir_all(path).map_err(|e| Error::io(format!("making bind source {path:?}"), e))?;
            } else {
                return Err(Error::io(format!("statfs {path:?}"), e));
            }
        }
    }
    Ok(())
}

/// `--volumes-from`: the mounts of other containers are wished too, unless this one has its own there.
fn take_over_volumes(engine: &Engine, spec: &mut ContainerSpec) -> Result<()> {
    for from in std::mem::take(&mut spec.volumes_from) {
        let other = super::find::find(engine, &from.container)?;
        let mut theirs: Vec<spec::mount::MountSpec> = other.spec.mounts.clone();
        theirs.retain(|m| !matches!(m.source, MountSource::AnonymousVolume | MountSource::Tmpfs));
        theirs.extend(other.volumes.iter().filter(|v| v.anonymous).map(|v| spec::mount::MountSpec {
            source: MountSource::Volume(v.name.clone()),
            target: v.target.clone(),
            options: Default::default(),
        }));
        for mut mount in theirs {
            if from.options.iter().any(|option| option == "ro") {
                mount.options.read_only = Some(true);
            }
            let taken = spec.mounts.iter().any(|m| plan::mounts::same_place(&m.target, &mount.target));
            if !taken {
                spec.mounts.push(mount);
            }
        }
        spec.volumes_from.push(from);
    }
    Ok(())
}

/// Volumes without a name get one; VOLUMEs of the image become volumes, tmpfs or nothing.
fn plan_volumes(spec: &mut ContainerSpec, image: Option<&ImageUse>) -> Vec<VolumeUse> {
    let mut volumes = Vec::new();
    for wish in &spec.mounts {
        match &wish.source {
            MountSource::AnonymousVolume => volumes.push(volume::anonymous(&wish.target)),
            MountSource::Volume(name) => {
                volumes.push(VolumeUse { name: name.clone(), target: wish.target.clone(), anonymous: false });
            }
            _ => {}
        }
    }
    let taken = |spec: &ContainerSpec, target: &str| {
        spec.mounts.iter().any(|m| plan::mounts::same_place(&m.target, target))
            || spec.tmpfs.iter().any(|t| plan::mounts::same_place(&t.target, target))
    };
    for target in image.iter().flat_map(|image| image.config.volumes.keys()) {
        if taken(spec, target) {
            continue;
        }
        match spec.image_volumes {
            AnonymousVolumes::Anonymous => volumes.push(volume::anonymous(target)),
            AnonymousVolumes::Tmpfs => spec.tmpfs.push(TmpfsSpec { target: target.clone(), options: vec!["exec".to_owned()] }),
            AnonymousVolumes::Ignore => {}
        }
    }
    volumes
}

fn log_path(engine: &Engine, record: &ContainerRecord) -> Option<String> {
    use spec::log::LogDriver;
    match record.spec.log.driver.unwrap_or(LogDriver::K8sFile) {
        LogDriver::K8sFile | LogDriver::JsonFile => Some(match &record.spec.log.path {
            Some(path) => path.clone(),
            None => engine.paths.container(&record.id).join("ctr.log").to_string_lossy().into_owned(),
        }),
        _ => None,
    }
}

/// A container in the making: a directory in staging whose lock is held, so that others can tell it from one
/// whose maker was killed.
struct Stage {
    dir: PathBuf,
    _lock: File,
    published: std::cell::Cell<bool>,
}

impl Stage {
    fn new(engine: &Engine, id: &ContainerId) -> Result<Self> {
        let dir = engine.paths.graph_root.join("staging").join(id.as_str());
        crate::paths::make_private(&dir)?;
        let doing = |e: std::io::Error| Error::io(format!("making container {:?}", id.short()), e);
        let lock =
            std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join("lock")).map_err(doing)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| doing(e.into()))?;
        Ok(Self { dir, _lock: lock, published: false.into() })
    }

    fn publish(&self, engine: &Engine, id: &ContainerId) -> Result<()> {
        crate::paths::make_private(&engine.paths.container_run(id))?;
        std::fs::rename(&self.dir, engine.paths.container(id)).map_err(|e| Error::io(format!("making container {:?}", id.short()), e))?;
        self.published.set(true);
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.published.get() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
