//! The command as people run it: a process, its arguments, standard input and output, its exit
//! status. The peers are servers of the library, or sockets that misbehave.

// What tests ask for may be absent: then they have failed.
#![allow(clippy::unwrap_used)]

mod peers;
mod process;
mod screen;
mod temporary;

mod ctrl_c;
mod exit_status;
mod files;
mod generated;
mod input_end;
mod measuring;
mod options;
mod pipes;
mod proxies;
mod recordings;
mod serving;
mod terminal;
#[cfg(target_os = "linux")]
mod threads;
