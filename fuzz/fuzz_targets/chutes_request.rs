//! Requests of chutes-v1: a changed blob does not open; of any JSON exactly the objects with unique names and a sound key are taken, and the
//! application's members arrive as they were sent.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::compat::chutes::{self as profile, ChutesError, testing};
use sealwire_fuzz::chutes::{client_key, codec, instance_key, instance_secret};
use sealwire_fuzz::fixture;
use sealwire_fuzz::mutate::{self, Mutation};
use serde_json::{Map, Value};

const PATH: &str = "/v1/chat/completions";
const LIMIT: usize = 1 << 16;

#[derive(Arbitrary, Debug)]
enum Input {
    /// A sound blob, changed.
    Blob(Vec<Mutation>),
    /// Content that is any bytes.
    Json(Vec<u8>),
    /// A sound object, changed.
    Changed(Vec<Member>, Vec<Mutation>),
    /// An object of known members.
    Object { members: Vec<Member>, blanks: bool },
    /// What is packed is any bytes.
    Packed(Vec<u8>),
    /// From the client's own function.
    Sealed {
        body: Vec<u8>,
        path: String,
        other: String,
    },
}

#[derive(Arbitrary, Clone, Debug)]
struct Member {
    name: u8,
    value: u8,
}

/// As written, and what it spells.
const NAMES: [(&str, &str); 8] = [
    ("model", "model"),
    ("stream", "stream"),
    ("mode\\u006c", "model"),
    ("e2e_response_pk", "e2e_response_pk"),
    ("e2e\\u005fresponse_pk", "e2e_response_pk"),
    ("", ""),
    ("\\\"", "\""),
    ("ä", "ä"),
];
const VALUES: [&str; 8] = [
    "1",
    "true",
    "null",
    "\"}, \\\"e2e_response_pk\\\":\"",
    "{\"e2e_response_pk\": 1, \"a\": [ ]}",
    "[1, 2.50, -0]",
    "\"\\u00e4\\/\"",
    "KEY",
];

impl Member {
    fn name(&self) -> (&'static str, &'static str) {
        NAMES[usize::from(self.name) % NAMES.len()]
    }

    fn value(&self) -> String {
        match VALUES[usize::from(self.value) % VALUES.len()] {
            "KEY" => format!("\"{}\"", client_key()),
            value => value.to_owned(),
        }
    }
}

fn object(members: &[Member], blanks: bool) -> String {
    let (colon, comma) = if blanks {
        (" :\t", "\r\n, ")
    } else {
        (":", ",")
    };
    let members: Vec<String> = members
        .iter()
        .map(|member| format!("\"{}\"{colon}{}", member.name().0, member.value()))
        .collect();
    format!("{{{}}}", members.join(comma))
}

fuzz_target!(|input: Input| {
    match input {
        Input::Blob(changes) => {
            let body = format!(
                "{{\"model\":\"m\",\"e2e_response_pk\":\"{}\"}}",
                client_key()
            );
            let sound = raw(body.as_bytes());
            let mut blob = sound.clone();
            mutate::mutate(&mut blob, &changes);
            match open(&blob, PATH) {
                Ok(body) => assert!(blob == sound && body == b"{\"model\":\"m\"}"),
                Err(error) => {
                    let code = if blob.len() < 1_116 {
                        "too-short"
                    } else {
                        "decrypt"
                    };
                    assert!(blob != sound && error.code() == code);
                }
            }
        }
        Input::Json(json) => any_json(&json),
        Input::Changed(members, changes) => {
            let mut json = object(&members, true).into_bytes();
            mutate::mutate(&mut json, &changes);
            any_json(&json);
        }
        Input::Object { members, blanks } => known(members.get(..8).unwrap_or(&members), blanks),
        Input::Packed(packed) => {
            fixture::coins(5);
            let blob =
                testing::seal_packed(&codec(true), &instance_key(), "e2e-req-v1", &packed).unwrap();
            let opened = open(&blob, PATH);
            let unpacked = profile::gunzip(&packed, LIMIT);
            if let Err(error) = unpacked {
                assert_eq!(opened, Err(error));
            }
        }
        Input::Sealed { body, path, other } => sealed(&body, &path, &other),
    }
});

fn raw(json: &[u8]) -> Vec<u8> {
    fixture::coins(5);
    testing::seal_raw(&codec(true), &instance_key(), json).unwrap()
}

fn open(blob: &[u8], path: &str) -> Result<Vec<u8>, ChutesError> {
    let held = [testing::request_key("", instance_secret())];
    testing::open(&codec(true), &held, blob, path, LIMIT).map(|request| request.body)
}

/// What another reader makes of an object's top level. It takes the last of several names.
fn members(json: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(json).ok()
}

fn any_json(json: &[u8]) {
    match open(&raw(json), PATH) {
        Ok(body) => {
            // Numbers that fit no float are no fault of the request.
            if let Some(mut sent) = members(json) {
                assert!(sent.remove("e2e_response_pk").is_some());
                assert_eq!(members(&body), Some(sent));
            }
        }
        Err(error) if error.code() == "response-key" => {
            if let Some(sent) = members(json) {
                let key = sent.get("e2e_response_pk").and_then(Value::as_str);
                assert_ne!(key, Some(client_key().as_str()));
            }
        }
        Err(error) => assert!(["not-an-object", "too-large"].contains(&error.code())),
    }
}

/// The answer is known from the members.
fn known(members: &[Member], blanks: bool) {
    let mut names: Vec<&str> = members.iter().map(|member| member.name().1).collect();
    names.sort_unstable();
    let unique = names.is_sorted_by(|a, b| a < b);
    let key = members
        .iter()
        .find(|member| member.name().1 == "e2e_response_pk")
        .is_some_and(|member| member.value() == format!("\"{}\"", client_key()));
    let expected = match (unique, key) {
        (false, _) => Err("not-an-object"),
        (true, false) => Err("response-key"),
        (true, true) => {
            let rest: Vec<String> = members
                .iter()
                .filter(|member| member.name().1 != "e2e_response_pk")
                .map(|member| format!("{}:{}", Value::from(member.name().1), member.value()))
                .collect();
            Ok(format!("{{{}}}", rest.join(",")).into_bytes())
        }
    };
    let opened = open(&raw(object(members, blanks).as_bytes()), PATH);
    assert_eq!(opened.map_err(|error| error.code()), expected);
}

fn sealed(body: &[u8], path: &str, other: &str) {
    fixture::coins(6);
    let sound = path.starts_with('/')
        && path.len() <= 255
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    let blob = match profile::seal_request(&codec(true), &instance_key(), path, body) {
        Ok((blob, _)) => blob,
        Err(error) => {
            let expected: &[&str] = if sound {
                &["not-an-object", "reserved-member"]
            } else {
                &["bad-path"]
            };
            assert!(expected.contains(&error.code()));
            return;
        }
    };
    assert!(sound);
    let opened = open(&blob, path).unwrap();
    assert_eq!(members(&opened), members(body));
    if other != path {
        assert_eq!(open(&blob, other), Err(ChutesError::PathMismatch));
    }
}
