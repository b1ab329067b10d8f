//! System call filters: from a profile to a program of the kernel.
//!
//! The program is a balanced tree over ranges of system call numbers with the same answer, one tree for each
//! architecture: loading a linear filter of this size costs the kernel a millisecond, the tree a fifth of it,
//! because it tries the filter with every number when it is loaded.

mod compile;
mod file;
mod numbers;
mod profile;

pub use compile::{CompileError, compile};
pub use file::{ProfileError, parse_profile};
pub use profile::default_profile;

use sys::seccomp::Instruction;

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) flags: u32,
}

/// A file that is not a filter of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a compiled filter")]
pub struct NotAProgram;

/// Version of the bytes; a change of the compiler's output that matters changes it.
const MAGIC: &[u8; 8] = b"crclbpf1";

impl Program {
    /// Packs the program for a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.flags.to_le_bytes());
        for i in &self.instructions {
            bytes.extend(i.code.to_le_bytes());
            bytes.extend([i.jump_true, i.jump_false]);
            bytes.extend(i.operand.to_le_bytes());
        }
        bytes
    }

    /// Unpacks a program; the kernel checks it once more when it is loaded.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAProgram> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(NotAProgram)?;
        let (flags, rest) = rest.split_first_chunk::<4>().ok_or(NotAProgram)?;
        if rest.len() % 8 != 0 || rest.is_empty() {
            return Err(NotAProgram);
        }
        let instructions = rest
            .chunks_exact(8)
            .map(|c| Instruction {
                code: u16::from_le_bytes([c[0], c[1]]),
                jump_true: c[2],
                jump_false: c[3],
                operand: u32::from_le_bytes([c[4], c[5], c[6], c[7]]),
            })
            .collect();
        Ok(Self { instructions, flags: u32::from_le_bytes(*flags) })
    }

    /// Number of instructions.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Tells whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }
}

/// Compiles the default profile.
pub fn default_program(capabilities: &[String], nested: bool) -> Result<Program, CompileError> {
    compile(&default_profile(capabilities, nested))
}

/// The architectures this machine executes, the native one first.
pub(crate) fn native_architectures() -> Vec<String> {
    let names: &[&str] =
        if cfg!(target_arch = "x86_64") { &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"] } else { &["SCMP_ARCH_AARCH64"] };
    names.iter().map(|name| (*name).to_owned()).collect()
}
