//! Whole-program tests: the program is run as its users run it, and containers are real.

mod errors;
mod hostile;
mod images;
mod isolation;
mod kill;
mod lifecycle;
mod mounts;
mod network;
mod run;
