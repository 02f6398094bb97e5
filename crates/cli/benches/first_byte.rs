//! Time to the first streamed byte: the model server called directly, and through proxy, relay and instance, all on loopback.
//!
//! `cargo bench -p sealwire-cli --bench first_byte` prints the medians and their difference.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use sealwire::IdentityTrust;
use sealwire::crypto::Secret;
use sealwire_cli::demo_model::{self, DemoModelConfig};
use sealwire_cli::provider::provider;
use sealwire_http::net::{BaseUrl, ClientConfig, HttpClient, empty, full, next_data};
use sealwire_instance::InstanceConfig;
use sealwire_proxy::ProxyConfig;
use sealwire_relay::RelayConfig;

const MODEL: &str = "demo";
const ROUNDS: usize = 300;
const IDLE: Duration = Duration::from_secs(10);

fn url(address: SocketAddr) -> BaseUrl {
    format!("http://{address}").parse().expect("an address")
}

async fn first_byte(client: &HttpClient, base: &BaseUrl) -> Duration {
    let body = r#"{"model":"demo","stream":true,"max_tokens":3,"messages":[{"role":"user","content":"hello"}]}"#;
    let mut request = Request::new(full(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = base.join("/v1/chat/completions").expect("a path");
    request
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let start = Instant::now();
    let mut body = client.send(request).await.expect("an answer").into_body();
    next_data(&mut body, IDLE).await.expect("a byte");
    let time = start.elapsed();
    while let Ok(Some(_)) = next_data(&mut body, IDLE).await {}
    time
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[tokio::main]
async fn main() {
    let client = HttpClient::new(&ClientConfig::default());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let model = demo_model::start(DemoModelConfig {
        listen,
        model: MODEL.to_owned(),
        token_delay: Duration::ZERO,
        max_model_len: None,
    })
    .await
    .expect("a free port");
    let instance = sealwire_instance::start(
        InstanceConfig::new(url(model.address()), MODEL),
        provider(),
        &Secret::new([1; 32]),
        client.clone(),
    )
    .await
    .expect("a free port");
    let relay = sealwire_relay::start(
        RelayConfig::new(vec![url(instance.address())]),
        client.clone(),
    )
    .await
    .expect("a free port");
    let trust = IdentityTrust::pinned(&[instance.identity()]);
    let proxy = sealwire_proxy::start(
        ProxyConfig::new(url(relay.address()), trust),
        provider(),
        client.clone(),
    )
    .await
    .expect("a free port");
    // The relay looks at its instance first.
    let models = url(relay.address()).join("/v1/models").expect("a path");
    loop {
        let mut request = Request::new(empty());
        *request.uri_mut() = models.clone();
        let mut body = client.send(request).await.expect("an answer").into_body();
        let list = next_data(&mut body, IDLE).await.ok().flatten();
        if list.is_some_and(|list| String::from_utf8_lossy(&list).contains(MODEL)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (direct, sealed) = (url(model.address()), url(proxy.address()));
    let (mut direct_times, mut sealed_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        direct_times.push(first_byte(&client, &direct).await);
        sealed_times.push(first_byte(&client, &sealed).await);
    }
    let (direct, sealed) = (median(direct_times), median(sealed_times));
    println!("first streamed byte, median of {ROUNDS}, loopback");
    println!("  direct   {:>7.3} ms", direct.as_secs_f64() * 1e3);
    println!("  sealed   {:>7.3} ms", sealed.as_secs_f64() * 1e3);
    println!(
        "  added    {:>7.3} ms",
        sealed.saturating_sub(direct).as_secs_f64() * 1e3
    );
}
