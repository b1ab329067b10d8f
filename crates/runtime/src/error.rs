//! Why a container could not be launched: the step, the object, the errno. Errors of the child travel over a
//! pipe as these three, not as text.

use std::fmt;
use std::io;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Reading the configuration.
    Config = 1,
    /// Opening the source of a mount.
    MountSource,
    /// Cloning the first process.
    Clone,
    /// Writing id maps.
    IdMap,
    /// Joining a namespace.
    Join,
    /// Setting the host name.
    Hostname,
    /// Attaching the root file system.
    Root,
    /// Mounting.
    Mount,
    /// Finding or making a mount point.
    MountPoint,
    /// Making a device.
    Device,
    /// Masking a path.
    Mask,
    /// Making a path read-only.
    ReadOnlyPath,
    /// Changing the root directory.
    Pivot,
    /// Setting a kernel parameter.
    Sysctl,
    /// Setting a resource limit.
    Rlimit,
    /// Changing the working directory.
    WorkingDirectory,
    /// Changing user or groups.
    User,
    /// Setting capabilities.
    Capabilities,
    /// Loading the system call filter.
    Seccomp,
    /// Setting a security label.
    Label,
    /// Making the terminal.
    Terminal,
    /// Setting attributes of the process.
    Process,
    /// Looking for the program: nowhere.
    ProgramNotFound,
    /// Executing the program.
    Execute,
    /// Running a hook.
    Hook,
    /// Speaking with the child.
    Talk,
}

impl Step {
    const ALL: [Self; 26] = [
        Self::Config,
        Self::MountSource,
        Self::Clone,
        Self::IdMap,
        Self::Join,
        Self::Hostname,
        Self::Root,
        Self::Mount,
        Self::MountPoint,
        Self::Device,
        Self::Mask,
        Self::ReadOnlyPath,
        Self::Pivot,
        Self::Sysctl,
        Self::Rlimit,
        Self::WorkingDirectory,
        Self::User,
        Self::Capabilities,
        Self::Seccomp,
        Self::Label,
        Self::Terminal,
        Self::Process,
        Self::ProgramNotFound,
        Self::Execute,
        Self::Hook,
        Self::Talk,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::Config => "reading the configuration",
            Self::MountSource => "opening mount source",
            Self::Clone => "making namespaces",
            Self::IdMap => "mapping ids",
            Self::Join => "joining namespace",
            Self::Hostname => "setting the host name",
            Self::Root => "attaching the root file system",
            Self::Mount => "mounting at",
            Self::MountPoint => "making mount point",
            Self::Device => "making device",
            Self::Mask => "masking",
            Self::ReadOnlyPath => "making read-only",
            Self::Pivot => "changing the root directory",
            Self::Sysctl => "setting kernel parameter",
            Self::Rlimit => "setting resource limit",
            Self::WorkingDirectory => "changing to working directory",
            Self::User => "changing to user",
            Self::Capabilities => "setting capabilities",
            Self::Seccomp => "loading the system call filter",
            Self::Label => "setting security label",
            Self::Terminal => "making the terminal",
            Self::Process => "setting up the process",
            Self::ProgramNotFound => "executable file",
            Self::Execute => "executing",
            Self::Hook => "running hook",
            Self::Talk => "speaking with the container's first process",
        }
    }
}

/// Why a container, or a program in it, could not be launched.
#[derive(Debug)]
pub struct LaunchError {
    /// What was being done.
    pub step: Step,
    /// To which object.
    pub object: String,
    /// Why not.
    pub cause: io::Error,
    /// A reason in words, where no errno says it.
    pub words: Option<String>,
}

impl LaunchError {
    /// Makes an error with an errno.
    pub fn new(step: Step, object: impl Into<String>, cause: impl Into<io::Error>) -> Self {
        Self { step, object: object.into(), cause: cause.into(), words: None }
    }

    /// Makes an error that needs words.
    pub fn refused(step: Step, object: impl Into<String>, words: impl Into<String>) -> Self {
        Self { step, object: object.into(), cause: io::Error::from_raw_os_error(libc_einval()), words: Some(words.into()) }
    }

    /// 127 for a program that is not there, 126 for one that cannot be executed, 125 for the rest.
    pub fn exit_code(&self) -> i32 {
        match self.step {
            Step::ProgramNotFound => 127,
            Step::Execute => 126,
            _ => 125,
        }
    }

    /// Packs step, errno and object for the pipe.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.step as u8];
        bytes.extend(self.cause.raw_os_error().unwrap_or(5).to_le_bytes());
        let words = self.words.as_deref().unwrap_or_default();
        let object: String = self.object.chars().take(1000).collect();
        bytes.extend((object.len() as u16).to_le_bytes());
        bytes.extend(object.as_bytes());
        bytes.extend(words.chars().take(500).collect::<String>().as_bytes());
        bytes
    }

    /// Unpacks what the child sent.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let step = Step::ALL.into_iter().find(|step| *step as u8 == bytes[0])?;
        let errno = i32::from_le_bytes(bytes.get(1..5)?.try_into().ok()?);
        let length = usize::from(u16::from_le_bytes(bytes.get(5..7)?.try_into().ok()?));
        let object = String::from_utf8_lossy(bytes.get(7..7 + length)?).into_owned();
        let words = String::from_utf8_lossy(bytes.get(7 + length..)?).into_owned();
        Some(Self { step, object, cause: io::Error::from_raw_os_error(errno), words: Some(words).filter(|words| !words.is_empty()) })
    }
}

fn libc_einval() -> i32 {
    rustix::io::Errno::INVAL.raw_os_error()
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step.words())?;
        if !self.object.is_empty() {
            write!(f, " {:?}", self.object)?;
        }
        if self.step == Step::ProgramNotFound {
            // Podman's words: scripts look for them.
            f.write_str(" not found in $PATH")?;
        }
        match &self.words {
            Some(words) => write!(f, ": {words}"),
            None => write!(f, ": {}", errno_words(&self.cause)),
        }
    }
}

/// The kernel's words, without the number that the standard library adds.
fn errno_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

impl std::error::Error for LaunchError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_survive_the_pipe() {
        let error = LaunchError::new(Step::Mount, "/data", io::Error::from_raw_os_error(13));
        let back = LaunchError::from_bytes(&error.to_bytes()).unwrap();
        assert_eq!(back.to_string(), "mounting at \"/data\": permission denied");
        assert_eq!(
            LaunchError::from_bytes(&LaunchError::refused(Step::Config, "x", "no").to_bytes()).unwrap().to_string(),
            "reading the configuration \"x\": no"
        );
        assert_eq!(LaunchError::new(Step::ProgramNotFound, "x", io::Error::from_raw_os_error(2)).exit_code(), 127);
    }
}
