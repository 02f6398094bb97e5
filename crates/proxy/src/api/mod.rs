//! The applications' side, the same over every profile.
//!
//! ```text
//! front (whom) -> read (body) -> converse: dialect -> profile -> writer -> application
//! ```

mod coding;
mod converse;
mod front;
mod list;
mod page;
mod prepare;
mod pump;
mod read;
mod recent;
mod service;
mod usage;
mod writer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sealwire_http::net::{Server, ServerLimits};

pub(crate) use self::front::Front;
pub use self::front::FrontSettings;
pub(crate) use self::service::Service;
use crate::StartError;
use crate::backend::Backend;

/// The model list, at the relay too.
pub(crate) const MODELS: &str = "/v1/models";

/// Bounds of the applications' side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiLimits {
    /// Connections of applications at a time.
    pub(crate) connections: usize,
    /// Bytes of a request, unpacked.
    pub(crate) request_bytes: usize,
    /// Longest silence while it comes.
    pub(crate) request_idle: Duration,
    /// Bytes of an answer that is not streamed.
    pub(crate) answer_bytes: usize,
}

/// Serves until the returned server is dropped or shut down.
pub(crate) async fn serve<B: Backend>(
    listen: SocketAddr,
    service: Service<B>,
) -> Result<Server, StartError> {
    let limits = ServerLimits {
        // Anthropic's and OpenAI's SDKs send many fields of their own.
        header_fields: 128,
        connections: service.0.limits.connections,
        ..ServerLimits::default()
    };
    Server::start(listen, limits, Arc::new(service))
        .await
        .map_err(|error| StartError::Listen(listen, error))
}
