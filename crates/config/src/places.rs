//! Where configuration lies: the vendor's, the administrator's, the user's, and what the environment puts instead.

use crate::ConfigError;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// No configuration file is larger.
pub const FILE_LIMIT: u64 = 4 << 20;

/// The directories and variables that decide which files are read; looked up once.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Directory that `/etc` and `/usr` lie in; `/` but for tests.
    pub system: PathBuf,
    /// Whether the user's own files do not count.
    pub is_root: bool,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, or `~/.config`.
    pub config_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `$CONTAINERS_CONF`: read instead of all others.
    pub containers_conf: Option<PathBuf>,
    /// `$CONTAINERS_CONF_OVERRIDE`: read after all others.
    pub containers_conf_override: Option<PathBuf>,
    /// `$CONTAINERS_STORAGE_CONF`.
    pub storage_conf: Option<PathBuf>,
    /// `$CONTAINERS_REGISTRIES_CONF`.
    pub registries_conf: Option<PathBuf>,
    /// `$REGISTRY_AUTH_FILE`.
    pub auth_file: Option<PathBuf>,
    /// `$DOCKER_CONFIG`, the directory of Docker's `config.json`.
    pub docker_config: Option<PathBuf>,
}

impl Places {
    /// Looks at the environment and at who we are.
    pub fn of_this_process() -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = path("HOME");
        Self {
            system: "/".into(),
            is_root: rustix::process::geteuid().is_root(),
            // The specification has relative paths ignored.
            config_home: path("XDG_CONFIG_HOME").filter(|dir| dir.is_absolute()).or_else(|| home.as_ref().map(|home| home.join(".config"))),
            home,
            runtime_dir: path("XDG_RUNTIME_DIR").filter(|dir| dir.is_absolute()),
            containers_conf: path("CONTAINERS_CONF"),
            containers_conf_override: path("CONTAINERS_CONF_OVERRIDE"),
            storage_conf: path("CONTAINERS_STORAGE_CONF"),
            registries_conf: path("CONTAINERS_REGISTRIES_CONF").or_else(|| path("REGISTRIES_CONFIG_PATH")),
            auth_file: path("REGISTRY_AUTH_FILE"),
            docker_config: path("DOCKER_CONFIG"),
        }
    }

    /// A path below the system's directory.
    pub fn system(&self, path: &str) -> PathBuf {
        self.system.join(path.trim_start_matches('/'))
    }

    /// A file of the user's in `~/.config/containers`; none for root.
    pub fn user(&self, name: &str) -> Option<PathBuf> {
        if self.is_root {
            return None;
        }
        Some(self.config_home.as_ref()?.join("containers").join(name))
    }
}

/// Reads a text file that may be absent. Devices, FIFOs and files larger than any such file are errors: a
/// configuration must not stop the program (threat C04).
pub fn read_optional(path: &Path) -> Result<Option<String>, ConfigError> {
    let failed = |source: std::io::Error| ConfigError::Io { path: path.to_string_lossy().into_owned(), source };
    match open_regular(path).map_err(failed)? {
        Some(fd) => read_text(fd).map(Some).map_err(failed),
        None => Ok(None),
    }
}

/// Reads a text file that must be there.
pub fn read_required(path: &Path) -> Result<String, ConfigError> {
    let absent = || ConfigError::Io { path: path.to_string_lossy().into_owned(), source: std::io::ErrorKind::NotFound.into() };
    read_optional(path)?.ok_or_else(absent)
}

fn open_regular(path: &Path) -> std::io::Result<Option<OwnedFd>> {
    use rustix::fs::{FileType, Mode, OFlags};
    // Not to wait for the other end of a FIFO.
    let fd = match rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let stat = rustix::fs::fstat(&fd)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_size as u64 > FILE_LIMIT => Err(std::io::Error::other("it is larger than any such file")),
        FileType::RegularFile => Ok(Some(fd)),
        // People put /dev/null where a file shall be empty.
        FileType::CharacterDevice => Ok(Some(fd)),
        _ => Err(std::io::Error::other("it is no file")),
    }
}

fn read_text(fd: OwnedFd) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::from(fd).take(FILE_LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(std::io::Error::other("it is larger than any such file"));
    }
    Ok(text)
}

/// The `.conf` files of a directory, in the order of their names; none if it is absent.
pub fn drop_ins(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "conf")).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_sane_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert_eq!(read_optional(&path).unwrap(), None);
        std::fs::write(&path, "x").unwrap();
        assert_eq!(read_optional(&path).unwrap().as_deref(), Some("x"));
        assert_eq!(read_optional(Path::new("/dev/null")).unwrap().as_deref(), Some(""));
        assert!(read_optional(Path::new("/dev/zero")).is_err());
        assert!(read_optional(dir.path()).is_err());
        std::fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
        assert!(read_optional(&path).is_err());
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600), 0).unwrap();
        assert!(read_optional(&fifo).is_err());
        assert!(read_required(&dir.path().join("g")).is_err());
    }
}
