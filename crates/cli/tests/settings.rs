//! Where the settings of `sealwire proxy` come from: command line, environment, file, defaults.

mod common;
#[path = "common/process.rs"]
mod process;

use std::sync::{Arc, Mutex};

use common::{
    ANSWER, MODEL, ask, client, found, instance, model, post, question, server, url, whole,
};
use http::StatusCode;
use process::Home;
use sealwire_http::carriage::to_base64url;
use sealwire_http::net::{BaseUrl, json, read_all};
use sealwire_instance::{Instance, InstanceConfig};
use sealwire_relay::{Relay, RelayConfig};
use serde_json::{Value, json};

const RELAY: [&str; 2] = ["--relay", "http://127.0.0.1:1"];
const PIN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn proxy<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["proxy", "--listen", "127.0.0.1:0"], more].concat()
}

#[test]
fn a_file_alone_is_enough_for_a_proxy() {
    let text = format!(
        "listen = \"127.0.0.1:0\"\nrelay = \"http://127.0.0.1:1\"\npin = [\"{PIN}\"]\nkeep_alive = 5\n"
    );
    Home::with_settings(&text).start(&["proxy"]).listening();
    let home = Home::new();
    let named = home.write("other.toml", &text);
    home.start(&["proxy", "--config", &named]).listening();
    let home = home.with("SEALWIRE_CONFIG", &named);
    home.start(&["proxy"]).listening();
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let settings = format!("listen = \"the file\"\npin = \"{PIN}\"\n");
    let file = || Home::with_settings(&settings);
    let args = [&["proxy"], &RELAY[..]].concat();
    let text = file().refused(&args);
    assert!(
        text.contains("proxy.toml, key `listen`") && text.contains("the file"),
        "{text}"
    );
    let home = file().with("SEALWIRE_LISTEN", "the environment");
    let text = home.refused(&args);
    assert!(
        text.contains("the environment") && !text.contains("the file"),
        "{text}"
    );
    home.start(&[&args[..], &["--listen", "127.0.0.1:0"]].concat())
        .listening();
}

#[test]
fn a_switch_can_be_turned_off_again() {
    let home =
        Home::with_settings("app_key = \"k\"\nforward_key = true\ninsecure_trust_relay = true\n");
    let args = proxy(&RELAY);
    let text = home.refused(&args);
    assert!(
        text.contains("--forward-key would hand the relay"),
        "{text}"
    );
    home.start(&[&args[..], &["--forward-key=false"]].concat())
        .listening();
    home.with("SEALWIRE_FORWARD_KEY", "false")
        .start(&args)
        .listening();
}

#[test]
fn a_switch_that_is_off_excludes_nothing() {
    let settings = format!("forward_key = true\npin = [\"{PIN}\"]\nsingle_use = false\n");
    let key = ["--relay-key", "k"];
    // A key of its own goes before the file's wish to hand on another.
    Home::with_settings(&settings)
        .start(&proxy(&[&RELAY[..], &key].concat()))
        .listening();
    let off = ["--forward-key=false", "--insecure-trust-relay=false"];
    Home::with_settings(&settings)
        .start(&proxy(&[&RELAY[..], &key, &off].concat()))
        .listening();
    let home = Home::with_settings(&settings)
        .with("SEALWIRE_RELAY_KEY", "k")
        .with("SEALWIRE_INSECURE_TRUST_RELAY", "false")
        .with("SEALWIRE_FORWARD_KEY", "false");
    home.start(&proxy(&RELAY)).listening();
    let text = Home::with_settings("relay_key = \"k\"\nforward_key = true\n")
        .refused(&proxy(&[RELAY[0], RELAY[1], "--pin", PIN]));
    assert!(text.contains("cannot be used with"), "{text}");
}

#[test]
fn whom_to_trust_is_chosen_at_the_highest_place_that_says_so() {
    let home =
        Home::with_settings("policy = \"no-such-policy.toml\"\npccs = \"http://127.0.0.1:1\"\n");
    let text = home.refused(&proxy(&RELAY));
    assert!(text.contains("cannot read the policy"), "{text}");
    let pinned = proxy(&[RELAY[0], RELAY[1], "--pin", PIN]);
    home.start(&pinned).listening();
    let home = home.with("SEALWIRE_PIN", PIN);
    home.start(&proxy(&RELAY)).listening();
    let home = Home::new().with("SEALWIRE_POLICY", "no-such-policy.toml");
    home.start(&pinned).listening();
    // At one place they still exclude each other.
    let text = Home::with_settings(&format!("policy = \"p\"\npin = [\"{PIN}\"]\n"))
        .refused(&proxy(&RELAY));
    assert!(text.contains("cannot be used with"), "{text}");
}

