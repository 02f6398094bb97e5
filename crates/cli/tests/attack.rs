//! `sealwire attack`: what the table and its last line say.
#![allow(missing_docs, clippy::expect_used, reason = "tests")]

use std::process::Command;

/// The cells of a row: columns are of one width.
fn cells(line: &str) -> Vec<&str> {
    let (width, rest) = (35, line.get(32..).unwrap_or_default());
    (0..4)
        .map(|column| {
            let start = rest.len().min(column * width);
            let end = rest.len().min(start + width);
            rest.get(start..end).unwrap_or_default().trim()
        })
        .collect()
}

#[test]
fn sealwire_accepts_none_and_our_chutes_client_only_what_the_wire_format_hides() {
    let output = Command::new(env!("CARGO_BIN_EXE_sealwire"))
        .arg("attack")
        .output()
        .expect("the binary runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}");
    let rows: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("---"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .collect();
    assert_eq!(rows.len(), 16, "{text}");
    let accepted = |column: usize| -> Vec<&str> {
        rows.iter()
            .filter(|row| cells(row)[column].starts_with("ACCEPTED"))
            .map(|row| row[..32].trim())
            .collect()
    };
    for row in &rows {
        assert_eq!(cells(row)[0], "not run", "{row}");
    }
    assert_eq!(
        accepted(1),
        [
            "leave a piece out",
            "run the request again",
            "change the path"
        ]
    );
    assert!(accepted(2).is_empty() && accepted(3).is_empty(), "{text}");
    let last = text.lines().last().expect("a summary");
    assert_eq!(
        last,
        "summary: 16 attacks; accepted by published client: not run, our chutes-v1 client (deployed peer): 3, our chutes-v1 client (our instance): 0, native sealwire (our instance): 0"
    );
    // Each of the three is named as a limit of the wire format.
    for limit in ["`stream-no-gap`", "`request-replay`", "`path`"] {
        assert!(text.contains(limit), "{limit}");
    }
}

#[test]
fn a_python_without_the_package_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_sealwire"))
        .args(["attack", "--python", "/bin/false"])
        .output()
        .expect("the binary runs");
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(text.contains("chutes-e2ee"), "{text}");
}
