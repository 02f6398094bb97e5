//! Which servers are trusted, with a certificate authority of the test's own.

mod common;

use std::time::Duration;

use common::{Authority, LOOPBACK, Time, TlsServer, ask, client, fault, plain_server, settings};
use sealwire_http::net::ClientConfig;
use sealwire_tls::{Proxies, SettingsError};
use tokio::net::TcpListener;

#[tokio::test]
async fn an_authority_of_the_users_is_trusted() {
    let authority = Authority::new("trusted");
    let server = TlsServer::start(&authority, &["localhost", "127.0.0.1"], Time::Valid).await;
    let client = client(&[&authority], Proxies::default());
    for host in ["localhost", "127.0.0.1"] {
        let address = format!("https://{host}:{}/x", server.address.port());
        assert_eq!(
            ask(&client, &address).await.as_deref(),
            Ok("HTTP/1.1 /x false")
        );
    }
}

#[tokio::test]
async fn several_authorities_are_trusted_side_by_side() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let client = client(&[&one, &two], Proxies::default());
    for authority in [&one, &two] {
        let server = TlsServer::start(authority, &["localhost"], Time::Valid).await;
        let address = format!("https://localhost:{}", server.address.port());
        assert!(ask(&client, &address).await.is_ok());
    }
}

#[tokio::test]
async fn http2_where_it_is_asked_for() {
    let authority = Authority::new("http2");
    let server = TlsServer::start(&authority, &["localhost"], Time::Valid).await;
    let address = format!("https://localhost:{}/x", server.address.port());
    let config = ClientConfig {
        http2: vec![address.parse().expect("an address")],
        ..ClientConfig::default()
    };
    let client = sealwire_tls::client(&config, &settings(&[&authority], Proxies::default()))
        .expect("settings");
    assert_eq!(
        ask(&client, &address).await.as_deref(),
        Ok("HTTP/2.0 /x false")
    );
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_the_flag_named() {
    let authority = Authority::new("unknown");
    let server = TlsServer::start(&authority, &["localhost"], Time::Valid).await;
    let others = [
        Authority::new("another"),
        // An impostor: the same name, another key.
        Authority::named("impostor", "unknown"),
    ];
    let address = format!("https://localhost:{}", server.address.port());
    for other in &others {
        let client = client(&[other], Proxies::default());
        let text = fault(&client, &address).await;
        assert!(
            text.contains("is not trusted") && text.contains("--ca"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new("name");
    let server = TlsServer::start(&authority, &["elsewhere.example"], Time::Valid).await;
    let client = client(&[&authority], Proxies::default());
    let address = format!("https://localhost:{}", server.address.port());
    let text = fault(&client, &address).await;
    assert!(text.contains("is for another name"), "{text}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new("expired");
    let server = TlsServer::start(&authority, &["localhost"], Time::Expired).await;
    let client = client(&[&authority], Proxies::default());
    let address = format!("https://localhost:{}", server.address.port());
    let text = fault(&client, &address).await;
    assert!(text.contains("is expired or not valid yet"), "{text}");
}

#[tokio::test]
async fn a_server_without_tls_is_no_server_with_tls() {
    let server = plain_server().await;
    let client = client(&[], Proxies::default());
    let text = fault(&client, &format!("https://{}", server.address())).await;
    assert!(text.contains("no TLS with 127.0.0.1"), "{text}");
}

#[tokio::test]
async fn plain_http_stays_possible() {
    let server = plain_server().await;
    let client = client(&[], Proxies::default());
    let answer = ask(&client, &format!("http://{}/y", server.address())).await;
    assert_eq!(answer.as_deref(), Ok("HTTP/1.1 /y false"));
}

#[tokio::test]
async fn a_silent_server_ends_in_a_time_out() {
    let listener = TcpListener::bind(LOOPBACK).await.expect("a free port");
    let mut settings = settings(&[], Proxies::default());
    settings.handshake_timeout = Duration::from_millis(50);
    let config = ClientConfig {
        connect_timeout: Duration::from_millis(50),
        ..ClientConfig::default()
    };
    let client = sealwire_tls::client(&config, &settings).expect("settings");
    let address = format!("https://{}", listener.local_addr().expect("bound"));
    let text = fault(&client, &address).await;
    assert!(text.contains("the TLS handshake with 127.0.0.1"), "{text}");
}

#[tokio::test]
async fn what_fails_before_tls_says_so() {
    let client = client(&[], Proxies::default());
    let listener = TcpListener::bind(LOOPBACK).await.expect("a free port");
    let closed = listener.local_addr().expect("bound");
    drop(listener);
    let text = fault(&client, &format!("https://{closed}")).await;
    assert!(text.contains("refuses the connection"), "{text}");
    let text = fault(&client, "https://nobody.invalid").await;
    assert!(
        text.contains("the name nobody.invalid cannot be resolved"),
        "{text}"
    );
}

#[test]
fn a_file_of_authorities_must_hold_some() {
    let broken = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("no-certificate.pem");
    std::fs::write(&broken, "nothing here\n").expect("a file");
    let missing = broken.with_file_name("missing.pem");
    for file in [broken, missing] {
        let mut settings = settings(&[], Proxies::default());
        settings.authorities.push(file);
        let error = sealwire_tls::client(&ClientConfig::default(), &settings).err();
        match error {
            Some(error @ SettingsError::Authority { .. }) => {
                assert!(error.to_string().contains("--ca"));
            }
            other => panic!("{other:?}"),
        }
    }
}
