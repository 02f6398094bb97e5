//! The building blocks (spec/conformance.md section 2.1).

use sealwire::crypto::Secret;
use sealwire::handshake::transcript;
use sealwire::receipt::{Receipt, ReceiptChecker, ReceiptKind, Usage};
use sealwire::{
    Bundle, BundlePolicy, Context, IdentityKey, IdentityTrust, Padding, Suite, testing,
};
use serde_json::{Map, Value};

use super::Run;
use crate::input::{Input, Stop, code, fault, hex, object, unhex};

type Members = Map<String, Value>;

pub(super) fn bundle(run: Run<'_>) -> Result<Members, Stop> {
    let bytes = run.input.hex("bundle")?;
    let bundle = Bundle::parse(&run.provider.verification, &bytes)?;
    let (policy, now) = if run.input.has("policy") {
        let policy = policy(run.input.object("policy")?)?;
        (policy, run.input.number("now")?)
    } else {
        // Without a policy only section 3.1 counts: accept what the bundle says of itself.
        (own_policy(&bundle), bundle.window().0)
    };
    let verified = bundle.verify(run.provider, &policy, now)?;
    let bundle = verified.bundle();
    if bundle.as_bytes() != bytes {
        return Err(fault("the bundle does not encode to itself"));
    }
    let (not_before, not_after) = bundle.window();
    let signature = bytes.last_chunk::<64>().copied().unwrap_or([0; 64]);
    Ok(object([
        ("suite", bundle.suite().to_u16().into()),
        ("flags", u8::from(bundle.is_single_use()).into()),
        ("single_use", bundle.is_single_use().into()),
        ("not_before", not_before.into()),
        ("not_after", not_after.into()),
        ("label", hex(bundle.label().as_bytes())),
        ("kem_pk", hex(testing::kem_key(bundle))),
        ("identity", hex(&bundle.identity())),
        ("signature", hex(&signature)),
        ("bundle_id", hex(&bundle.id())),
    ]))
}

fn policy(policy: Input<'_>) -> Result<BundlePolicy, Stop> {
    let label = String::from_utf8(policy.hex("label")?).map_err(|_| fault("label is no UTF-8"))?;
    let mut trusted = Vec::new();
    for identity in policy.list("trusted_identities")? {
        let identity = unhex(identity).and_then(|bytes| bytes.try_into().ok());
        trusted.push(identity.ok_or_else(|| fault("an identity is not 32 bytes"))?);
    }
    let suites: Vec<Suite> = policy
        .list("suites")?
        .iter()
        .filter_map(|suite| Suite::from_u16(suite.as_u64()?.try_into().ok()?))
        .collect();
    Ok(BundlePolicy::new(&label, IdentityTrust::pinned(&trusted))
        .suites(&suites)
        .require_single_use(policy.flag("single_use_required", false)))
}

/// Takes the bundle's own suite, label and identity.
pub(super) fn own_policy(bundle: &Bundle) -> BundlePolicy {
    BundlePolicy::new(bundle.label(), IdentityTrust::pinned(&[bundle.identity()]))
}

pub(super) fn context(run: Run<'_>) -> Result<Members, Stop> {
    let bytes = run.input.hex("context")?;
    let context = Context::parse(&bytes)?;
    if context.encode() != bytes {
        return Err(fault("the context does not encode to itself"));
    }
    Ok(object([
        ("label", hex(context.label().as_bytes())),
        ("request_id", hex(&context.request_id())),
        ("attempt", context.attempt().into()),
        ("billing", context.billing().map_or(Value::Null, hex)),
    ]))
}

pub(super) fn schedule(run: Run<'_>) -> Result<Members, Stop> {
    let suite = Suite::from_u16(run.input.small("suite")?).ok_or_else(|| code("bad-suite"))?;
    let hash = run.provider.verification.hash;
    let bundle_hash = hash.sha256(&[&run.input.hex("bundle")?]);
    let th0 = transcript::th0(hash, suite, &bundle_hash, &run.input.hex("context")?);
    let th1 = hash.sha256(&[&th0, &run.input.hex("h1")?]);
    let early = testing::early_secrets(run.provider, &th0, &th1, run.input.array("ss_s")?)?;
    let [_, (_, confirm1), _, (_, derived)] = early;
    let th2 = hash.sha256(&[&th1, &confirm1, &run.input.hex("h2")?]);
    let late = testing::late_secrets(run.provider, derived, &th2, run.input.array("ss_c")?)?;
    let mut members = object([("th0", hex(&th0)), ("th1", hex(&th1)), ("th2", hex(&th2))]);
    for (name, value) in early.into_iter().chain(late) {
        members.insert(name.to_owned(), hex(&value));
    }
    Ok(members)
}

