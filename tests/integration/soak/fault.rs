//! What goes wrong, and what may be lost by it.

use rand::RngExt;
use rand::rngs::StdRng;

/// What a connection that was open ends with, or goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A Close frame, and the client's answer is read.
    Close,
    /// The end of the stream without a Close frame; what the client has sent is read.
    Cut,
    /// The same in the middle of a frame.
    HalfFrame,
    /// A frame with an opcode that nobody has defined; the client's Close is read.
    Violation,
    /// A TCP reset.
    Reset,
    /// Neither reads nor writes any more: only the keepalive notices.
    Silence,
    /// Reads and throws away for a while, but writes; then a reset.
    Swallow,
    /// Neither reads nor writes for a moment; nothing ends.
    Delay,
    /// Writes single bytes for a moment; nothing ends.
    Chop,
}

impl Fault {
    pub(super) const ALL: [Fault; 9] = [
        Fault::Close,
        Fault::Cut,
        Fault::HalfFrame,
        Fault::Violation,
        Fault::Reset,
        Fault::Silence,
        Fault::Swallow,
        Fault::Delay,
        Fault::Chop,
    ];

    pub(super) fn any(rng: &mut StdRng) -> Self {
        Fault::ALL[rng.random_range(0..Fault::ALL.len())]
    }

    pub(super) fn ends_the_connection(self) -> bool {
        !matches!(self, Fault::Delay | Fault::Chop)
    }

    /// Whether what the client had written to the connection may not have been read by the server.
    pub(super) fn loses_what_the_client_sent(self) -> bool {
        matches!(self, Fault::Reset | Fault::Silence | Fault::Swallow)
    }

    /// Whether what the server had written to the connection may not have been read by the client:
    /// a reset throws away what is on its way.
    pub(super) fn loses_what_the_server_sent(self) -> bool {
        matches!(self, Fault::Reset | Fault::Swallow)
    }
}

/// What an attempt to connect ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Refusal {
    HangUp,
    Reset,
    Status503,
    NoHttp,
    HalfAResponse,
    /// Until the client gives up.
    Silence,
}

impl Refusal {
    pub(super) const ALL: [Refusal; 6] = [
        Refusal::HangUp,
        Refusal::Reset,
        Refusal::Status503,
        Refusal::NoHttp,
        Refusal::HalfAResponse,
        Refusal::Silence,
    ];

    /// One attempt in three is refused.
    pub(super) fn perhaps(rng: &mut StdRng) -> Option<Self> {
        Refusal::ALL.get(rng.random_range(0..3 * Refusal::ALL.len())).copied()
    }
}
