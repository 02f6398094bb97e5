//! The handshake's messages and key schedule (spec/protocol.md section 5). The roles are in [`client`](crate::client) and
//! [`server`](crate::server).
//!
//! ```text
//! client                                  instance
//!   H1 = ct_s, ek_c, confirm1   ------>   decapsulate ct_s, check confirm1
//!   c2s frames, early secret    ------>
//!                               <------   H2 = ct_c, confirm2
//!   decapsulate ct_c, check confirm2
//!   SWITCH, c2s frames, late    ------>
//!                               <------   s2c frames
//! ```

pub(crate) mod message;
pub(crate) mod schedule;
pub mod transcript;

mod opening;
mod session;

pub use self::message::{ParsedRequest, RequestProgress, h1_len, h2_len};
pub use self::opening::{OpeningProgress, context_prefix, read_opening, read_opening_message};
pub(crate) use self::session::Hashes;
pub use self::session::Session;
