//! `sealwire healthcheck`: whether a proxy runs, for places that have no other program to ask with, such as its container.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use http::{Request, StatusCode};
use sealwire_http::carriage::HEALTH_PATH;
use sealwire_http::net::{BaseUrl, ClientConfig, HttpClient, empty};
use tokio::time::timeout;

use crate::client_settings;

/// Time for the answer.
const TIME: Duration = Duration::from_secs(3);

/// Arguments of a health check.
#[derive(Args, Clone)]
pub struct HealthcheckArgs {
    /// The proxy, relay or instance [default: the proxy of this machine]
    #[arg(value_name = "URL")]
    url: Option<BaseUrl>,
    /// Where the proxy of this machine listens
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8790",
        env = "SEALWIRE_LISTEN"
    )]
    listen: SocketAddr,
}

/// It is not well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HealthcheckError {
    /// It does not answer.
    #[error("{0} does not answer: {1}")]
    NoAnswer(String, String),
    /// It says so.
    #[error("{0} answers {1}, expected 200")]
    Status(String, u16),
}

/// Asks once.
///
/// # Errors
///
/// [`HealthcheckError`].
pub async fn run(args: HealthcheckArgs) -> Result<(), HealthcheckError> {
    let url = match args.url {
        Some(url) => url.to_string(),
        None => client_settings::url(args.listen),
    };
    let no_answer = |why: String| HealthcheckError::NoAnswer(url.clone(), why);
    let uri = url
        .parse::<BaseUrl>()
        .and_then(|base| base.join(HEALTH_PATH))
        .map_err(|error| no_answer(error.to_string()))?;
    let mut request = Request::new(empty());
    *request.uri_mut() = uri;
    let client = HttpClient::new(&ClientConfig::default());
    match timeout(TIME, client.send(request)).await {
        Ok(Ok(response)) if response.status() == StatusCode::OK => Ok(()),
        Ok(Ok(response)) => {
            let status = response.status().as_u16();
            Err(HealthcheckError::Status(url, status))
        }
        Ok(Err(error)) => Err(no_answer(error.to_string())),
        Err(_) => Err(no_answer(format!("it took more than {} s", TIME.as_secs()))),
    }
}
