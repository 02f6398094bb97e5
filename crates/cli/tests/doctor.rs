//! `sealwire doctor` and `sealwire healthcheck`: what is wrong, and what to do.

mod common;
#[path = "common/process.rs"]
mod process;

use common::{MODEL, found, instance, model, server, url};
use http::header::{DATE, HeaderValue};
use process::Home;
use sealwire_http::carriage::to_base64url;
use sealwire_http::net::{Server, text};
use sealwire_http::profile::Profile;
use sealwire_instance::{Instance, InstanceConfig};
use sealwire_relay::{Relay, RelayConfig};
use serde_json::Value;

/// Model server, instance and relay.
struct Behind {
    _model: Server,
    _instance: Instance,
    _relay: Relay,
    relay: String,
    pin: String,
}

async fn behind() -> Behind {
    let model = model().await;
    let instance = instance(InstanceConfig::new(url(model.address()), MODEL), 1).await;
    let relay = common::relay(RelayConfig::new(vec![url(instance.address())])).await;
    found(&url(relay.address())).await;
    Behind {
        relay: url(relay.address()).to_string(),
        pin: to_base64url(&instance.identity()),
        _model: model,
        _instance: instance,
        _relay: relay,
    }
}

const DOCTOR: [&str; 3] = ["doctor", "--listen", "127.0.0.1:0"];

/// The exit code's verdict, and the outcome of each check.
fn examined(home: &Home, args: &[&str]) -> (bool, Vec<(String, String)>, String) {
    let output = home.run(&[&DOCTOR[..], args, &["--json"]].concat());
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let report: Value = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}"));
    assert_eq!(report["ok"], output.status.success(), "{report}");
    let text = |check: &Value, name: &str| check[name].as_str().expect("text").to_owned();
    let checks = report["checks"].as_array().expect("checks");
    for check in checks {
        // Whoever reads that something is wrong reads what to do.
        assert!(
            check["outcome"] == "pass" || check["advice"].is_string(),
            "{check}"
        );
    }
    let outcomes = checks
        .iter()
        .map(|check| (text(check, "name"), text(check, "outcome")));
    (output.status.success(), outcomes.collect(), printed)
}

fn outcomes(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, outcome): &(&str, &str)| ((*name).to_owned(), (*outcome).to_owned());
    expected.iter().map(own).collect()
}

