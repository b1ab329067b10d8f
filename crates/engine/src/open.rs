//! Opening the engine: which user, which roots, which configuration. Cheap; nothing is scanned.

use crate::error::Result;
use crate::paths::{PathFacts, Paths};
use std::path::PathBuf;

/// What the command line says of the engine itself.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// `--root`.
    pub root: Option<PathBuf>,
    /// `--runroot`.
    pub runroot: Option<PathBuf>,
}

/// An opened engine: where things are and what was configured.
#[derive(Debug)]
pub struct Engine {
    /// The two roots.
    pub paths: Paths,
    /// Effective user id of the caller.
    pub uid: u32,
    /// Effective group id of the caller.
    pub gid: u32,
    /// What the command line said.
    pub options: EngineOptions,
}

impl Engine {
    /// Finds the roots and makes them if they are not there.
    pub fn open(options: EngineOptions) -> Result<Self> {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let runtime_dir = variable("XDG_RUNTIME_DIR")
            .filter(|dir| dir.is_dir())
            .or_else(|| Some(PathBuf::from(format!("/run/user/{uid}"))).filter(|dir| uid != 0 && dir.is_dir()));
        let facts = PathFacts {
            uid,
            home: variable("HOME"),
            xdg_data_home: variable("XDG_DATA_HOME"),
            xdg_runtime_dir: runtime_dir,
            root_flag: options.root.clone(),
            runroot_flag: options.runroot.clone(),
            configured_graph_root: None,
            configured_run_root: None,
        };
        let paths = Paths::choose(&facts)?;
        paths.make(uid)?;
        Ok(Self { paths, uid, gid, options })
    }

    /// The store.
    pub fn store(&self) -> storage::Store {
        storage::Store::open(&self.paths.graph_root)
    }

    /// Tells whether the caller is an ordinary user.
    pub fn is_rootless(&self) -> bool {
        self.uid != 0
    }
}
