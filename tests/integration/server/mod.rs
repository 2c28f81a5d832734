//! The server from outside, against scripted clients.

// The vocabulary.
/// Processor time, to see what spins.
#[cfg(target_os = "linux")]
mod clock;
/// A server that runs with the callbacks of each client recorded.
mod serving;
/// A client that does not read, beside one that does.
mod stalling;
/// The scripted client's end of a connection.
mod visitor;

// The tests.
/// What callbacks answer to a client that reads late, or never.
mod answers;
/// Messages for all, and topics.
mod broadcast;
/// What a callback does to its own connection: closes it, fails, panics, waits for the server.
mod callbacks;
/// Clients that show a certificate, or should.
#[cfg(feature = "__tls")]
mod client_certificates;
/// Messages for all where clients have agreed to compression.
#[cfg(feature = "deflate")]
mod compressed;
/// Crowds that mean harm, with what they cost measured.
#[cfg(target_os = "linux")]
mod crowds;
/// File descriptors: none is left, and none to be had is not the end.
#[cfg(target_os = "linux")]
mod descriptors;
/// Every way in which a connection ends: one `on_close`, in order, on each kind of server.
mod endings;
/// A loop that cannot go on ends the server, and everybody is told who can be.
mod failing;
/// A handler for each client.
mod handlers;
/// Clients that mean harm.
mod hostile;
/// Messages for all beside one in fragments, bursts, and what came before a connection was open.
mod in_fragments;
/// Wrong addresses and options: refused before anybody is accepted.
mod input;
/// Clients that do not read as fast, and get the latest.
mod latest;
/// What is listened on, and by how many threads; ceasing to accept.
mod listening;
/// What `on_request` sees and answers.
mod on_request;
/// TLS with parts of the program's own, which panic.
#[cfg(feature = "rustls")]
mod own_tls;
/// A server's identity from a PKCS#12 archive.
#[cfg(feature = "__tls")]
mod pkcs12;
/// Requests that are no good, each with its status and a line that says why.
mod requests;
/// How a server ends.
mod shutdown;
/// A slow callback costs neither its own connection nor anybody else's time.
mod slow;
/// Clients that do not read as fast as is broadcast.
mod slow_clients;
/// The same over TLS.
#[cfg(feature = "__tls")]
mod tls;