#[test]
fn what_a_file_says_wrong_is_named() {
    for (settings, expected) in [
        (
            "lisen = \"127.0.0.1:0\"\n",
            "unknown key `lisen`; did you mean `listen`?",
        ),
        ("keep_alive = 0\n", "key `keep_alive`: invalid value '0'"),
        ("[models.m]\npading = \"none\"\n", "unknown field `pading`"),
        ("x", "line 1"),
    ] {
        let text = Home::with_settings(settings).refused(&proxy(&RELAY));
        assert!(text.contains(expected), "{settings}: {text}");
        assert!(text.contains("proxy.toml"), "{settings}: {text}");
    }
    let text = Home::new().refused(&proxy(&["--config", "no-such-file.toml"]));
    assert!(
        text.contains("cannot read the settings no-such-file.toml"),
        "{text}"
    );
    let home = Home::with_settings(
        "profile = \"chutes-v1\"\napi_base = \"http://127.0.0.1:1\"\ninsecure_trust_relay = true\n[models.m]\npadding = \"padme\"\n",
    );
    let text = home.refused(&proxy(&[]));
    assert!(
        text.contains("padding does not go with --profile chutes-v1"),
        "{text}"
    );
}

#[test]
fn keys_are_in_no_help_and_in_no_error() {
    let home = Home::with_settings("relay_key = \"two words-of-the-file\"\n");
    let text = home.refused(&proxy(&[RELAY[0], RELAY[1], "--pin", PIN]));
    assert!(
        text.contains("printable") && !text.contains("words"),
        "{text}"
    );
    let home = Home::new().with("SEALWIRE_RELAY_KEY", "sk-secret");
    let help = home.run(&["proxy", "--help"]);
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    assert!(
        help.contains("SEALWIRE_RELAY_KEY") && !help.contains("sk-secret"),
        "{help}"
    );
}

#[test]
fn an_empty_variable_is_none() {
    let home = Home::new()
        .with("SEALWIRE_RELAY_KEY", "")
        .with("SEALWIRE_POLICY", "");
    home.start(&proxy(&[RELAY[0], RELAY[1], "--pin", PIN]))
        .listening();
}

/// Instance and relay; the relay asks for a key.
struct Behind {
    _instance: Instance,
    relay: Relay,
    pin: String,
}

async fn behind(upstream: std::net::SocketAddr) -> Behind {
    let instance = instance(InstanceConfig::new(url(upstream), MODEL), 1).await;
    let config = RelayConfig::new(vec![url(instance.address())]);
    let open = common::relay(config.clone()).await;
    found(&url(open.address())).await;
    let mut config = config;
    config.api_keys = vec!["sk-relay".to_owned()];
    let relay = common::relay(config).await;
    Behind {
        pin: to_base64url(&instance.identity()),
        _instance: instance,
        relay,
    }
}

