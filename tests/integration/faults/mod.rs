//! A server that is fine behind a proxy that is not: every fault in every phase, then random
//! sequences of them. After each the contract has held, and neither a thread nor a file descriptor
//! nor memory is left.
//!
//! What counts those is the process, so these tests run in one of their own: see `census`.

/// What is left in this process: threads, file descriptors, memory.
pub(crate) mod census;
/// The contract, checked of a run whose course nobody knows.
mod course;
/// What the proxy does to one connection.
#[cfg_attr(not(feature = "server"), allow(dead_code))]
pub(crate) mod link;
/// Every fault at every moment of a connection.
mod phases;
/// The proxy.
#[cfg_attr(not(feature = "server"), allow(dead_code))]
pub(crate) mod proxy;
/// Random sequences of faults.
mod sequences;
/// The server behind the proxy.
mod server;
/// What an app goes through on its way to a server.
mod way;
