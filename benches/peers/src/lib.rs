//! sealwire beside other libraries, in one process and one run: `cargo xtask bench crypto | protocol | peers | counts`.

mod handshake;
mod machine;
mod measure;
mod ours;
mod peers;
mod providers;
mod raw;
mod subjects;
mod table;

pub mod cli;

pub use handshake::Handshakes;
pub use machine::features;
pub use ours::{opener, sealer};
#[cfg(feature = "openssl")]
pub use providers::combined;