const WELL: [(&str, &str); 5] = [
    ("config", "pass"),
    ("listen", "pass"),
    ("relay", "pass"),
    ("clock", "pass"),
    ("models", "pass"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_works_passes_and_only_live_asks_the_model() {
    let behind = behind().await;
    let args = ["--relay", &behind.relay, "--pin", &behind.pin];
    let (ok, checks, _) = examined(&Home::new(), &args);
    assert!(ok);
    assert_eq!(
        checks,
        outcomes(&[&WELL[..], &[("evidence", "pass")]].concat())
    );
    let relay = behind.relay.parse().expect("an address");
    let (_, usage) = common::get(&relay, "/usage").await;
    assert!(usage.pointer("/usage/0").is_none(), "{usage}");

    let home = Home::with_settings("default_model = \"demo\"\n[aliases]\nhaiku = \"demo\"\n");
    let args = [&DOCTOR[..], &args, &["--live"]].concat();
    let output = home.run(&args);
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{printed}");
    for line in [
        "[PASS] config: ",
        "[PASS] names: ",
        "[PASS] live: demo: a sealed answer of ",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    assert!(printed.contains("proxy.toml"), "{printed}");
    // An examination writes nothing.
    assert!(!home.folder.path().join("state").exists());
    common::usage(&relay, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trusting_the_relay_blindly_is_no_pass() {
    let behind = behind().await;
    let args = ["--relay", &behind.relay, "--insecure-trust-relay"];
    let (ok, checks, printed) = examined(&Home::new(), &args);
    assert!(ok);
    assert_eq!(
        checks,
        outcomes(&[&WELL[..], &[("evidence", "warn")]].concat())
    );
    assert!(
        printed.contains("the relay can read everything"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_identity_than_the_pinned_one_fails() {
    let behind = behind().await;
    let other = to_base64url(&[7; 32]);
    let (ok, checks, printed) =
        examined(&Home::new(), &["--relay", &behind.relay, "--pin", &other]);
    assert!(!ok);
    assert_eq!(checks.last(), outcomes(&[("evidence", "fail")]).last());
    assert!(printed.contains("correct --pin"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_stand_for_nothing_are_pointed_out() {
    let behind = behind().await;
    let args = [
        "--relay",
        &behind.relay,
        "--pin",
        &behind.pin,
        "--alias",
        "haiku=no-such",
    ];
    let (ok, checks, printed) = examined(&Home::new(), &args);
    assert!(ok);
    assert!(
        checks.contains(&outcomes(&[("names", "warn")])[0]),
        "{printed}"
    );
    assert!(printed.contains("no-such"), "{printed}");
    let args = [&args[..4], &["--model", "no-such"]].concat();
    let (ok, checks, _) = examined(&Home::new(), &args);
    assert!(!ok);
    assert_eq!(checks.last(), outcomes(&[("evidence", "fail")]).last());
}

#[test]
fn a_relay_that_is_not_there_ends_the_examination() {
    let args = ["--relay", "http://127.0.0.1:1", "--insecure-trust-relay"];
    let (ok, checks, printed) = examined(&Home::new(), &args);
    assert!(!ok);
    assert_eq!(
        checks,
        outcomes(&[("config", "pass"), ("listen", "pass"), ("relay", "fail")])
    );
    assert!(
        printed.contains("nothing listens on that port"),
        "{printed}"
    );
    let args = [
        "--relay",
        "http://no-such-host.invalid",
        "--insecure-trust-relay",
    ];
    let (_, _, printed) = examined(&Home::new(), &args);
    assert!(printed.contains("cannot be resolved"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_seen() {
    let relay = server(|_| async {
        let mut response = text(http::StatusCode::NOT_FOUND, "");
        let then = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        response.headers_mut().insert(DATE, then);
        response
    })
    .await;
    let relay = url(relay.address()).to_string();
    let (ok, checks, printed) =
        examined(&Home::new(), &["--relay", &relay, "--insecure-trust-relay"]);
    assert!(!ok);
    assert!(
        checks.contains(&outcomes(&[("clock", "fail")])[0]),
        "{printed}"
    );
    assert!(
        checks.contains(&outcomes(&[("relay", "pass")])[0]),
        "{printed}"
    );
    // The rest is looked at all the same, and this is no relay.
    assert_eq!(checks.last(), outcomes(&[("models", "fail")]).last());
    assert!(printed.contains("address of a sealwire relay"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_relay_asks_for_is_asked_for_and_not_shown() {
    let model = model().await;
    let instance = instance(InstanceConfig::new(url(model.address()), MODEL), 1).await;
    let mut config = RelayConfig::new(vec![url(instance.address())]);
    config.api_keys = vec!["sk-relay".to_owned()];
    let relay = common::relay(config).await;
    let relay = url(relay.address()).to_string();
    let args = [
        "--relay",
        &relay,
        "--insecure-trust-relay",
        "--relay-key",
        "sk-wrong",
    ];
    let (ok, checks, printed) = examined(&Home::new(), &args);
    assert!(!ok);
    assert_eq!(checks.last(), outcomes(&[("models", "fail")]).last());
    assert!(
        printed.contains("--relay-key") && !printed.contains("sk-wrong"),
        "{printed}"
    );
}

#[test]
fn settings_that_cannot_be_read_are_a_failed_check() {
    let home = Home::with_settings("lisen = 1\n");
    let (ok, checks, printed) = examined(&home, &[]);
    assert!(!ok);
    assert_eq!(checks, outcomes(&[("config", "fail")]));
    assert!(printed.contains("did you mean `listen`?"), "{printed}");
    let (_, checks, printed) = examined(&Home::new(), &[]);
    assert_eq!(checks, outcomes(&[("config", "fail")]));
    assert!(printed.contains("--policy"), "{printed}");
    let (_, checks, _) = examined(&Home::new(), &["--insecure-trust-relay"]);
    assert_eq!(checks, outcomes(&[("config", "fail")]));
}

#[test]
fn an_address_that_is_taken_is_told_from_a_proxy_that_runs() {
    let args = ["--relay", "http://127.0.0.1:1", "--insecure-trust-relay"];
    let home = Home::new();
    let mut proxy = home.start(&[&["proxy", "--listen", "127.0.0.1:0"], &args[..]].concat());
    let url = proxy.listening();
    let listen = url.trim_start_matches("http://");
    let run = |listen: &str| {
        let output = home.run(&[&["doctor", "--listen", listen], &args[..]].concat());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let printed = run(listen);
    assert!(
        printed.contains("[PASS] listen: a proxy answers at"),
        "{printed}"
    );
    assert!(home.run(&["healthcheck", &url]).status.success());
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let printed = run(&other.local_addr().expect("bound").to_string());
    assert!(printed.contains("[FAIL] listen: "), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_finds_the_proxy_by_its_settings_and_fails_without_it() {
    let health = server(|_| async { text(http::StatusCode::OK, "ok\n") }).await;
    let listen = format!("0.0.0.0:{}", health.address().port());
    let home = Home::new().with("SEALWIRE_LISTEN", &listen);
    assert!(home.run(&["healthcheck"]).status.success());
    let sick = server(|_| async { text(http::StatusCode::SERVICE_UNAVAILABLE, "") }).await;
    let sick = url(sick.address()).to_string();
    let text = home.refused(&["healthcheck", &sick]);
    assert!(text.contains("answers 503"), "{text}");
    let text = home.refused(&["healthcheck", "http://127.0.0.1:1"]);
    assert!(text.contains("does not answer"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_profile_is_examined_the_same_way() {
    let model = model().await;
    let mut config = InstanceConfig::new(url(model.address()), MODEL);
    config.profiles = vec![Profile::ChutesV1];
    let instance = instance(config, 1).await;
    let mut config = RelayConfig::new(vec![url(instance.address())]);
    config.profiles = vec![Profile::ChutesV1];
    let relay = common::relay(config).await;
    let relay = url(relay.address());
    found(&relay).await;
    let relay = relay.to_string();
    let args = [
        "--profile",
        "chutes-v1",
        "--api-base",
        &relay,
        "--insecure-trust-relay",
        "--relay-key",
        "sk-relay",
    ];
    // An instance without evidence is not confidential.
    let (ok, checks, printed) = examined(&Home::new(), &args);
    assert!(!ok);
    assert_eq!(checks.last(), outcomes(&[("models", "fail")]).last());
    assert!(
        printed.contains("only confidential models count"),
        "{printed}"
    );
    let args = [&args[..], &["--allow-non-confidential", MODEL]].concat();
    let (ok, checks, printed) = examined(&Home::new(), &[&args[..], &["--live"]].concat());
    assert!(ok, "{printed}");
    let expected = [&WELL[..], &[("evidence", "warn"), ("live", "pass")]].concat();
    assert_eq!(checks, outcomes(&expected));
    assert!(printed.contains("its operator can read"), "{printed}");
    assert!(!printed.contains("sk-relay"), "{printed}");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_and_a_variable_that_is_none_are_pointed_out() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with_settings("relay_key = \"sk-of-the-file\"\n");
    let file = home.path("config/sealwire/proxy.toml");
    let args = ["--relay", "http://127.0.0.1:1", "--insecure-trust-relay"];
    for (mode, expected) in [(0o600, None), (0o644, Some("warn"))] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("own");
        let (_, checks, printed) = examined(&home, &args);
        let doubt = checks.get(1).filter(|(name, _)| name == "config");
        assert_eq!(
            doubt.map(|(_, outcome)| outcome.as_str()),
            expected,
            "{printed}"
        );
        assert!(!printed.contains("sk-of-the-file"), "{printed}");
    }
    let home = Home::new().with("SEALWIRE_RELAYKEY", "sk-1");
    let (_, _, printed) = examined(&home, &args);
    assert!(
        printed.contains("SEALWIRE_RELAYKEY") && !printed.contains("sk-1"),
        "{printed}"
    );
}
