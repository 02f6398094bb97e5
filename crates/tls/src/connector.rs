//! From an address to a connection: TCP, the proxy if there is one, TLS.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use rustls::{ClientConfig as TlsConfig, RootCertStore};
use sealwire_http::net::ClientConfig;
use tokio::time::timeout;
use tower_service::Service;

use crate::error::{ConnectError, SettingsError, find};
use crate::proxies::{Rules, Way};
use crate::stream::{Tcp, Wire};

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, ConnectError>> + Send>>;

/// Connects to `http` and `https` addresses.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: HttpsConnector<Route>,
    /// Bounds everything, so that within it only the TLS handshake is left without a bound of its own.
    limit: Duration,
    handshake_timeout: Duration,
}

impl Connector {
    pub(crate) fn new(
        config: &ClientConfig,
        handshake_timeout: Duration,
        roots: RootCertStore,
        rules: Arc<Rules>,
    ) -> Result<Self, SettingsError> {
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls_config = TlsConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .map_err(|error| SettingsError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.enforce_http(false);
        let tcp = TcpConnector {
            inner: tcp,
            limit: config.connect_timeout,
        };
        let to_proxy = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp.clone());
        let route = Route {
            tcp,
            to_proxy,
            rules,
            handshake_timeout,
        };
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config)
            .https_or_http();
        let tls = if config.http2.is_empty() {
            builder.enable_http1().wrap_connector(route)
        } else {
            builder.enable_all_versions().wrap_connector(route)
        };
        Ok(Self {
            tls,
            // TCP, a proxy's TLS, its tunnel, the server's TLS.
            limit: config.connect_timeout + handshake_timeout * 3,
            handshake_timeout,
        })
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Wire>;
    type Error = ConnectError;
    type Future = Pending<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let host = host_and_port(&target);
        let connecting = self.tls.call(target);
        let (limit, shown) = (self.limit, self.handshake_timeout);
        Box::pin(async move {
            match timeout(limit, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(ConnectError::tls(host, error.as_ref())),
                Err(_) => Err(ConnectError::Timeout {
                    step: "the TLS handshake",
                    host,
                    limit: shown,
                }),
            }
        })
    }
}

/// TCP, the resolution of the name included in the bound.
#[derive(Clone)]
struct TcpConnector {
    inner: HttpConnector,
    limit: Duration,
}

impl Service<Uri> for TcpConnector {
    type Response = Tcp;
    type Error = ConnectError;
    type Future = Pending<Tcp>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let host = host_and_port(&target);
        let connecting = self.inner.call(target);
        let limit = self.limit;
        Box::pin(async move {
            match timeout(limit, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(ConnectError::tcp(host, &error)),
                Err(_) => Err(ConnectError::Timeout {
                    step: "connecting",
                    host,
                    limit,
                }),
            }
        })
    }
}

/// The way to a server, up to where its own TLS begins.
#[derive(Clone)]
struct Route {
    tcp: TcpConnector,
    to_proxy: HttpsConnector<TcpConnector>,
    rules: Arc<Rules>,
    handshake_timeout: Duration,
}

impl Service<Uri> for Route {
    type Response = Wire;
    type Error = ConnectError;
    type Future = Pending<Wire>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        match self.rules.way(&target) {
            Way::Direct => {
                let connecting = self.tcp.call(target);
                Box::pin(async move { connecting.await.map(Wire::Direct) })
            }
            Way::Forward(proxy) => {
                let connecting = self.to_proxy.call(proxy.uri().clone());
                self.by_proxy(&proxy, &target, true, connecting)
            }
            Way::Tunnel(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
                if let Some(credentials) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(credentials.clone());
                }
                let connecting = tunnel.call(with_port(&target));
                self.by_proxy(&proxy, &target, false, connecting)
            }
        }
    }
}

impl Route {
    fn by_proxy<E>(
        &self,
        proxy: &Intercept,
        target: &Uri,
        forwards: bool,
        connecting: impl Future<Output = Result<MaybeHttpsStream<Tcp>, E>> + Send + 'static,
    ) -> Pending<Wire>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let limit = self.tcp.limit + self.handshake_timeout * 2;
        let shown = self.handshake_timeout;
        let host = host_and_port(target);
        let address = host_and_port(proxy.uri());
        Box::pin(async move {
            let error = match timeout(limit, connecting).await {
                Ok(Ok(stream)) => {
                    return Ok(Wire::Proxy {
                        stream: Box::new(stream),
                        forwards,
                    });
                }
                Ok(Err(error)) => error.into(),
                Err(_) => {
                    return Err(ConnectError::Timeout {
                        step: "the handshake",
                        host: format!("the proxy {address}"),
                        limit: shown,
                    });
                }
            };
            let below = find::<ConnectError>(error.as_ref()).is_some()
                || find::<rustls::Error>(error.as_ref()).is_some();
            Err(if below {
                ConnectError::ProxyUnreachable {
                    cause: Box::new(ConnectError::tls(address.clone(), error.as_ref())),
                    proxy: address,
                }
            } else {
                ConnectError::Proxy {
                    proxy: address,
                    host,
                    why: error.to_string(),
                }
            })
        })
    }
}

/// Names an address in an error: no path, no query, no credentials.
fn host_and_port(address: &Uri) -> String {
    let Some(authority) = address.authority() else {
        return String::new();
    };
    let host = authority.host();
    match authority.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The address with the port of its scheme: a tunnel's default is that of `https`.
fn with_port(target: &Uri) -> Uri {
    let Some(authority) = target.authority() else {
        return target.clone();
    };
    if authority.port_u16().is_some() || target.scheme() != Some(&Scheme::HTTP) {
        return target.clone();
    }
    let mut parts = target.clone().into_parts();
    if let Ok(named) = Authority::try_from(format!("{}:80", authority.host())) {
        parts.authority = Some(named);
    }
    Uri::from_parts(parts).unwrap_or_else(|_| target.clone())
}
