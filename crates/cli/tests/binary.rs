//! The binary itself: arguments, what it prints, and the README's commands.

mod common;

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
        let mut command = binary();
        command.args(args);
        if args.first() == Some(&"proxy") && !args.contains(&"--listen") {
            // Tests run side by side.
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command
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

/// The binary, away from the settings and the state of whoever runs the tests.
fn binary() -> Command {
    let mut command = Command::new(BINARY);
    let nowhere = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    command
        .env("XDG_CONFIG_HOME", nowhere.join("no-settings"))
        .env("XDG_STATE_HOME", nowhere.join("state"));
    command
}

fn run(args: &[&str]) -> Output {
    binary().args(args).output().expect("the binary")
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

const INSTANCE: [&str; 5] = [
    "instance",
    "--upstream",
    "http://127.0.0.1:1",
    "--model",
    "m",
];

#[test]
fn with_evidence_an_identity_key_is_never_stored() {
    let path = scratch("attested-identity");
    let file = path.to_str().expect("UTF-8");
    let evidence = ["--evidence", "command=true", "--identity-key", file];
    let output = run(&[&INSTANCE[..], &evidence].concat());
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("--identity-key is for --evidence none"),
        "{text}"
    );
    assert!(!path.exists());
}

#[test]
fn an_instance_whose_evidence_fails_says_why_and_does_not_start() {
    for (evidence, expected) in [
        (&["configfs-tsm=no-such-folder"][..], "no-such-folder"),
        (&["command=false"][..], "evidence command false failed"),
        (&["command=true"][..], "true holds no evidence"),
        (&["command=no-such-program"][..], "no-such-program"),
        (&["file=no-such-file"][..], "no-such-file"),
        (&["sgx"][..], "expected configfs-tsm"),
        (
            &["none", "--gpu-evidence", "command=true"][..],
            "--gpu-evidence needs evidence",
        ),
        (
            &["file=no-such-file", "--gpu-evidence", "command=true"][..],
            "put the GPUs into the file",
        ),
        (
            &[
                "command=true",
                "--profile",
                "chutes-v1",
                "--vm-certificate",
                "no-such-file",
            ][..],
            "cannot read the certificate",
        ),
    ] {
        let output = run(&[&INSTANCE[..], &["--evidence"], evidence].concat());
        assert!(!output.status.success(), "{evidence:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(expected), "{evidence:?}: {text}");
        assert!(output.stdout.is_empty(), "{evidence:?}");
    }
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
        // The key of the proxy is none for the relay.
        (&["--app-key", "k", "--forward-key"][..], "--relay-key"),
    ] {
        let args = [&relay[..], &["--insecure-trust-relay"], more].concat();
        let output = run(&args);
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(flag), "{text}");
    }
}

/// The program that makes quotes of the test rig. It is built here too: `cargo test --test binary` alone builds no examples.
fn quote_maker() -> PathBuf {
    let deps = std::env::current_exe().expect("a path");
    let folder = deps
        .parent()
        .and_then(std::path::Path::parent)
        .expect("a folder");
    let path = folder.join("examples").join("quote_maker");
    if !path.exists() {
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--package",
                "sealwire-cli",
                "--example",
                "quote_maker",
            ])
            .status()
            .expect("cargo");
        assert!(built.success());
    }
    path
}

