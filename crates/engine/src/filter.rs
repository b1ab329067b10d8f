//! The system call filter of a container: chosen, compiled once, kept by digest.

use crate::container::ContainerRecord;
use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, Durability};
use crate::open::Engine;
use oci::runtime::Config;
use spec::security::SeccompChoice;

/// Returns the compiled filter of a container, or `None` for no filter. The run directory keeps it for `exec`.
pub fn program(engine: &Engine, record: &ContainerRecord, config: &Config) -> Result<Option<runtime::seccomp::Program>> {
    let security = &record.spec.security;
    let capabilities = config.process.as_ref().and_then(|process| process.capabilities.as_ref()).map(|caps| caps.bounding.as_slice());
    let capabilities = capabilities.unwrap_or_default();
    let compiled = match &security.seccomp {
        SeccompChoice::Unconfined => None,
        SeccompChoice::Default if security.privileged => None,
        SeccompChoice::Default => Some(
            runtime::seccomp::default_program(capabilities, security.nested)
                .map_err(|e| Error::because(ErrorKind::Internal, "compiling the default seccomp profile", e))?,
        ),
        SeccompChoice::Profile { path, text } => {
            let doing = || format!("reading seccomp profile {path:?}");
            let profile =
                runtime::seccomp::parse_profile(text, capabilities).map_err(|e| Error::because(ErrorKind::InvalidInput, doing(), e))?;
            Some(runtime::seccomp::compile(&profile).map_err(|e| Error::because(ErrorKind::InvalidInput, doing(), e))?)
        }
    };
    if let Some(program) = &compiled {
        json::save_bytes(&engine.paths.container_run(&record.id).join("seccomp.bpf"), &program.to_bytes(), Durability::Fleeting)?;
    }
    Ok(compiled)
}

/// Reads the filter of a container that runs.
pub fn of_running(engine: &Engine, record: &ContainerRecord) -> Result<Option<runtime::seccomp::Program>> {
    let path = engine.paths.container_run(&record.id).join("seccomp.bpf");
    match std::fs::read(&path) {
        Ok(bytes) => runtime::seccomp::Program::from_bytes(&bytes)
            .map(Some)
            .map_err(|e| Error::because(ErrorKind::Internal, format!("reading {:?}", path.display()), e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(format!("reading {:?}", path.display()), e)),
    }
}
