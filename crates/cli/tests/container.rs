//! The container that `docs/container` describes keeps its promises, as far as that can be seen without building it.

mod common;
#[path = "common/process.rs"]
mod process;

use std::path::PathBuf;

use process::Home;

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/container");
    std::fs::read_to_string(path.join(name)).expect("the file")
}

/// The instructions of the Dockerfile: each with its arguments, on one line.
fn instructions() -> Vec<(String, String)> {
    let text = file("Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .join("\n")
        .replace("\\\n", " ")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

/// Those of the last stage, by name.
fn last_stage(name: &str) -> Vec<String> {
    let all = instructions();
    let from = all
        .iter()
        .rposition(|(name, _)| name == "FROM")
        .expect("a stage");
    let of_stage = all[from..].iter().filter(|(own, _)| own == name);
    of_stage.map(|(_, rest)| rest.clone()).collect()
}

fn environment() -> Vec<(String, String)> {
    let all = last_stage("ENV").join(" ");
    let pairs = all
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn exec_form(text: &str) -> Vec<String> {
    let from = text.find('[').expect("the form of a list");
    serde_json::from_str(&text[from..]).expect("JSON")
}

#[test]
fn every_base_is_named_with_a_version_and_the_last_is_empty() {
    let bases: Vec<String> = instructions()
        .into_iter()
        .filter(|(name, _)| name == "FROM")
        .map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    let (last, others) = bases.split_last().expect("a stage");
    assert_eq!(last, "scratch");
    for base in others {
        let version = base.split_once(':').map(|(_, version)| version);
        assert!(
            version.is_some_and(|version| version != "latest" && version.starts_with('1')),
            "{base}"
        );
    }
    // The toolchain is the one that the workspace asks for.
    let cargo =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml"));
    let version = cargo.expect("the workspace");
    let version = version
        .split("rust-version = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    assert!(
        others[0].starts_with(&format!("rust:{}", version.expect("a version"))),
        "{others:?}"
    );
}

#[test]
fn it_runs_as_nobody_in_particular() {
    let users = last_stage("USER");
    assert_eq!(users.len(), 1);
    let numbers: Vec<u32> = users[0]
        .split(':')
        .map(|id| id.parse().expect("a number"))
        .collect();
    assert!(numbers.iter().all(|id| *id >= 1_000), "{users:?}");
}

#[test]
fn no_secret_is_in_it() {
    for (name, rest) in instructions() {
        let is_set = matches!(name.as_str(), "ENV" | "ARG");
        let rest = rest.to_ascii_uppercase();
        let secret = ["KEY", "TOKEN", "SECRET", "PASSWORD"]
            .iter()
            .any(|word| rest.contains(word));
        assert!(!(is_set && secret), "{name} {rest}");
    }
    let ignored = file("Dockerfile.dockerignore");
    assert!(
        ignored.starts_with("**\n"),
        "only what is named goes into the build"
    );
}

#[test]
fn its_variables_are_those_of_the_proxy() {
    let help = Home::new().run(&["proxy", "--help"]);
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let compose = file("compose.yaml");
    let of_compose = compose
        .lines()
        .filter_map(|line| line.trim().split_once(": "));
    let of_compose = of_compose.map(|(name, _)| name.to_owned());
    let names = environment().into_iter().map(|(name, _)| name);
    let names: Vec<String> = names
        .chain(of_compose)
        .filter(|name| name.starts_with("SEALWIRE_"))
        .collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(help.contains(&format!("[env: {name}]")), "{name}");
    }
}

#[test]
fn what_it_runs_works_with_its_variables_and_not_without_a_key() {
    let entry = exec_form(&last_stage("ENTRYPOINT")[0]);
    let command = exec_form(&last_stage("CMD")[0]);
    assert_eq!(
        (entry, command.as_slice()),
        (vec!["/sealwire".to_owned()], &["proxy".to_owned()][..])
    );
    let health = exec_form(&last_stage("HEALTHCHECK")[0]);
    assert_eq!(health, ["/sealwire", "healthcheck"]);

    let mut home = Home::new()
        .with("SEALWIRE_RELAY", "http://127.0.0.1:1")
        .with("SEALWIRE_INSECURE_TRUST_RELAY", "true");
    for (name, value) in environment() {
        match name.as_str() {
            "SEALWIRE_LISTEN" => {
                assert_eq!(value, "0.0.0.0:8790");
                // Tests run side by side.
                home = home.with("SEALWIRE_LISTEN", "0.0.0.0:0");
            }
            // Folders of the image.
            "XDG_CONFIG_HOME" | "XDG_STATE_HOME" => {}
            _ => home = home.with(&name, &value),
        }
    }
    let text = home.refused(&["proxy"]);
    assert!(text.contains("--app-key"), "{text}");
    let home = home.with("SEALWIRE_APP_KEY", "sk-app");
    let address = home.start(&["proxy"]).listening();
    assert!(address.starts_with("http://0.0.0.0:"), "{address}");
    let mut proxy = home.start(&["proxy"]);
    let listen = proxy.listening().replace("http://", "");
    let home = Home::new().with("SEALWIRE_LISTEN", &listen);
    assert!(home.run(&["healthcheck"]).status.success());
}

#[test]
fn every_member_of_the_workspace_goes_into_the_build() {
    let cargo = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let cargo = std::fs::read_to_string(cargo).expect("the workspace");
    let cargo: toml::Table = toml::from_str(&cargo).expect("TOML");
    let members = cargo["workspace"]["members"].as_array().expect("a list");
    let ignored = file("Dockerfile.dockerignore");
    let sent: Vec<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    for member in members {
        let member = member.as_str().expect("a path");
        let is_sent = sent.iter().any(|sent| {
            member
                .strip_prefix(sent)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        assert!(is_sent || member == ".", "{member}");
    }
}