pub(super) fn ratchet(run: Run<'_>) -> Result<Members, Stop> {
    let epochs = testing::epochs(
        run.provider,
        run.input.array("ts")?,
        run.input.small("epochs")?,
    )?;
    let first_iv = epochs
        .first()
        .map(|(_, _, iv)| *iv)
        .ok_or_else(|| fault("no epoch"))?;
    let mut nonces = Vec::new();
    for seq in run.input.list("seqs")? {
        let seq = seq.as_u64().ok_or_else(|| fault("seqs are integers"))?;
        nonces.push(hex(&testing::nonce(first_iv, seq)));
    }
    let list = |pick: fn(&testing::Epoch) -> Value| -> Value {
        epochs.iter().map(pick).collect::<Vec<_>>().into()
    };
    Ok(object([
        ("secrets", list(|(secret, _, _)| hex(secret))),
        ("keys", list(|(_, key, _)| hex(key))),
        ("ivs", list(|(_, _, iv)| hex(iv))),
        ("nonces", nonces.into()),
    ]))
}

pub(super) fn padding(run: Run<'_>) -> Result<Members, Stop> {
    let policy = run.input.get("policy").map(padding_policy);
    let policy = policy.ok_or_else(|| fault("no policy"))??;
    let padded = policy
        .padded_len(run.input.small("length")?)
        .ok_or_else(|| fault("the length does not fit a frame under this policy"))?;
    Ok(object([("padded", padded.into())]))
}

pub(super) fn padding_policy(value: &Value) -> Result<Padding, Stop> {
    match value.as_str() {
        Some("none") => Ok(Padding::None),
        Some("buckets") => Ok(Padding::Buckets),
        Some("padme") => Ok(Padding::Padme),
        Some(_) => Err(fault("unknown padding policy")),
        None => Ok(Padding::fixed(Input(value).small("fixed")?)?),
    }
}

pub(super) fn exporter(run: Run<'_>) -> Result<Members, Stop> {
    let mut out = vec![0; run.input.small("length")?];
    testing::export(
        run.provider,
        run.input.array("exporter")?,
        &run.input.hex("label")?,
        &run.input.hex("context")?,
        &mut out,
    )?;
    Ok(object([("output", hex(&out))]))
}

pub(super) fn receipt(run: Run<'_>) -> Result<Members, Stop> {
    if run.input.has("fields") {
        let receipt = receipt_from(run.input.object("fields")?)?;
        let seed = Secret::new(run.coins.array("identity_seed")?);
        let signed = receipt.sign(&IdentityKey::from_seed(run.provider, &seed));
        return Ok(object([("receipt", hex(&signed))]));
    }
    let expected = run.input.object("expected")?;
    let context = Context::new(
        "label",
        expected.array("request_id")?,
        expected.small("attempt")?,
    )?;
    let mut checker = ReceiptChecker::new(
        run.input.array("identity")?,
        expected.array("th2")?,
        expected.array("bundle_hash")?,
        expected.array("context_hash")?,
        &context,
    );
    if run.input.has("previous") {
        let previous = run.input.object("previous")?;
        let kind = kind(previous.number("kind")?)?;
        testing::set_last_receipt(&mut checker, previous.small("index")?, kind);
    }
    let receipt = checker.check(&run.provider.verification, &run.input.hex("receipt")?)?;
    Ok(receipt_members(&receipt))
}

fn kind(number: u64) -> Result<ReceiptKind, Stop> {
    match number {
        1 => Ok(ReceiptKind::Interim),
        2 => Ok(ReceiptKind::Final),
        _ => Err(fault("unknown kind of receipt")),
    }
}

fn receipt_from(fields: Input<'_>) -> Result<Receipt, Stop> {
    let flags = fields.number("flags")?;
    Ok(Receipt {
        kind: kind(fields.number("kind")?)?,
        request_complete: flags & 1 != 0,
        usage_known: flags & 2 != 0,
        status: fields.small("status")?,
        index: fields.small("index")?,
        usage: Usage {
            tokens_in: fields.number("tokens_in")?,
            tokens_out: fields.number("tokens_out")?,
            tokens_cached: fields.number("tokens_cached")?,
        },
        time: fields.number("time")?,
        request_id: fields.array("request_id")?,
        attempt: fields.small("attempt")?,
        th2: fields.array("th2")?,
        bundle_hash: fields.array("bundle_hash")?,
        context_hash: fields.array("context_hash")?,
    })
}

fn receipt_members(receipt: &Receipt) -> Members {
    let kind = match receipt.kind {
        ReceiptKind::Interim => 1,
        ReceiptKind::Final => 2,
    };
    let flags = u8::from(receipt.request_complete) | (u8::from(receipt.usage_known) << 1);
    object([
        ("kind", kind.into()),
        ("flags", flags.into()),
        ("status", receipt.status.into()),
        ("index", receipt.index.into()),
        ("tokens_in", receipt.usage.tokens_in.into()),
        ("tokens_out", receipt.usage.tokens_out.into()),
        ("tokens_cached", receipt.usage.tokens_cached.into()),
        ("time", receipt.time.into()),
        ("request_id", hex(&receipt.request_id)),
        ("attempt", receipt.attempt.into()),
        ("th2", hex(&receipt.th2)),
        ("bundle_hash", hex(&receipt.bundle_hash)),
        ("context_hash", hex(&receipt.context_hash)),
    ])
}
