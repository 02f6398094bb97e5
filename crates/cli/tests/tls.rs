//! The proxy before a relay that is reached over TLS.

mod common;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use common::{ANSWER, LOOPBACK, ask, ask_streamed, code, model, system};
use http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use sealwire_http::carriage::to_base64url;
use sealwire_http::net::BaseUrl;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate for `localhost` and a PEM file with the authority that signed it.
fn certificate() -> (TlsAcceptor, PathBuf) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
        .expect("a certificate");
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("relay-ca-{}.pem", std::process::id()));
    std::fs::write(&file, issuer.pem()).expect("a file");
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .and_then(|params| params.signed_by(&key, &issuer))
        .expect("signed");
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a pair");
    (TlsAcceptor::from(Arc::new(config)), file)
}

/// TLS before a server.
async fn terminate(acceptor: TlsAcceptor, behind: SocketAddr) -> SocketAddr {
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
    address
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The binary's proxy and its address.
fn proxy(args: &[&str]) -> (Running, BaseUrl) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealwire"))
        .args(["proxy", "--listen", "127.0.0.1:0"])
        .args(args)
        .env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary");
    let out = child.stdout.take().expect("piped");
    let line = BufReader::new(out)
        .lines()
        .next()
        .expect("a line")
        .expect("text");
    let address = line.strip_prefix("listening ").expect("an address");
    (Running(child), address.parse().expect("an address"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_over_tls_needs_an_authority_that_is_trusted() {
    let model = model().await;
    let system = system(model.address()).await;
    let (acceptor, file) = certificate();
    let address = terminate(acceptor, system.relay.address()).await;
    let relay = format!("https://localhost:{}", address.port());
    let instance = system.instance.as_ref().expect("running");
    let pin = to_base64url(&instance.identity());
    let args = ["--relay", relay.as_str(), "--pin", pin.as_str()];
    let file = file.to_str().expect("UTF-8");

    let (_running, base) = proxy(&[&args[..], &["--ca", file]].concat());
    let (status, answer) = ask(&base).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let streamed = ask_streamed(&base).await;
    assert_eq!(streamed.text, ANSWER);
    assert!(streamed.done && streamed.ended);

    let (_running, base) = proxy(&args);
    let (status, answer) = ask(&base).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(code(&answer), "relay_unreachable");
    assert!(answer.to_string().contains("--ca"), "{answer}");
}

#[test]
fn a_file_without_an_authority_is_refused_at_the_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_sealwire"))
        .args(["proxy", "--relay", "https://relay.invalid"])
        .args(["--insecure-trust-relay", "--ca", "no-such-file.pem"])
        .output()
        .expect("the binary");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("--ca no-such-file.pem"), "{text}");
}
