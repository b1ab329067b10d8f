//! The program: found as `execvp` finds it, inside the container, and executed.

use crate::error::{LaunchError, Step};
use oci::runtime::Process;
use rustix::io::Errno;
use std::ffi::CString;

/// Where programs are looked for without a PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program ready to be executed, so that nothing needs to be allocated later.
pub(crate) struct Program {
    candidates: Vec<CString>,
    args: Vec<CString>,
    env: Vec<CString>,
    name: String,
}

/// Changes to the working directory, and proves that it lies inside the root (runc CVE-2024-21626).
pub(crate) fn enter_directory(cwd: &str) -> Result<(), LaunchError> {
    let doing = |e: Errno| LaunchError::new(Step::WorkingDirectory, cwd, e);
    rustix::process::chdir(cwd).map_err(doing)?;
    // getcwd(2) marks a directory that the root does not reach.
    let reached = rustix::process::getcwd(Vec::new()).map_err(doing)?;
    if reached.to_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(LaunchError::refused(Step::WorkingDirectory, cwd, "it lies outside of the container"))
    }
}

/// Spells out where the program may be.
pub(crate) fn prepare(process: &Process) -> Result<Program, LaunchError> {
    let text = |text: &str| CString::new(text).map_err(|_| LaunchError::refused(Step::Config, "process", "there is a NUL in it"));
    let name = process.args.first().cloned().unwrap_or_default();
    let candidates = if name.contains('/') {
        vec![text(&name)?]
    } else if name.is_empty() {
        Vec::new()
    } else {
        let path = process.env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
        path.split(':')
            .map(|dir| if dir.is_empty() { text(&format!("./{name}")) } else { text(&format!("{dir}/{name}")) })
            .collect::<Result<_, _>>()?
    };
    Ok(Program {
        candidates,
        args: process.args.iter().map(|arg| text(arg)).collect::<Result<_, _>>()?,
        env: process.env.iter().map(|entry| text(entry)).collect::<Result<_, _>>()?,
        name,
    })
}

impl Program {
    /// Executes the first that can be; the error that says most is returned.
    pub(crate) fn execute(&self) -> LaunchError {
        let mut worst = Errno::NOENT;
        for candidate in &self.candidates {
            let error = sys::process::execute(candidate, &self.args, &self.env);
            match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::NOTDIR) | None => {}
                Some(Errno::ACCESS) => worst = Errno::ACCESS,
                Some(other) => return LaunchError::new(Step::Execute, self.name.as_str(), other),
            }
        }
        let exists = |path: &CString| rustix::fs::stat(path.as_c_str()).is_ok();
        let step = if worst == Errno::NOENT && !self.candidates.iter().any(exists) { Step::ProgramNotFound } else { Step::Execute };
        if step == Step::Execute && worst == Errno::NOENT {
            // The file is there, and what it names as interpreter is not.
            return LaunchError::refused(step, self.name.as_str(), "its interpreter does not exist in the container");
        }
        LaunchError::new(step, self.name.as_str(), worst)
    }
}
