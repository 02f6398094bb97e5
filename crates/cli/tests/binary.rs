//! The binary itself: arguments, what it prints, and the README's commands.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_sealwire");

/// A process that ends with the test.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, out }
    }

    /// The rest of the first line that begins with `word`.
    fn line(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            let length = self.out.read_line(&mut line).expect("text");
            assert!(length > 0, "the process ended before it printed {word}");
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(BINARY)
        .args(args)
        .output()
        .expect("the binary")
}

fn scratch(name: &str) -> PathBuf {
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn an_instance_without_evidence_must_be_told_so() {
    let output = run(&[
        "instance",
        "--upstream",
        "http://127.0.0.1:1",
        "--model",
        "m",
    ]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("--evidence none"), "{text}");
}

#[test]
fn a_proxy_must_be_told_whom_to_trust_and_stays_on_loopback() {
    let relay = ["proxy", "--relay", "http://127.0.0.1:1"];
    let output = run(&relay);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("--pin") && text.contains("--insecure-trust-relay"),
        "{text}"
    );
    for (more, flag) in [
        (&["--listen", "0.0.0.0:0"][..], "--allow-remote"),
        (
            &["--listen", "0.0.0.0:0", "--allow-remote"][..],
            "--app-key",
        ),
    ] {
        let args = [&relay[..], &["--insecure-trust-relay"], more].concat();
        let output = run(&args);
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(flag), "{text}");
    }
}

#[test]
fn a_proxy_takes_the_arguments_of_its_profile_only() {
    let trust = "--insecure-trust-relay";
    let chutes = ["--profile", "chutes-v1", "--api-base", "http://127.0.0.1:1"];
    let relay = ["--relay", "http://127.0.0.1:1"];
    for (args, expected) in [
        (vec![trust], "--relay is needed with --profile native"),
        (
            vec!["--profile", "chutes-v1", trust],
            "--api-base is needed with --profile chutes-v1",
        ),
        (
            [&relay[..], &[trust, "--usage-passthrough"]].concat(),
            "--usage-passthrough does not go with --profile native",
        ),
        (
            [&chutes[..], &relay, &[trust]].concat(),
            "--relay does not go with --profile chutes-v1",
        ),
        (chutes.to_vec(), "--policy"),
        (
            [&chutes[..], &["--policy", "no-such-file.toml"]].concat(),
            "cannot read the policy no-such-file.toml",
        ),
        (
            vec!["--profile", "chutes-v2", trust],
            "a profile is one of native, chutes-v1",
        ),
    ] {
        let output = run(&[&["proxy"], &args[..]].concat());
        assert!(!output.status.success(), "{args:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(expected), "{args:?}: {text}");
    }
    Running::start(&[&["proxy", trust], &chutes[..]].concat()).line("listening ");
}

#[test]
fn a_policy_must_be_one() {
    let path = scratch("policy.toml");
    std::fs::write(&path, "gpu = \"ignore\"\n").expect("a file");
    let path = path.to_str().expect("UTF-8");
    let args = ["proxy", "--profile", "chutes-v1", "--api-base"];
    let output = run(&[&args[..], &["http://127.0.0.1:1", "--policy", path]].concat());
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("lists no measurements"), "{text}");
}

#[test]
fn an_identity_may_begin_with_a_hyphen() {
    let identity = format!("-{}", "A".repeat(42));
    let relay = "http://127.0.0.1:1";
    Running::start(&["proxy", "--relay", relay, "--pin", &identity]).line("listening ");
    let output = run(&["proxy", "--relay", relay, "--pin", "--single-use"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("an identity is 32 bytes"), "{text}");
}

#[test]
fn a_relay_takes_exact_origins_only() {
    let relay = ["relay", "--instance", "http://127.0.0.1:1", "--cors-origin"];
    for (bad, expected) in [
        ("*", "name each origin"),
        ("null", "name each origin"),
        ("https://*.example.com", "name each origin"),
        ("https://chat.example.com/", "scheme://host"),
        ("chat.example.com", "scheme://host"),
    ] {
        let output = run(&[&relay[..], &[bad]].concat());
        assert!(!output.status.success(), "{bad}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            text.contains(expected) && text.contains("--cors-origin"),
            "{text}"
        );
    }
    let good = [
        "https://chat.example.com",
        "--cors-origin",
        "http://[::1]:5",
    ];
    Running::start(&[&relay[..], &good].concat()).line("listening ");
}

#[test]
fn an_identity_key_file_is_made_once_and_private() {
    let path = scratch("identity");
    let file = path.to_str().expect("UTF-8");
    let args = [
        "instance",
        "--upstream",
        "http://127.0.0.1:1",
        "--model",
        "m",
        "--evidence",
        "none",
        "--identity-key",
        file,
    ];
    let first = Running::start(&args).line("identity ");
    let second = Running::start(&args).line("identity ");
    assert_eq!(first, second);
    assert_eq!(first.len(), 43);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &PathBuf| {
            std::fs::metadata(path)
                .expect("the file")
                .permissions()
                .mode()
        };
        assert_eq!(mode(&path) & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("own");
        let output = run(&args);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("own");
    }
    std::fs::write(&path, "not a key").expect("own");
    let output = run(&args);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("32 bytes"));
    let _ = std::fs::remove_file(&path);
}

