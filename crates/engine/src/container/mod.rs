//! The verbs on containers, one file each.

pub mod create;
pub mod diff;
pub mod exec;
pub mod find;
pub mod inspect;
mod launch;
pub mod list;
pub mod lock;
pub mod logs;
pub mod names;
pub mod pause;
mod random_name;
pub mod record;
pub mod remove;
pub mod rename;
pub mod run;
pub mod signal;
pub mod size;
pub mod start;
pub mod status;
pub mod stop;
pub mod top;
pub mod wait;

pub use record::{ContainerRecord, ExitRecord, RunState, Status};
