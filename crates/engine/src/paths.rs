//! Where the engine keeps things: the graph root (durable) and the run root (gone at reboot).

use crate::error::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The two roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Durable: `$HOME/.local/share/coracle` or `/var/lib/coracle`.
    pub graph_root: PathBuf,
    /// Gone at reboot: `$XDG_RUNTIME_DIR/coracle` or `/run/coracle`.
    pub run_root: PathBuf,
}

/// What the choice of the roots depends on, gathered once by the caller.
#[derive(Debug, Clone, Default)]
pub struct PathFacts {
    /// Effective user id.
    pub uid: u32,
    /// `$HOME`, or the home directory of the user database.
    pub home: Option<PathBuf>,
    /// `$XDG_DATA_HOME`.
    pub xdg_data_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, if it exists and is ours.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `--root`.
    pub root_flag: Option<PathBuf>,
    /// `--runroot`.
    pub runroot_flag: Option<PathBuf>,
    /// `graphroot` of storage.conf.
    pub configured_graph_root: Option<PathBuf>,
    /// `runroot` of storage.conf.
    pub configured_run_root: Option<PathBuf>,
}

impl Paths {
    /// Chooses the roots. Podman's configured directories are honoured as neighbours: ours is the
    /// directory `coracle` beside them, since nothing live is shared with Podman's own store.
    pub fn choose(facts: &PathFacts) -> Result<Self> {
        let absolute = |path: &Path| path.is_absolute().then(|| path.to_owned());
        let flag = |path: &Option<PathBuf>, name: &str| -> Result<Option<PathBuf>> {
            match path {
                Some(path) if path.is_absolute() => Ok(Some(path.clone())),
                Some(path) => {
                    Ok(Some(std::path::absolute(path).map_err(|e| Error::io(format!("resolving {name} {:?}", path.display()), e))?))
                }
                None => Ok(None),
            }
        };
        let beside = |path: &PathBuf| absolute(path).and_then(|path| Some(path.parent()?.join("coracle")));
        let rootless = facts.uid != 0;
        let graph_root = match flag(&facts.root_flag, "--root")? {
            Some(path) => path,
            None => match facts.configured_graph_root.as_ref().and_then(beside) {
                Some(path) => path,
                None if !rootless => PathBuf::from("/var/lib/coracle"),
                None => match (facts.xdg_data_home.as_deref().and_then(absolute), &facts.home) {
                    (Some(data), _) => data.join("coracle"),
                    (None, Some(home)) if home.is_absolute() => home.join(".local/share/coracle"),
                    _ => {
                        return Err(Error::new(
                            ErrorKind::InvalidInput,
                            "finding a place for images and containers: neither HOME nor XDG_DATA_HOME is set to an absolute path",
                        ));
                    }
                },
            },
        };
        let run_root = match flag(&facts.runroot_flag, "--runroot")? {
            Some(path) => path,
            None => match facts.configured_run_root.as_ref().and_then(beside) {
                Some(path) => path,
                None if !rootless => PathBuf::from("/run/coracle"),
                None => match &facts.xdg_runtime_dir {
                    Some(dir) => dir.join("coracle"),
                    None => PathBuf::from(format!("/tmp/coracle-run-{}", facts.uid)),
                },
            },
        };
        Ok(Self { graph_root, run_root })
    }

    /// Directory of one container's durable files.
    pub fn container(&self, id: &spec::ContainerId) -> PathBuf {
        self.graph_root.join("containers").join(id.as_str())
    }

    /// Directory of one container's files that are gone at reboot.
    pub fn container_run(&self, id: &spec::ContainerId) -> PathBuf {
        self.run_root.join("containers").join(id.as_str())
    }

    /// Makes the directories, private to the user; refuses one that belongs to somebody else.
    pub fn make(&self, uid: u32) -> Result<()> {
        for dir in [&self.graph_root, &self.run_root] {
            make_private(dir)?;
            let meta = std::fs::symlink_metadata(dir).map_err(|e| Error::io(format!("looking at {:?}", dir.display()), e))?;
            if meta.uid() != uid {
                return Err(Error::new(
                    ErrorKind::NotPermitted,
                    format!("using {:?}: it belongs to user {}, not to {uid}", dir.display(), meta.uid()),
                ));
            }
        }
        for dir in [
            self.graph_root.join("containers"),
            self.graph_root.join("container-names"),
            self.graph_root.join("staging"),
            self.run_root.join("containers"),
        ] {
            make_private(&dir)?;
        }
        Ok(())
    }
}

/// Makes a directory with mode 0700; one that exists already is fine.
pub fn make_private(dir: &Path) -> Result<()> {
    // The common case is one failing mkdir; parents are only walked when it is the first time.
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => std::fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(dir)
            .map_err(|e| Error::io(format!("making directory {:?}", dir.display()), e)),
        Err(e) => Err(Error::io(format!("making directory {:?}", dir.display()), e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_follow_user_flags_and_configuration() {
        let root = Paths::choose(&PathFacts::default()).unwrap();
        assert_eq!(root.graph_root, Path::new("/var/lib/coracle"));
        let user = PathFacts { uid: 1000, home: Some("/home/a".into()), ..Default::default() };
        let chosen = Paths::choose(&user).unwrap();
        assert_eq!(chosen.graph_root, Path::new("/home/a/.local/share/coracle"));
        assert_eq!(chosen.run_root, Path::new("/tmp/coracle-run-1000"));
        let configured = PathFacts { configured_graph_root: Some("/data/containers/storage".into()), ..user.clone() };
        assert_eq!(Paths::choose(&configured).unwrap().graph_root, Path::new("/data/containers/coracle"));
        assert!(Paths::choose(&PathFacts { uid: 1000, ..Default::default() }).is_err());
    }
}