impl Behind {
    fn args(&self) -> Vec<String> {
        let relay = url(self.relay.address()).to_string();
        [
            "proxy",
            "--listen",
            "127.0.0.1:0",
            "--relay",
            &relay,
            "--pin",
            &self.pin,
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

/// Asks until the relay has found its instance.
async fn asked(base: &BaseUrl) -> (StatusCode, Value) {
    for _ in 0..200 {
        let (status, answer) = ask(base).await;
        if !matches!(
            common::code(&answer),
            "relay_gone" | "no_instance" | "model_not_found"
        ) {
            return (status, answer);
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the relay did not find its instance");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_for_the_relay_comes_from_each_of_its_places() {
    let model = model().await;
    let behind = behind(model.address()).await;
    let args = behind.args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let home = Home::new();
    let file = home.write("key", "sk-relay\n");
    let (at_file, from) = (format!("@{file}"), format!("command=cat {file}"));
    let (_, refused) = ask(&home.start(&args).listening().parse().expect("an address")).await;
    assert_eq!(common::code(&refused), "relay_auth");
    for more in [
        ["--relay-key", "sk-relay"],
        ["--relay-key", &at_file],
        ["--relay-key-from", &from],
    ] {
        let mut running = home.start(&[&args[..], &more].concat());
        let base = running.listening().parse().expect("an address");
        let (status, answer) = asked(&base).await;
        assert_eq!(status, 200, "{more:?}: {answer}");
    }
    for (name, value) in [
        ("SEALWIRE_RELAY_KEY", "sk-relay"),
        ("SEALWIRE_RELAY_KEY", &at_file),
        ("SEALWIRE_RELAY_KEY_FROM", &from),
    ] {
        let home = Home::new().with(name, value);
        let mut running = home.start(&args);
        let base = running.listening().parse().expect("an address");
        assert_eq!(asked(&base).await.0, 200, "{name}={value}");
    }
    let home = Home::with_settings("relay_key = \"@key\"\n");
    home.write("config/sealwire/key", "sk-relay");
    let mut running = home.start(&args);
    let base = running.listening().parse().expect("an address");
    assert_eq!(asked(&base).await.0, 200);
    let home = Home::with_settings("forward_key = true\n");
    let mut running = home.start(&args);
    let base: BaseUrl = running.listening().parse().expect("an address");
    assert_eq!(common::code(&ask(&base).await.1), "relay_auth");
    let mut request = http::Request::new(sealwire_http::net::full(question(false).to_string()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = base.join("/v1/chat/completions").expect("a path");
    let key = http::HeaderValue::from_static("Bearer sk-relay");
    request.headers_mut().insert("authorization", key);
    let json = http::HeaderValue::from_static("application/json");
    request.headers_mut().insert("content-type", json);
    let (status, answer) = whole(client().send(request).await.expect("an answer")).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_the_file_and_of_flags_stand_for_models() {
    let model = model().await;
    let behind = behind(model.address()).await;
    let args = behind.args();
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    args.extend([
        "--relay-key",
        "sk-relay",
        "--alias",
        "sonnet=demo",
        "--alias",
        "opus=demo",
    ]);
    let home = Home::with_settings(&format!(
        "default_model = \"{MODEL}\"\n[aliases]\nhaiku = \"{MODEL}\"\nopus = \"no-such-model\"\n"
    ));
    let mut running = home.start(&args);
    let base: BaseUrl = running.listening().parse().expect("an address");
    assert_eq!(asked(&base).await.0, 200);
    let ask = async |name: Option<&str>| {
        let mut body = question(false);
        match name {
            Some(name) => body["model"] = json!(name),
            None => drop(body.as_object_mut().expect("an object").remove("model")),
        }
        let (status, answer) = whole(post(&base, "/v1/chat/completions", &body).await).await;
        assert_eq!(status, 200, "{name:?}: {answer}");
        assert_eq!(
            answer["choices"][0]["message"]["content"], ANSWER,
            "{name:?}"
        );
    };
    for name in ["haiku", "claude-sonnet-9", "opus"] {
        ask(Some(name)).await;
    }
    ask(None).await;
}

/// A model server that keeps the bodies it gets.
async fn recording() -> (sealwire_http::net::Server, Arc<Mutex<Vec<Value>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let upstream = server(move |request| {
        let kept = Arc::clone(&kept);
        async move {
            let mut body = request.into_body();
            let body = read_all(&mut body, 1 << 20, common::IDLE)
                .await
                .expect("a body");
            let body = serde_json::from_slice(&body).unwrap_or_default();
            kept.lock().expect("no panic").push(body);
            json(StatusCode::OK, br#"{"choices":[]}"#.to_vec())
        }
    })
    .await;
    (upstream, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_installation_has_a_cache_salt_of_its_own() {
    let (upstream, seen) = recording().await;
    let behind = behind(upstream.address()).await;
    let args = behind.args();
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    args.extend(["--relay-key", "sk-relay"]);
    let salt = async |home: &Home, more: &[&str]| {
        let mut running = home.start(&[&args[..], more].concat());
        let base = running.listening().parse().expect("an address");
        let (status, answer) = asked(&base).await;
        assert_eq!(status, 200, "{answer}");
        let body = seen.lock().expect("no panic").pop().expect("a request");
        (body.get("cache_salt").cloned(), running.errors())
    };
    let home = Home::new();
    let (first, errors) = salt(&home, &[]).await;
    let kept = std::fs::read_to_string(home.path("state/sealwire/cache_salt")).expect("kept");
    assert_eq!(first, Some(json!(kept.trim())));
    assert!(kept.trim().len() >= 43 && errors.is_empty(), "{errors}");
    assert_eq!(salt(&home, &[]).await.0, first);
    assert_ne!(salt(&Home::new(), &[]).await.0, first);

    let shared = Home::new();
    assert_eq!(salt(&shared, &["--shared-prompt-cache"]).await.0, None);
    assert!(!shared.folder.path().join("state").exists());

    let home = Home::new().with("XDG_STATE_HOME", "/dev/null/none");
    let (fresh, errors) = salt(&home, &[]).await;
    assert!(fresh.is_some() && fresh != first);
    assert_eq!(
        errors.matches("no cache salt is kept").count(),
        1,
        "{errors}"
    );
}
