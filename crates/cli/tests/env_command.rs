//! `sealwire env`: settings of applications, ready to paste.

mod common;
#[path = "common/process.rs"]
mod process;

use http::StatusCode;
use process::Home;
use sealwire_http::net::json;

fn printed(home: &Home, args: &[&str]) -> String {
    let output = home.run(&[&["env"], args].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The lines of `text` as a shell understands them: the value of a variable.
#[cfg(unix)]
fn in_shell(text: &str, variable: &str) -> String {
    let script = format!("{text}\nprintf %s \"${variable}\"");
    let output = std::process::Command::new("sh")
        .env_clear()
        .env("SEALWIRE_APP_KEY", "sk-app")
        .args(["-euc", &script])
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[cfg(unix)]
#[test]
fn shells_get_addresses_keys_and_models() {
    let home = Home::with_settings(
        "listen = \"0.0.0.0:7\"\ndefault_model = \"org/large\"\napp_key = \"sk-app\"\n[aliases]\nhaiku = \"org/small one\"\n",
    );
    let claude = printed(&home, &["claude"]);
    assert!(!claude.contains("sk-app"), "{claude}");
    for (variable, value) in [
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:7"),
        ("ANTHROPIC_AUTH_TOKEN", "sk-app"),
        ("ANTHROPIC_MODEL", "org/large"),
        ("ANTHROPIC_DEFAULT_OPUS_MODEL", "org/large"),
        ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "org/small one"),
        ("CLAUDE_CODE_ATTRIBUTION_HEADER", "0"),
    ] {
        assert_eq!(in_shell(&claude, variable), value, "{variable}");
    }
    let openai = printed(&home, &["openai", "--url", "http://127.0.0.1:8"]);
    assert_eq!(
        in_shell(&openai, "OPENAI_BASE_URL"),
        "http://127.0.0.1:8/v1"
    );
    let anthropic = printed(&Home::new(), &["anthropic"]);
    assert_eq!(
        in_shell(&anthropic, "ANTHROPIC_BASE_URL"),
        "http://127.0.0.1:8790"
    );
    assert_eq!(in_shell(&anthropic, "ANTHROPIC_API_KEY"), "unused");
}

/// A proxy that lists these models.
async fn lists(models: &'static str) -> sealwire_http::net::Server {
    common::server(move |_| async move {
        json(
            StatusCode::OK,
            format!("{{\"data\":[{models}]}}").into_bytes(),
        )
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_gets_a_file_that_is_toml_and_the_window_of_the_running_proxy() {
    let proxy = lists(r#"{"id":"org/m","max_input_tokens":40000}"#).await;
    let url = common::url(proxy.address()).to_string();
    let text = printed(&Home::new(), &["codex", "--url", &url]);
    let config: toml::Table = toml::from_str(&text).expect("TOML");
    let expected: toml::Table = toml::from_str(&format!(
        "model = \"org/m\"\nmodel_provider = \"sealwire\"\nmodel_context_window = 40000\nmodel_auto_compact_token_limit = 36000\nweb_search = \"disabled\"\n\
         [model_providers.sealwire]\nname = \"sealwire\"\nbase_url = \"{url}/v1\"\nwire_api = \"responses\"\nstream_idle_timeout_ms = 300000\n"
    ))
    .expect("TOML");
    assert_eq!(config, expected);
    // What the proxy is set to goes before what the relay says.
    let home =
        Home::with_settings("forward_key = true\n[models.\"org/m\"]\nmax_model_len = 1000\n");
    let text = printed(&home, &["codex", "--url", &url]);
    let config: toml::Table = toml::from_str(&text).expect("TOML");
    assert_eq!(config["model_context_window"].as_integer(), Some(1000));
    let provider = &config["model_providers"]["sealwire"];
    assert_eq!(provider["env_key"].as_str(), Some("SEALWIRE_RELAY_KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_named_by_somebody_or_left_open() {
    let proxy = lists(r#"{"id":"a"},{"id":"b"}"#).await;
    let url = common::url(proxy.address()).to_string();
    let text = printed(&Home::new(), &["claude", "--url", &url]);
    assert!(text.contains("# no model is named") && !text.contains("ANTHROPIC_MODEL="));
    let text = printed(&Home::new(), &["claude", "--url", &url, "--model", "b"]);
    assert!(text.contains("ANTHROPIC_MODEL=b"), "{text}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_the_relay_runs_nothing() {
    let proxy = lists(r#"{"id":"'; echo owned; '$(echo owned)"}"#).await;
    let url = common::url(proxy.address()).to_string();
    let text = printed(&Home::new(), &["claude", "--url", &url]);
    let value = in_shell(&text, "ANTHROPIC_MODEL");
    assert_eq!(value, "'; echo owned; '$(echo owned)");
    let proxy = lists(r#"{"id":"a\necho owned"}"#).await;
    let url = common::url(proxy.address()).to_string();
    let text = Home::new().refused(&["env", "claude", "--url", &url]);
    assert!(text.contains("control characters"), "{text}");
}

#[test]
fn an_address_that_nobody_can_reach_is_refused() {
    for listen in ["127.0.0.1:0", "nowhere"] {
        let home = Home::new().with("SEALWIRE_LISTEN", listen);
        let text = home.refused(&["env", "openai"]);
        assert!(text.contains("--url"), "{listen}: {text}");
    }
}

#[test]
fn a_proxy_prints_where_it_listens_first_and_then_lines_to_paste() {
    let args = ["--relay", "http://127.0.0.1:1", "--insecure-trust-relay"];
    let home = Home::new();
    let mut proxy = home.start(&[&["proxy", "--listen", "127.0.0.1:0"], &args[..]].concat());
    let url = proxy.listening();
    let lines: Vec<String> = (0..4).map(|_| proxy.next_line()).collect();
    let lines = lines.join("\n");
    for expected in [
        format!("OPENAI_BASE_URL={url}/v1 "),
        format!("ANTHROPIC_BASE_URL={url} "),
        format!("sealwire env claude --url {url}"),
        format!("{url}/"),
    ] {
        assert!(lines.contains(&expected), "{expected}: {lines}");
    }
}
