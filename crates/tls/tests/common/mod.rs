//! A certificate authority, a server behind its certificates, a proxy that counts.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use sealwire_http::net::{
    Body, ClientConfig, ClientError, Handler, HttpClient, Incoming, Server, ServerLimits, empty,
    full, read_all,
};
use sealwire_tls::{Proxies, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// A name that no resolver knows.
pub(crate) const FAR: &str = "far.invalid";

/// Certificates of a test, signed by an authority of its own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) file: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    Valid,
    Expired,
}

impl Authority {
    /// Makes one and writes it to a PEM file; `file` keeps those of tests apart.
    pub(crate) fn new(file: &str) -> Self {
        Self::named(file, file)
    }

    pub(crate) fn named(file: &str, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{file}-{}.pem", std::process::id()));
        std::fs::write(&file, issuer.pem()).expect("a file");
        Self { issuer, file }
    }

    fn acceptor(&self, names: &[&str], time: Time) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        if time == Time::Expired {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("a pair");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

struct Echo;

impl Handler for Echo {
    /// Says what it was asked, with the version and the credentials meant for proxies.
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let leaked = request.headers().contains_key("proxy-authorization");
        let text = format!("{:?} {} {leaked}", request.version(), request.uri().path());
        Response::new(full(text))
    }
}

/// An HTTP server and the TLS before it.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    _plain: Server,
}

impl TlsServer {
    pub(crate) async fn start(authority: &Authority, names: &[&str], time: Time) -> Self {
        let plain = plain_server().await;
        let behind = plain.address();
        let acceptor = authority.acceptor(names, time);
        let listener = TcpListener::bind(LOOPBACK).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        let mut inner = TcpStream::connect(behind).await.expect("the server");
                        let _ = copy_bidirectional(&mut stream, &mut inner).await;
                    }
                });
            }
        });
        Self {
            address,
            _plain: plain,
        }
    }
}

pub(crate) async fn plain_server() -> Server {
    Server::start(LOOPBACK, ServerLimits::default(), Arc::new(Echo))
        .await
        .expect("a free port")
}

/// A proxy that leads every tunnel to one server and answers forwarded requests itself.
pub(crate) struct TestProxy {
    pub(crate) address: SocketAddr,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

impl TestProxy {
    pub(crate) async fn start(to: SocketAddr, tunnel_answer: &'static str) -> Self {
        let listener = TcpListener::bind(LOOPBACK).await.expect("a free port");
        Self::serve(listener, to, tunnel_answer, None)
    }

    /// A proxy that is itself reached over TLS.
    pub(crate) async fn start_tls(to: SocketAddr, authority: &Authority) -> Self {
        let listener = TcpListener::bind(LOOPBACK).await.expect("a free port");
        let acceptor = authority.acceptor(&["localhost"], Time::Valid);
        Self::serve(listener, to, "200 OK", Some(acceptor))
    }

    fn serve(
        listener: TcpListener,
        to: SocketAddr,
        tunnel_answer: &'static str,
        acceptor: Option<TlsAcceptor>,
    ) -> Self {
        let address = listener.local_addr().expect("bound");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, acceptor) = (Arc::clone(&seen), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => proxy_connection(stream, to, tunnel_answer, &seen).await,
                        Some(acceptor) => {
                            let stream = acceptor.accept(stream).await.expect("TLS");
                            proxy_connection(stream, to, tunnel_answer, &seen).await;
                        }
                    }
                });
            }
        });
        Self { address, heads }
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

async fn proxy_connection(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    to: SocketAddr,
    tunnel_answer: &str,
    seen: &Mutex<Vec<String>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let is_tunnel = head.starts_with("CONNECT ");
    seen.lock().expect("no panic").push(head);
    if !is_tunnel {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nforwarded";
        let _ = stream.write_all(answer).await;
        return;
    }
    let answer = format!("HTTP/1.1 {tunnel_answer}\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
    if tunnel_answer.starts_with("200") {
        let mut inner = TcpStream::connect(to).await.expect("the server");
        let _ = copy_bidirectional(&mut stream, &mut inner).await;
    }
}

pub(crate) fn settings(authorities: &[&Authority], proxies: Proxies) -> Settings {
    Settings {
        authorities: authorities.iter().map(|one| one.file.clone()).collect(),
        proxies,
        handshake_timeout: Duration::from_secs(5),
    }
}

pub(crate) fn client(authorities: &[&Authority], proxies: Proxies) -> HttpClient {
    sealwire_tls::client(&ClientConfig::default(), &settings(authorities, proxies))
        .expect("settings")
}

pub(crate) async fn ask(client: &HttpClient, address: &str) -> Result<String, ClientError> {
    let mut request = Request::new(empty());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = address.parse().expect("an address");
    let response = client.send(request).await?;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let body = read_all(&mut body, 1_024, Duration::from_secs(5))
        .await
        .expect("a body");
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// What a failed request says.
pub(crate) async fn fault(client: &HttpClient, address: &str) -> String {
    match ask(client, address).await {
        Ok(answer) => panic!("answered {answer}"),
        Err(error @ ClientError::Connect(_)) => error.to_string(),
        Err(error) => panic!("not a connection's error: {error}"),
    }
}
