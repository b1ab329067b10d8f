//! Logging (`--log-driver`, `--log-opt`).

use serde::{Deserialize, Serialize};

/// All a user says of a container's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSpec {
    /// Driver; k8s-file when absent.
    pub driver: Option<LogDriver>,
    /// Bytes of one file; `None` is the default bound, `Some(-1)` unlimited.
    pub max_size: Option<i64>,
    /// Number of files.
    pub max_files: Option<u32>,
    /// Where, instead of beside the container.
    pub path: Option<String>,
    /// Tag template.
    pub tag: Option<String>,
    /// Labels put in the journal (`label=`), as `key=value`.
    pub labels: Vec<String>,
}

/// Where output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// Lines of the Kubernetes format.
    K8sFile,
    /// Docker's JSON lines.
    JsonFile,
    /// The journal.
    Journald,
    /// The caller's own descriptors.
    Passthrough,
    /// The caller's own terminal.
    PassthroughTty,
    /// Nowhere.
    None,
}

impl std::str::FromStr for LogDriver {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "k8s-file" => Self::K8sFile,
            "json-file" => Self::JsonFile,
            "journald" => Self::Journald,
            "passthrough" => Self::Passthrough,
            "passthrough-tty" => Self::PassthroughTty,
            "none" => Self::None,
            _ => {
                return Err(crate::ParseError::new(
                    "log driver",
                    text,
                    "it is k8s-file, json-file, journald, passthrough, passthrough-tty or none",
                ));
            }
        })
    }
}

impl LogDriver {
    /// The driver's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::K8sFile => "k8s-file",
            Self::JsonFile => "json-file",
            Self::Journald => "journald",
            Self::Passthrough => "passthrough",
            Self::PassthroughTty => "passthrough-tty",
            Self::None => "none",
        }
    }
}

impl LogSpec {
    /// Applies one `--log-opt KEY=VALUE`.
    pub fn apply(&mut self, option: &str) -> Result<(), crate::ParseError> {
        let invalid = |why: &str| crate::ParseError::new("log option", option, why);
        let (key, value) = option.split_once('=').ok_or_else(|| invalid("it is written KEY=VALUE"))?;
        match key {
            "max-size" => self.max_size = Some(if value == "unlimited" { -1 } else { crate::quantity::parse_limit("log size", value)? }),
            "max-file" | "max-files" => {
                self.max_files =
                    Some(value.parse().ok().filter(|n| *n > 0).ok_or_else(|| invalid("the number of files is a number from 1 on"))?);
            }
            "path" => self.path = Some(value.to_owned()),
            "tag" => self.tag = Some(value.to_owned()),
            "label" | "labels" => self.labels.push(value.to_owned()),
            _ => return Err(invalid("options are max-size, max-file, path, tag and label")),
        }
        Ok(())
    }
}
