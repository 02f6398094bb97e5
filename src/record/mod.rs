//! Frames: two independent halves after the handshake, each with a sealer on one side and an opener on the other
//! (spec/protocol.md section 6).

mod opener;
mod padding;
pub(crate) mod ratchet;
mod sealer;

pub use self::opener::{Event, Opened, Opener};
pub use self::padding::{FixedSize, Padding};
pub use self::sealer::{Sealer, SwitchKey};

#[cfg(feature = "futures")]
pub(crate) use self::opener::{Found, error_parts};
pub(crate) use self::ratchet::RecordCrypto;

/// Which half a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// From client to instance: the request.
    C2s,
    /// From instance to client: the answer.
    S2c,
}
