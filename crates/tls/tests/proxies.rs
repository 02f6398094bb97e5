//! Connections through HTTP proxies.

mod common;

use common::{Authority, FAR, LOOPBACK, TestProxy, Time, TlsServer, ask, client, fault};
use sealwire_tls::Proxies;
use tokio::net::TcpListener;

fn through(proxy: &TestProxy, credentials: &str) -> Proxies {
    Proxies {
        all: format!("http://{credentials}{}", proxy.address),
        ..Proxies::default()
    }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_with_the_credentials() {
    let authority = Authority::new("tunnel");
    let server = TlsServer::start(&authority, &[FAR], Time::Valid).await;
    let proxy = TestProxy::start(server.address, "200 Connection established").await;
    let client = client(&[&authority], through(&proxy, "ann:open%20sesame@"));
    let answer = ask(&client, &format!("https://{FAR}/x")).await;
    // Seen by the server: its own path, and nothing that was meant for the proxy.
    assert_eq!(answer.as_deref(), Ok("HTTP/1.1 /x false"));
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1);
    assert!(
        heads[0].starts_with(&format!("CONNECT {FAR}:443 HTTP/1.1\r\n")),
        "{heads:?}"
    );
    // "ann:open sesame"
    assert!(
        heads[0].contains("Proxy-Authorization: Basic YW5uOm9wZW4gc2VzYW1l\r\n"),
        "{heads:?}"
    );
}

#[tokio::test]
async fn a_tunnel_keeps_the_port() {
    let authority = Authority::new("port");
    let server = TlsServer::start(&authority, &[FAR], Time::Valid).await;
    let proxy = TestProxy::start(server.address, "200 OK").await;
    let client = client(&[&authority], through(&proxy, ""));
    assert!(ask(&client, &format!("https://{FAR}:8443/")).await.is_ok());
    let heads = proxy.heads();
    assert!(
        heads[0].starts_with(&format!("CONNECT {FAR}:8443 ")),
        "{heads:?}"
    );
    assert!(!heads[0].to_ascii_lowercase().contains("authorization"));
}

#[tokio::test]
async fn the_certificate_is_checked_behind_a_tunnel_too() {
    let authority = Authority::new("behind");
    let server = TlsServer::start(&authority, &["elsewhere.example"], Time::Valid).await;
    let proxy = TestProxy::start(server.address, "200 OK").await;
    let client = client(&[&authority], through(&proxy, ""));
    let text = fault(&client, &format!("https://{FAR}")).await;
    assert!(text.contains("is for another name"), "{text}");
}

#[tokio::test]
async fn a_proxy_may_itself_be_reached_over_tls() {
    let authority = Authority::new("both");
    let server = TlsServer::start(&authority, &[FAR], Time::Valid).await;
    let proxy = TestProxy::start_tls(server.address, &authority).await;
    let proxies = Proxies {
        https: format!("https://localhost:{}", proxy.address.port()),
        ..Proxies::default()
    };
    let client = client(&[&authority], proxies);
    assert!(ask(&client, &format!("https://{FAR}/")).await.is_ok());
    assert_eq!(proxy.heads().len(), 1);
}

#[tokio::test]
async fn plain_http_is_forwarded_with_the_credentials() {
    let proxy = TestProxy::start(LOOPBACK, "200 OK").await;
    let client = client(&[], through(&proxy, "ann:sesame@"));
    let answer = ask(&client, &format!("http://{FAR}/x")).await;
    assert_eq!(answer.as_deref(), Ok("forwarded"));
    let heads = proxy.heads();
    assert!(
        heads[0].starts_with(&format!("GET http://{FAR}/x HTTP/1.1\r\n")),
        "{heads:?}"
    );
    assert!(heads[0].contains("Basic YW5uOnNlc2FtZQ=="), "{heads:?}");
}

#[tokio::test]
async fn exempt_hosts_and_this_machine_see_no_proxy() {
    let authority = Authority::new("exempt");
    let server = TlsServer::start(&authority, &["localhost"], Time::Valid).await;
    let proxy = TestProxy::start(server.address, "200 OK").await;
    let mut proxies = through(&proxy, "");
    proxies.none_for = FAR.to_owned();
    let client = client(&[&authority], proxies);
    let here = format!("https://localhost:{}/", server.address.port());
    assert!(ask(&client, &here).await.is_ok());
    // Asked for directly, and no resolver knows it.
    let text = fault(&client, &format!("https://{FAR}")).await;
    assert!(text.contains("cannot be resolved"), "{text}");
    assert!(proxy.heads().is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_and_its_credentials_are_not() {
    for refusal in [
        "407 Proxy Authentication Required",
        "403 Forbidden",
        "hello",
    ] {
        let proxy = TestProxy::start(LOOPBACK, refusal).await;
        let client = client(&[], through(&proxy, "zoe:sesame@"));
        let text = fault(&client, &format!("https://{FAR}")).await;
        assert!(
            text.contains(&format!("the proxy {} opens no tunnel", proxy.address)),
            "{text}"
        );
        for secret in ["zoe", "sesame", "em9l"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let listener = TcpListener::bind(LOOPBACK).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let proxies = Proxies {
        all: format!("http://ann:sesame@{address}"),
        ..Proxies::default()
    };
    let client = client(&[], proxies);
    for target in ["https", "http"] {
        let text = fault(&client, &format!("{target}://{FAR}")).await;
        assert!(
            text.contains(&format!(
                "the proxy {address} cannot be used: {address} refuses"
            )),
            "{text}"
        );
        assert!(!text.contains("sesame"), "{text}");
    }
}
