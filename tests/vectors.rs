//! The frozen cases under `vectors/v1`, which another implementation made.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::*;
use sealwire::client::{self, ClientConfig, EarlyData, ResponseProgress};
use sealwire::crypto::Secret;
use sealwire::handshake::{ParsedRequest, RequestProgress, transcript};
use sealwire::receipt::{Receipt, ReceiptChecker, ReceiptKind, Usage};
use sealwire::server::{self, KeyRing, KeyRingConfig, Now};
use sealwire::testing::{self, COINS_PROVIDER, set_coins};
use sealwire::{
    Bundle, BundlePolicy, Context, Error, Half, IdentityKey, IdentityTrust, Limits, Padding,
    Sealer, StreamErrorCode, Suite, VerifiedBundle,
};
use serde_json::Value;

const FILES: [&str; 9] = [
    "bundle",
    "context",
    "exporter",
    "frames",
    "handshake",
    "padding",
    "receipt",
    "seal",
    "stream",
];

#[test]
fn every_case_of_the_vectors_holds() {
    let mut failures = Vec::new();
    let mut skipped = 0;
    let mut counts = BTreeMap::<&str, (usize, usize)>::new();
    for file in FILES {
        for case in cases(file) {
            let negative = case["expect"].get("error").is_some();
            if case["params"].get("busy").is_some() {
                // Capacity is the program's, not the core's.
                skipped += 1;
                continue;
            }
            let count = counts.entry(file).or_default();
            count.0 += 1;
            count.1 += usize::from(negative);
            if let Err(fault) = run(&case) {
                failures.push(format!("{}: {fault}", text(&case["id"])));
            }
        }
    }
    for (file, (cases, negatives)) in &counts {
        println!("{file}: {cases} cases, {negatives} negative");
    }
    println!("skipped for capability: {skipped}");
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(counts.values().map(|count| count.0).sum::<usize>() > 300);
}

#[test]
fn identifiers_are_unique_and_files_are_drafts_of_version_1() {
    let mut seen = std::collections::BTreeSet::new();
    for file in FILES {
        let document = document(file);
        assert_eq!(document["version"], 1);
        assert_eq!(document["status"], "draft");
        for case in cases(file) {
            assert!(seen.insert(text(&case["id"])), "{}", case["id"]);
        }
    }
}

