//! Sockets: bodies, the server loop, the client and the timer, on tokio and hyper.
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge, both directions streaming. There is no TLS here: `sealwire-tls` hands a connector to
//! [`HttpClient::with_connector`].

mod base_url;
mod body;
mod client;
mod files;
mod lock;
mod process;
mod reply;
mod server;
mod timer;

pub use base_url::{BaseUrl, BaseUrlError, is_loopback_host};
pub use body::{
    Body, BodyError, BodySender, Closed, Pieces, ReadError, channel, discard, empty, full,
    next_data, next_data_by, pieces, poll_data, read_all,
};
pub use client::{ClientConfig, ClientError, HttpClient};
pub use files::provide_files;
pub use lock::lock;
pub use process::{SecretArgument, SecretError, announce, say, stop_signal, warn};
pub use reply::{detail, json, problem, problem_with_status, text};
pub use server::{Handler, Server, ServerLimits};
pub use timer::TokioTimer;

pub use hyper::body::Incoming;
