//! A monitor around real processes, real pipes and real terminals, through the `mini` example.

mod clients;
mod output;
mod runs;
mod stage;
mod terminals;