#[tokio::test]
async fn instances_prove_themselves_through_the_programs_and_policies_are_read() {
    let maker = quote_maker();
    let root = Command::new(&maker)
        .arg("root")
        .output()
        .expect("the program");
    let root = String::from_utf8(root.stdout).expect("text");
    let der: Vec<u8> = root
        .trim()
        .as_bytes()
        .chunks(2)
        .map(|digits| std::str::from_utf8(digits).expect("ASCII"))
        .map(|digits| u8::from_str_radix(digits, 16).expect("hexadecimal"))
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("root.der"), der).expect("a file");
    let policy = |mrtd: &str| {
        format!(
            "gpu = \"ignore\"\n[roots]\nintel = {{ name = \"rig\", file = \"root.der\" }}\n\
             [[measurements]]\nname = \"rig\"\nmrtd = \"{}\"\n",
            mrtd.repeat(48)
        )
    };
    std::fs::write(file("good.toml"), policy("a1")).expect("a file");
    std::fs::write(file("other.toml"), policy("a2")).expect("a file");
    std::fs::write(file("typo.toml"), policy("a1") + "mrtdd = \"\"\n").expect("a file");

    let mut model = Running::start(&["demo-model", "--token-delay-ms", "1"]);
    let model_url = model.line("listening ");
    let command = format!("command={}", maker.display());
    let mut instance = Running::start(&[
        "instance",
        "--upstream",
        &model_url,
        "--model",
        common::MODEL,
        "--evidence",
        &command,
    ]);
    let identity = instance.line("identity ");
    let instance_url = instance.line("listening ");
    let mut relay = Running::start(&["relay", "--instance", &instance_url]);
    let relay_url = relay.line("listening ");
    common::found(&relay_url.parse().expect("an address")).await;
    let ask = async |policy: &str| {
        let policy = file(policy);
        let policy = policy.to_str().expect("UTF-8");
        let mut proxy = Running::start(&[
            "proxy",
            "--relay",
            &relay_url,
            "--policy",
            policy,
            "--handshake-timeout",
            "30000",
        ]);
        let base = proxy.line("listening ").parse().expect("an address");
        let (_, answer) = common::ask(&base).await;
        let (_, shown) = common::get(&base, "/attestation").await;
        (answer.to_string(), shown.to_string())
    };
    let (answer, shown) = ask("good.toml").await;
    assert!(answer.contains("Paris"), "{answer}");
    assert!(
        shown.contains(&identity) && shown.contains("\"accepted\":true"),
        "{shown}"
    );
    let (answer, shown) = ask("other.toml").await;
    assert!(answer.contains("measurement-unknown"), "{answer}");
    assert!(shown.contains("\"accepted\":false"), "{shown}");

    let proxy = ["proxy", "--relay", &relay_url, "--policy"];
    let typo = file("typo.toml");
    let good = file("good.toml");
    let (typo, good) = (typo.to_str().expect("UTF-8"), good.to_str().expect("UTF-8"));
    for (more, expected) in [
        (&["no-such-policy"][..], "cannot read the policy"),
        (&[typo][..], "mrtdd"),
        (&[good, "--pin", &identity][..], "cannot be used with"),
        (&[good, "--collateral", "no-such-file"][..], "no-such-file"),
        (
            &[good, "--collateral", "x", "--pccs", "http://127.0.0.1:1"][..],
            "cannot be used with",
        ),
    ] {
        let output = run(&[&proxy[..], more].concat());
        assert!(!output.status.success(), "{more:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(expected), "{more:?}: {text}");
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

#[test]
fn an_instance_and_a_relay_speak_the_profiles_that_they_are_told() {
    let id = "0b2c1a5e-0000-4000-8000-000000000001";
    let chute = "e51e818e-fa63-570d-9f68-49d7d1b4d12f";
    let base = [
        "instance",
        "--evidence",
        "none",
        "--upstream",
        "http://127.0.0.1:1",
        "--model",
        "m",
    ];
    let chutes = ["--profile", "chutes-v1", "--chute-id"];
    let named = format!("m={chute}");
    let mut instance =
        Running::start(&[&base[..], &chutes[..], &[&named, "--instance-id", id]].concat());
    assert_eq!(instance.line("instance "), id);
    let url = instance.line("listening ");
    let alias = format!("fast={chute}");
    let mut relay = Running::start(&[
        "relay",
        "--profile",
        "native",
        "--profile",
        "chutes-v1",
        "--alias",
        &alias,
        "--instance",
        &url,
    ]);
    let relay = relay.line("listening ");
    let aliases = ask(&relay, "/model_aliases/");
    assert!(aliases.contains(&format!(
        "[{{\"alias\":\"fast\",\"chute_ids\":[\"{chute}\"]}}]"
    )));
    for (args, expected) in [
        (&["--profile", "chutes-v2"][..], "native, chutes-v1"),
        (&["--chute-id", "other=x"], "8-4-4-4-12"),
        (
            &["--chute-id", &format!("other={chute}")],
            "which no --model does",
        ),
        (
            &["--profile", "chutes-v1", "--key-rotation", "0"],
            "0 < rotation",
        ),
    ] {
        let output = run(&[&base[..], args].concat());
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(expected), "{text}");
    }
}

/// What a server answers to a GET, head and all.
fn ask(url: &str, path: &str) -> String {
    use std::io::Write;
    let address = url.strip_prefix("http://").expect("an address");
    let mut stream = std::net::TcpStream::connect(address).expect("a server");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}