fn document(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("vectors/v1/{file}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn cases(file: &str) -> Vec<Value> {
    document(file)["cases"].as_array().unwrap().clone()
}

type Outcome = Result<(), String>;

fn run(case: &Value) -> Outcome {
    match text(&case["kind"]).as_str() {
        "bundle" => bundle(case),
        "context" => context_case(case),
        "handshake" => handshake_case(case),
        "open" => open(case),
        "seal" => seal(case),
        "padding" => padding(case),
        "receipt" => receipt(case),
        "exporter" => exporter(case),
        "stream" => stream(case),
        other => Err(format!("unknown kind {other}")),
    }
}

fn bundle(case: &Value) -> Outcome {
    let input = &case["in"];
    let bytes = hex(&input["bundle"]);
    let result = Bundle::parse(&COINS_PROVIDER.verification, &bytes).and_then(|bundle| {
        let (policy, now) = match input.get("policy") {
            Some(policy) => (bundle_policy(policy), input["now"].as_u64().unwrap()),
            // Without a policy only section 3.1 counts: accept what the bundle says of itself.
            None => (own_policy(&bundle), bundle.window().0),
        };
        bundle.verify(&COINS_PROVIDER, &policy, now)
    });
    compare(case, result, |expect, verified| {
        let bundle = verified.bundle();
        same(
            "suite",
            expect["suite"].as_u64(),
            Some(bundle.suite().to_u16().into()),
        )?;
        same(
            "single_use",
            expect["single_use"].as_bool(),
            Some(bundle.is_single_use()),
        )?;
        let window = (
            expect["not_before"].as_u64().unwrap(),
            expect["not_after"].as_u64().unwrap(),
        );
        same("window", window, bundle.window())?;
        same(
            "label",
            hex(&expect["label"]),
            bundle.label().as_bytes().to_vec(),
        )?;
        same(
            "identity",
            hex(&expect["identity"]),
            bundle.identity().to_vec(),
        )?;
        same("bundle_id", hex(&expect["bundle_id"]), bundle.id().to_vec())?;
        same("encoding", bytes.clone(), bundle.as_bytes().to_vec())
    })
}

fn bundle_policy(policy: &Value) -> BundlePolicy {
    let label = String::from_utf8(hex(&policy["label"])).unwrap();
    let trusted: Vec<[u8; 32]> = list(&policy["trusted_identities"])
        .iter()
        .map(array)
        .collect();
    let suites: Vec<Suite> = list(&policy["suites"])
        .iter()
        .filter_map(|suite| Suite::from_u16(suite.as_u64()?.try_into().ok()?))
        .collect();
    BundlePolicy::new(&label, IdentityTrust::pinned(&trusted))
        .suites(&suites)
        .require_single_use(policy["single_use_required"].as_bool().unwrap())
}

fn own_policy(bundle: &Bundle) -> BundlePolicy {
    BundlePolicy::new(bundle.label(), IdentityTrust::pinned(&[bundle.identity()]))
}

fn context_case(case: &Value) -> Outcome {
    let bytes = hex(&case["in"]["context"]);
    compare(case, Context::parse(&bytes), |expect, context| {
        same(
            "label",
            hex(&expect["label"]),
            context.label().as_bytes().to_vec(),
        )?;
        same(
            "request_id",
            hex(&expect["request_id"]),
            context.request_id().to_vec(),
        )?;
        same(
            "attempt",
            expect["attempt"].as_u64(),
            Some(context.attempt().into()),
        )?;
        let billing = (!expect["billing"].is_null()).then(|| hex(&expect["billing"]));
        same("billing", billing.as_deref(), context.billing())?;
        same("encoding", bytes.clone(), context.encode())
    })
}

/// The instance of a case: a ring that holds just the case's bundle.
fn instance(case: &Value) -> Result<(KeyRing, Bundle), String> {
    let bytes = hex(&case["in"]["bundle"]);
    let wanted = Bundle::parse(&COINS_PROVIDER.verification, &bytes).map_err(|e| e.to_string())?;
    let identity = IdentityKey::from_seed(
        &COINS_PROVIDER,
        &Secret::new(array(&case["coins"]["identity_seed"])),
    );
    let (not_before, not_after) = wanted.window();
    let mut config = KeyRingConfig::default();
    config.lifetime = not_after - not_before;
    config.rotation = config.lifetime;
    if let Some(capacity) = case["params"]["filter_capacity"].as_u64() {
        config.filter_capacity = usize::try_from(capacity).unwrap();
    }
    let mut ring = KeyRing::new(&COINS_PROVIDER, identity, wanted.label(), config)
        .map_err(|e| e.to_string())?;
    set_coins(&hex(&case["coins"]["kem_seed"]));
    let now = Now {
        unix: not_before,
        monotonic: 0,
    };
    let made = if wanted.is_single_use() {
        ring.single_use_bundle(wanted.suite(), now)
    } else {
        ring.bundle(wanted.suite(), now)
    };
    let made = made.map_err(|e| e.to_string())?;
    same("bundle", bytes, made.as_bytes().to_vec())?;
    Ok((ring, made))
}

fn accept_at(
    ring: &mut KeyRing,
    h1: &[u8],
    context: &[u8],
    coins: &[u8],
) -> Result<(server::Accepted, Vec<u8>), Error> {
    let RequestProgress::Done { request, consumed } = ParsedRequest::read(h1)? else {
        return Err(Error::Truncated);
    };
    assert_eq!(consumed, h1.len());
    set_coins(coins);
    let mut h2 = Vec::new();
    let now = Now {
        unix: 0,
        monotonic: 0,
    };
    let accepted = server::accept(ring, request, context, &Limits::default(), now, &mut h2)?;
    Ok((accepted, h2))
}

fn verified(bundle: Bundle) -> VerifiedBundle {
    let policy = own_policy(&bundle);
    let now = bundle.window().0;
    bundle.verify(&COINS_PROVIDER, &policy, now).unwrap()
}

fn start(
    case: &Value,
    bundle: Bundle,
    config: &ClientConfig,
) -> Result<(Sealer, client::AwaitResponse, Vec<u8>), Error> {
    let context = Context::parse(&hex(&case["in"]["context"]))?;
    let coins = [
        hex(&case["coins"]["client_seed"]),
        hex(&case["coins"]["encaps_s"]),
    ]
    .concat();
    set_coins(&coins);
    let mut h1 = Vec::new();
    let (sealer, wait) = client::start(
        &COINS_PROVIDER,
        config,
        &verified(bundle),
        &context,
        &mut h1,
    )?;
    Ok((sealer, wait, h1))
}

fn read(wait: client::AwaitResponse, h2: &[u8]) -> Result<client::Connected, Error> {
    match wait.read(h2)? {
        ResponseProgress::Done {
            consumed,
            connected,
        } => {
            assert_eq!(consumed, h2.len());
            Ok(connected)
        }
        _ => Err(Error::Truncated),
    }
}

fn handshake_case(case: &Value) -> Outcome {
    let input = &case["in"];
    let context = hex(&input["context"]);
    let encaps_c = hex(&case["coins"]["encaps_c"]);
    match input.get("role").and_then(Value::as_str) {
        None => {
            let (mut ring, bundle) = instance(case)?;
            let (_, wait, h1) =
                start(case, bundle.clone(), &ClientConfig::default()).map_err(|e| e.to_string())?;
            same("h1", hex(&case["expect"]["h1"]), h1.clone())?;
            let (accepted, h2) =
                accept_at(&mut ring, &h1, &context, &encaps_c).map_err(|e| e.to_string())?;
            same("h2", hex(&case["expect"]["h2"]), h2.clone())?;
            let connected = read(wait, &h2).map_err(|e| e.to_string())?;
            same("th2", connected.session.th2(), accepted.session.th2())?;
            intermediates(case, &bundle, &context, &h1, &h2)
        }
        Some("instance") => {
            let (mut ring, _) = instance(case)?;
            for seen in input.get("seen").map(list).unwrap_or_default() {
                accept_at(&mut ring, &hex(&seen), &context, &encaps_c)
                    .map_err(|e| format!("seen: {e}"))?;
            }
            let result = accept_at(&mut ring, &hex(&input["h1"]), &context, &encaps_c);
            compare(case, result, |_, _| Ok(()))
        }
        Some(_) => {
            let bundle = Bundle::parse(&COINS_PROVIDER.verification, &hex(&input["bundle"]))
                .map_err(|e| e.to_string())?;
            let result = start(case, bundle, &ClientConfig::default())
                .and_then(|(_, wait, _)| read(wait, &hex(&input["h2"])));
            compare(case, result, |_, _| Ok(()))
        }
    }
}

fn intermediates(case: &Value, bundle: &Bundle, context: &[u8], h1: &[u8], h2: &[u8]) -> Outcome {
    let hash = COINS_PROVIDER.verification.hash;
    let mid = &case["mid"];
    let th0 = transcript::th0(hash, bundle.suite(), &bundle.hash(), context);
    let th1 = transcript::th1(hash, &th0, h1);
    let th2 = transcript::th2(hash, &th1, h1, h2);
    for (name, value) in [("th0", th0), ("th1", th1), ("th2", th2)] {
        same(name, hex(&mid[name]), value.to_vec())?;
    }
    let shared = [array(&mid["ss_s"]), array(&mid["ss_c"])];
    let secrets = testing::key_schedule(&COINS_PROVIDER, [&th0, &th1, &th2], shared).unwrap();
    for (name, value) in secrets {
        same(name, hex(&mid[name]), value.to_vec())?;
    }
    Ok(())
}

fn limits(case: &Value) -> Limits {
    let param = |name: &str, default: u64| case["params"][name].as_u64().unwrap_or(default);
    Limits::default()
        .with_max_bytes(param("byte_budget", u64::MAX))
        .with_max_pad_bytes(param("pad_budget", 64 << 20))
        .with_schedule(
            param("epoch_frames", 65_536).try_into().unwrap(),
            param("max_frames", 1 << 48),
            param("max_empty", 32).try_into().unwrap(),
        )
}

fn half(input: &Value) -> Half {
    if input["half"] == "c2s" {
        Half::C2s
    } else {
        Half::S2c
    }
}

fn open(case: &Value) -> Outcome {
    let input = &case["in"];
    let wire = hex(&input["wire"]);
    let late = input.get("ts_late").map(array);
    let chunkings = [
        input.get("chunks").map(|chunks| {
            list(chunks)
                .iter()
                .map(|n| usize::try_from(n.as_u64().unwrap()).unwrap())
                .collect()
        }),
        Some(vec![1; wire.len()]),
        Some(Vec::new()),
    ];
    for chunks in chunkings.into_iter().flatten() {
        let mut opener = testing::opener(
            &COINS_PROVIDER,
            &limits(case),
            half(input),
            array(&input["ts"]),
            late,
        )
        .unwrap();
        let got = open_all(&mut opener, &wire, chunks);
        check_released(case, &got)?;
        if let Some(error) = got.error {
            // Sticky, whatever comes.
            let again = opener.open(&mut [0; 64]).map(|_| ()).unwrap_err();
            same("sticky error", error, again)?;
        }
    }
    Ok(())
}

fn check_released(case: &Value, got: &Released) -> Outcome {
    let expect = &case["expect"];
    same(
        "error",
        expect.get("error").and_then(Value::as_str),
        got.error.map(|error| error.code()),
    )?;
    let (mut data, mut public, mut end) = (Vec::new(), Vec::new(), None);
    for event in list(&expect["events"]) {
        match text(&event["type"]).as_str() {
            "data" => data.extend(hex(&event["bytes"])),
            "public" => public.push(hex(&event["bytes"])),
            "final" => {
                data.extend(hex(&event["bytes"]));
                end = Some(End::Final);
            }
            _ => {
                let code =
                    StreamErrorCode::from_u16(event["code"].as_u64().unwrap().try_into().unwrap());
                end = Some(End::Error(code, text(&event["message"])));
            }
        }
    }
    same("data", &data, &got.data)?;
    same("public", &public, &got.public)?;
    same("end", &end, &got.end)?;
    same(
        "released",
        expect["released"].as_u64(),
        u64::try_from(got.data.len()).ok(),
    )?;
    let digest = COINS_PROVIDER.verification.hash.sha256(&[&got.data]);
    same(
        "released_sha256",
        hex(&expect["released_sha256"]),
        digest.to_vec(),
    )
}

fn padding_policy(value: &Value) -> Padding {
    match value.as_str() {
        Some("none") => Padding::None,
        Some("buckets") => Padding::Buckets,
        Some("padme") => Padding::Padme,
        _ => Padding::fixed(value["fixed"].as_u64().unwrap().try_into().unwrap()).unwrap(),
    }
}

/// Runs sender operations. The sealer is gone after the last one if that ended the half.
fn run_ops(
    sealer: Sealer,
    ops: &[Value],
    late: Option<sealwire::SwitchKey>,
    wire: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut sealer = Some(sealer);
    let mut late = late;
    for op in ops {
        let mut live = sealer
            .take()
            .expect("an operation after the end of the half");
        match text(&op["op"]).as_str() {
            "data" => {
                let content = hex(&op["content"]);
                if content.is_empty() {
                    let mut frame = vec![0; live.sealed_len(0)?];
                    live.seal(&[], &mut frame)?;
                    wire.extend(frame);
                } else {
                    live.seal_vec(&content, wire)?;
                }
            }
            "final" => {
                live.finish(&hex(&op["content"]), wire)?;
                continue;
            }
            "error" => {
                let code =
                    StreamErrorCode::from_u16(op["code"].as_u64().unwrap().try_into().unwrap());
                live.fail(code, &text(&op["message"]), wire)?;
                continue;
            }
            "public" => live.public(&hex(&op["bytes"]), wire)?,
            "key_update" => live.key_update(wire)?,
            "switch" => live.switch(late.take().expect("a second switch"), wire)?,
            "pad" => live.pad(op["zeros"].as_u64().unwrap().try_into().unwrap(), wire)?,
            other => panic!("unknown op {other}"),
        }
        sealer = Some(live);
    }
    Ok(())
}

fn seal(case: &Value) -> Outcome {
    let input = &case["in"];
    let mut sealer = testing::sealer(
        &COINS_PROVIDER,
        &limits(case),
        half(input),
        array(&input["ts"]),
        true,
    )
    .unwrap();
    sealer.set_padding(padding_policy(&input["padding"]));
    let late = input
        .get("ts_late")
        .map(|late| testing::switch_key(array(late)));
    let mut wire = Vec::new();
    let result = run_ops(sealer, &list(&input["ops"]), late, &mut wire);
    same("wire", hex(&case["expect"]["wire"]), wire)?;
    compare(case, result, |_, ()| Ok(()))
}

fn padding(case: &Value) -> Outcome {
    let length = usize::try_from(case["in"]["length"].as_u64().unwrap()).unwrap();
    let padded = padding_policy(&case["in"]["policy"]).padded_len(length);
    same(
        "padded",
        case["expect"]["padded"].as_u64(),
        padded.and_then(|n| u64::try_from(n).ok()),
    )
}

fn receipt_fields(value: &Value) -> Receipt {
    let number = |name: &str| value[name].as_u64().unwrap();
    Receipt {
        kind: if number("kind") == 1 {
            ReceiptKind::Interim
        } else {
            ReceiptKind::Final
        },
        request_complete: number("flags") & 1 != 0,
        usage_known: number("flags") & 2 != 0,
        status: number("status").try_into().unwrap(),
        index: number("index").try_into().unwrap(),
        usage: Usage {
            tokens_in: number("tokens_in"),
            tokens_out: number("tokens_out"),
            tokens_cached: number("tokens_cached"),
        },
        time: number("time"),
        request_id: array(&value["request_id"]),
        attempt: number("attempt").try_into().unwrap(),
        th2: array(&value["th2"]),
        bundle_hash: array(&value["bundle_hash"]),
        context_hash: array(&value["context_hash"]),
    }
}

fn receipt(case: &Value) -> Outcome {
    let input = &case["in"];
    let identity = IdentityKey::from_seed(
        &COINS_PROVIDER,
        &Secret::new(array(&case["coins"]["identity_seed"])),
    );
    if let Some(fields) = input.get("fields") {
        return same(
            "receipt",
            hex(&case["expect"]["receipt"]),
            receipt_fields(fields).sign(&identity).to_vec(),
        );
    }
    let expected = &input["expected"];
    let context = Context::new(
        "label",
        array(&expected["request_id"]),
        expected["attempt"].as_u64().unwrap().try_into().unwrap(),
    )
    .unwrap();
    let mut checker = ReceiptChecker::new(
        array(&input["identity"]),
        array(&expected["th2"]),
        array(&expected["bundle_hash"]),
        array(&expected["context_hash"]),
        &context,
    );
    // Brings the checker to where `previous` says.
    if let Some(previous) = input.get("previous") {
        let last = previous["index"].as_u64().unwrap();
        for index in 0..=last {
            let is_final = index == last && previous["kind"] == 2;
            let before = Receipt {
                kind: if is_final {
                    ReceiptKind::Final
                } else {
                    ReceiptKind::Interim
                },
                request_complete: false,
                usage_known: false,
                status: 0,
                index: index.try_into().unwrap(),
                usage: Usage::default(),
                time: 0,
                request_id: array(&expected["request_id"]),
                attempt: context.attempt(),
                th2: array(&expected["th2"]),
                bundle_hash: array(&expected["bundle_hash"]),
                context_hash: array(&expected["context_hash"]),
            };
            checker
                .check(&COINS_PROVIDER.verification, &before.sign(&identity))
                .unwrap();
        }
    }
    let result = checker.check(&COINS_PROVIDER.verification, &hex(&input["receipt"]));
    compare(case, result, |expect, receipt| {
        same("fields", receipt_fields(expect), *receipt)
    })
}

fn exporter(case: &Value) -> Outcome {
    let input = &case["in"];
    let mut out = vec![0; input["length"].as_u64().unwrap().try_into().unwrap()];
    testing::export(
        &COINS_PROVIDER,
        array(&input["exporter"]),
        &hex(&input["label"]),
        &hex(&input["context"]),
        &mut out,
    )
    .unwrap();
    same("output", hex(&case["expect"]["output"]), out)
}

fn stream(case: &Value) -> Outcome {
    let (input, expect) = (&case["in"], &case["expect"]);
    let limits = limits(case);
    let early_data = if input["early"] == "never" {
        EarlyData::Never
    } else {
        EarlyData::Allow
    };
    let config = ClientConfig { early_data, limits };
    let (mut ring, bundle) = instance(case)?;
    let (mut sealer, wait, h1) = start(case, bundle, &config).map_err(|e| e.to_string())?;
    same("h1", hex(&expect["h1"]), h1.clone())?;
    let request = parse_h1(&h1).unwrap();
    set_coins(&hex(&case["coins"]["encaps_c"]));
    let mut h2 = Vec::new();
    let now = Now {
        unix: 0,
        monotonic: 0,
    };
    let mut accepted = server::accept(
        &mut ring,
        request,
        &hex(&input["context"]),
        &limits,
        now,
        &mut h2,
    )
    .map_err(|e| e.to_string())?;
    same("h2", hex(&expect["h2"]), h2.clone())?;
    let mut connected = read(wait, &h2).map_err(|e| e.to_string())?;

    let mut c2s = Vec::new();
    if let Some(padding) = input.get("padding_c2s") {
        sealer.set_padding(padding_policy(padding));
    } else {
        sealer.set_padding(Padding::None);
    }
    let ops = list(&input["ops_c2s"]);
    run_ops(sealer, &ops, Some(connected.switch_key), &mut c2s).map_err(|e| e.to_string())?;
    same("c2s", hex(&expect["c2s"]), c2s.clone())?;
    let mut s2c = Vec::new();
    accepted.sealer.set_padding(
        input
            .get("padding_s2c")
            .map_or(Padding::None, padding_policy),
    );
    run_ops(accepted.sealer, &list(&input["ops_s2c"]), None, &mut s2c)
        .map_err(|e| e.to_string())?;
    same("s2c", hex(&expect["s2c"]), s2c.clone())?;

    for (opener, wire, ops) in [
        (&mut accepted.opener, &c2s, ops),
        (&mut connected.opener, &s2c, list(&input["ops_s2c"])),
    ] {
        let got = open_all(opener, wire, []);
        same("error", None, got.error)?;
        let content: Vec<u8> = ops
            .iter()
            .filter(|op| op.get("content").is_some())
            .flat_map(|op| hex(&op["content"]))
            .collect();
        same("content", content, got.data)?;
    }
    let ask = &input["exporter"];
    let mut out = vec![0; ask["length"].as_u64().unwrap().try_into().unwrap()];
    for session in [&connected.session, &accepted.session] {
        session
            .export(&hex(&ask["label"]), &hex(&ask["context"]), &mut out)
            .unwrap();
        same("exporter", hex(&expect["exporter"]), out.clone())?;
    }
    Ok(())
}

/// Compares a result with `expect`: the error's code, or the fields.
fn compare<T>(
    case: &Value,
    result: Result<T, Error>,
    fields: impl FnOnce(&Value, &T) -> Outcome,
) -> Outcome {
    let expect = &case["expect"];
    match (result, expect.get("error").and_then(Value::as_str)) {
        (Ok(value), None) => fields(expect, &value),
        (Err(error), Some(code)) => same("error", code, error.code()),
        (Ok(_), Some(code)) => Err(format!("passed, expected {code}")),
        (Err(error), None) => Err(format!("failed with {}", error.code())),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, got: T) -> Outcome {
    if expected == got {
        return Ok(());
    }
    let cut = |value: T| format!("{value:?}").chars().take(200).collect::<String>();
    Err(format!(
        "{what}: expected {}, got {}",
        cut(expected),
        cut(got)
    ))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap().clone()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap_or_else(|| panic!("not hex: {value}"));
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}
