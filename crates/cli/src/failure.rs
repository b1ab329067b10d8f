//! What goes wrong on the way, and the exit code it has. The code depends on the kind alone.

use crate::args::ArgsError;
use engine::{Cure, Error, ErrorKind};

/// A failed command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine could not.
    Engine(Error),
    /// It was called wrongly.
    Usage(String),
    /// Everything was said already; only the code is left.
    Code(i32),
}

impl Failure {
    /// A wrong call.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// The text after `Error: `.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Engine(error) => error.chain(),
            Self::Usage(text) => text.clone(),
            Self::Code(_) => String::new(),
        }
    }

    /// The cure, if one is known.
    pub(crate) fn cure(&self) -> Option<&Cure> {
        match self {
            Self::Engine(error) => error.cure(),
            _ => None,
        }
    }

    /// 127 and 126 for the container's program, 125 for everything of ours.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Self::Engine(error) => match error.kind() {
                ErrorKind::ProgramNotFound => 127,
                ErrorKind::ProgramNotExecutable => 126,
                _ => 125,
            },
            Self::Usage(_) => 125,
            Self::Code(code) => *code,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<ArgsError> for Failure {
    fn from(error: ArgsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<spec::ParseError> for Failure {
    fn from(error: spec::ParseError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<spec::NameError> for Failure {
    fn from(error: spec::NameError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<output::TemplateError> for Failure {
    fn from(error: output::TemplateError) -> Self {
        Self::Usage(error.to_string())
    }
}