#[test]
fn keys_are_read_from_files_and_never_printed() {
    let path = scratch("key");
    std::fs::write(&path, "sk-very-secret\n").expect("own");
    let argument = format!("@{}", path.display());
    let mut relay = Running::start(&[
        "relay",
        "--instance",
        "http://127.0.0.1:1",
        "--api-key",
        &argument,
    ]);
    assert!(relay.line("listening ").starts_with("http://127.0.0.1:"));
    let output = run(&[
        "relay",
        "--instance",
        "http://127.0.0.1:1",
        "--api-key",
        "two words",
    ]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("printable") && !text.contains("two"),
        "{text}"
    );
    let _ = std::fs::remove_file(&path);
}

#[test]
fn the_demo_shows_two_views_and_finds_no_plaintext() {
    for args in [
        &["demo"][..],
        &["demo", "--suite", "2", "--padding", "buckets"],
    ] {
        let output = Command::new(BINARY)
            .args(args)
            .args(["--token-delay-ms", "1"])
            .env("COLUMNS", "80")
            .output()
            .expect("the binary");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        for part in [
            "POST /v1/chat/completions",
            "POST /sealwire/v1/requests",
            "The sky looks blue",
            "SEALED",
            "53 out",
            "1 verified against the identity, 0 refused",
            "no word of four letters",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let table = text.lines().filter(|line| line.contains(" | "));
        assert!(table.clone().count() > 10);
        assert!(table.into_iter().all(|line| line.chars().count() <= 80));
    }
}

#[test]
fn the_four_processes_work_together_with_curl() {
    let mut model = Running::start(&["demo-model", "--model", "my/model", "--token-delay-ms", "1"]);
    let upstream = model.line("listening ");
    let mut instance = Running::start(&[
        "instance",
        "--upstream",
        &upstream,
        "--model",
        "my/model",
        "--evidence",
        "none",
    ]);
    let identity = instance.line("identity ");
    let address = instance.line("listening ");
    let mut relay = Running::start(&["relay", "--instance", &address]);
    let relay_address = relay.line("listening ");
    let mut proxy = Running::start(&["proxy", "--relay", &relay_address, "--pin", &identity]);
    let base = proxy.line("listening ");
    let curl = |args: &[&str]| {
        Command::new("curl")
            .args(["-sN", "--retry", "0", "--max-time", "20"])
            .args(args)
            .output()
    };
    let chat = format!("{base}/v1/chat/completions");
    let body =
        r#"{"model":"my/model","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let ask = || curl(&[&chat, "-H", "content-type: application/json", "-d", body]);
    let Ok(mut output) = ask() else {
        eprintln!("skipped: there is no curl on this machine");
        return;
    };
    // The relay may not have looked at its instance yet.
    for _ in 0..100 {
        if !String::from_utf8_lossy(&output.stdout).contains("relay_gone") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        output = ask().expect("curl");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("Hello!") && text.trim_end().ends_with("data: [DONE]"),
        "{text}"
    );
    let usage = curl(&[&format!("{relay_address}/usage")]).expect("curl");
    assert!(String::from_utf8_lossy(&usage.stdout).contains("my/model"));
    drop(proxy);
    let mut rest = String::new();
    let _ = relay.child.kill();
    let _ = relay.out.read_to_string(&mut rest);
    assert!(!rest.contains("hello"), "{rest}");
}
