//! Tokens of NVIDIA's attestation service: ES384 JWTs against keys that the caller keeps (`spec/evidence.md` section 5.5).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::chain::{self, Certificate};
use crate::encoding::{array_from_hex, from_base64, from_base64url, to_hex};
use crate::evidence::{GpuTokens, MAX_DOCUMENT};
use crate::report::{Reason, Report};
use crate::time::{Window, to_rfc3339};

const ISSUER: &str = "https://nras.attestation.nvidia.com";
/// Most keys of one set.
const MAX_KEYS: usize = 256;
/// What a clock may differ, seconds.
const LEEWAY: u64 = 60;

/// The keys of the attestation service. They are trusted because of where the caller got them: fetch them over https from the service.
#[derive(Clone, Debug)]
pub struct Jwks(BTreeMap<String, Key>);

#[derive(Clone, Debug)]
struct Key {
    point: Vec<u8>,
    window: Window,
}

/// Keys that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// Too long.
    #[error("the key set is longer than {MAX_DOCUMENT} bytes")]
    TooLong,
    /// Not JSON of the expected shape.
    #[error("the key set is not a JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    /// It holds no key that can be used.
    #[error("the key set holds no P-384 key with an id")]
    NoKeys,
    /// Too many.
    #[error("the key set holds more than {MAX_KEYS} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct JwksJson {
    keys: Vec<JwkJson>,
}

#[derive(Deserialize)]
struct JwkJson {
    #[serde(default)]
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    #[serde(default)]
    x5c: Vec<String>,
}

impl Jwks {
    /// Parses a key set. Keys of other kinds are passed over, and so are keys whose certificate is for another key.
    ///
    /// # Errors
    /// [`JwksError`].
    pub fn from_json(json: &[u8]) -> Result<Self, JwksError> {
        if json.len() > MAX_DOCUMENT {
            return Err(JwksError::TooLong);
        }
        let set: JwksJson = serde_json::from_slice(json)?;
        if set.keys.len() > MAX_KEYS {
            return Err(JwksError::TooMany);
        }
        let keys: BTreeMap<String, Key> = set.keys.into_iter().filter_map(Key::parse).collect();
        if keys.is_empty() {
            return Err(JwksError::NoKeys);
        }
        Ok(Self(keys))
    }
}

impl Key {
    fn parse(jwk: JwkJson) -> Option<(String, Self)> {
        if jwk.kty != "EC" || jwk.crv != "P-384" || jwk.kid.is_empty() {
            return None;
        }
        let (x, y) = (from_base64url(&jwk.x)?, from_base64url(&jwk.y)?);
        if x.len() != 48 || y.len() != 48 {
            return None;
        }
        let point = [&[0x04][..], &x, &y].concat();
        let window = match jwk.x5c.first() {
            Some(leaf) => {
                let certificate = Certificate::parse(&from_base64(leaf)?)?;
                if certificate.point() != point {
                    return None;
                }
                certificate.window()
            }
            None => Window::ALWAYS,
        };
        Some((jwk.kid, Self { point, window }))
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

struct Token<'a> {
    header: Header,
    claims: Value,
    signed: &'a [u8],
    signature: Vec<u8>,
}

fn parse(token: &str) -> Option<Token<'_>> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let claims: Value = serde_json::from_slice(&from_base64url(claims)?).ok()?;
    claims.is_object().then_some(Token {
        header: serde_json::from_slice(&from_base64url(header)?).ok()?,
        claims,
        signed: signed.as_bytes(),
        signature: from_base64url(signature)?,
    })
}

/// Checks the token over all GPUs and each GPU's own. Returns until when they are valid.
pub(crate) fn check(
    report: &mut Report,
    tokens: &GpuTokens,
    jwks: Option<&Jwks>,
    nonce: Option<&[u8; 32]>,
    now: u64,
) -> u64 {
    let mut until = u64::MAX;
    let overall = check_one(report, "token", &tokens.overall, jwks, now, &mut until);
    if let Some(claims) = &overall {
        let result = claims
            .get("x-nvidia-overall-att-result")
            .and_then(Value::as_bool);
        report.judge(
            "token result",
            result == Some(true),
            Reason::TokenResult,
            "x-nvidia-overall-att-result true",
            format!(
                "{}{}",
                result.map_or_else(|| "none".to_owned(), |result| result.to_string()),
                errors(tokens)
            ),
        );
        check_nonce(report, "token nonce", claims, nonce);
        check_binding(report, claims, tokens);
    } else {
        report.not_run(
            "token result",
            "x-nvidia-overall-att-result true",
            "the token cannot be parsed",
        );
    }
    if tokens.gpus.is_empty() {
        report.failed(
            "token binding",
            Reason::GpuMissing,
            "a token for each GPU",
            "none",
        );
    }
    for (gpu, token) in &tokens.gpus {
        let name = format!("token {}", gpu.chars().take(16).collect::<String>());
        let Some(claims) = check_one(report, &name, token, jwks, now, &mut until) else {
            continue;
        };
        let result = claims.get("measres").and_then(Value::as_str);
        let debug = claims.get("dbgstat").and_then(Value::as_str);
        let got = error(&claims).unwrap_or_else(|| {
            let short =
                |text: Option<&str>| text.unwrap_or("none").chars().take(32).collect::<String>();
            format!("measres {}, dbgstat {}", short(result), short(debug))
        });
        report.judge(
            format!("{name} result"),
            result == Some("success")
                && debug.is_none_or(|debug| debug == "disabled")
                && error(&claims).is_none(),
            Reason::TokenResult,
            "measres success, dbgstat disabled",
            got,
        );
        // A GPU's token may leave the nonce to the token over all, which holds its hash.
        if claims.get("eat_nonce").is_some() {
            check_nonce(report, &format!("{name} nonce"), &claims, nonce);
        }
    }
    until
}

fn check_one(
    report: &mut Report,
    name: &str,
    token: &str,
    jwks: Option<&Jwks>,
    now: u64,
    until: &mut u64,
) -> Option<Value> {
    let signature = format!("{name} signature");
    let expected = "ES384 by a key of the attestation service";
    let Some(parsed) = parse(token) else {
        report.failed(signature, Reason::TokenFormat, "a JWT", "something else");
        return None;
    };
    if parsed.header.alg != "ES384" {
        let alg: String = parsed.header.alg.chars().take(16).collect();
        report.failed(
            signature,
            Reason::TokenFormat,
            "alg ES384",
            format!("alg {alg}"),
        );
        return Some(parsed.claims);
    }
    let key = jwks.and_then(|jwks| jwks.0.get(&parsed.header.kid));
    match key {
        None => {
            let kid: String = parsed.header.kid.chars().take(80).collect();
            let got = if jwks.is_some() {
                format!("unknown key {kid}; fetch the service's keys again")
            } else {
                "no keys were given to this verifier".to_owned()
            };
            report.failed(signature, Reason::TokenKey, expected, got);
        }
        Some(key) if !key.window.contains(now) => report.failed(
            signature,
            Reason::TokenKey,
            expected,
            format!(
                "a key that was valid from {} to {}",
                to_rfc3339(key.window.from),
                to_rfc3339(key.window.until)
            ),
        ),
        Some(key) => {
            let ok = chain::verify_p384(&key.point, parsed.signed, &parsed.signature);
            let got = if ok {
                "signature valid"
            } else {
                "another signature: the token was changed"
            };
            report.judge(signature, ok, Reason::TokenSignature, expected, got);
        }
    }
    let issuer = parsed.claims.get("iss").and_then(Value::as_str);
    if issuer != Some(ISSUER) {
        let got: String = issuer.unwrap_or("none").chars().take(80).collect();
        report.failed(format!("{name} issuer"), Reason::TokenIssuer, ISSUER, got);
    }
    let time = |claim: &str| parsed.claims.get(claim).and_then(Value::as_u64);
    let (from, end) = (time("nbf").unwrap_or(0), time("exp"));
    let name = format!("{name} time");
    let expected = format!("valid at {}", to_rfc3339(now));
    match end {
        None => report.failed(name, Reason::TokenFormat, expected, "no `exp`"),
        Some(end) if now > end => report.failed(
            name,
            Reason::TokenExpired,
            expected,
            format!("until {}", to_rfc3339(end)),
        ),
        Some(_) if now.saturating_add(LEEWAY) < from => {
            report.failed(
                name,
                Reason::TokenNotYetValid,
                expected,
                format!("from {}", to_rfc3339(from)),
            );
        }
        Some(end) => {
            *until = (*until).min(end);
            report.passed(name, expected, format!("until {}", to_rfc3339(end)));
        }
    }
    Some(parsed.claims)
}

fn check_nonce(report: &mut Report, name: &str, claims: &Value, nonce: Option<&[u8; 32]>) {
    let got = claims
        .get("eat_nonce")
        .and_then(Value::as_str)
        .unwrap_or("none");
    let name = name.to_owned();
    match nonce {
        Some(nonce) => report.judge(
            name,
            array_from_hex(got) == Some(*nonce),
            Reason::TokenNonce,
            to_hex(nonce),
            got.chars().take(64).collect::<String>(),
        ),
        None => report.not_run(name, "the nonce that the quote binds", "there is no quote"),
    }
}

/// The token over all holds the hash of each GPU's token.
fn check_binding(report: &mut Report, claims: &Value, tokens: &GpuTokens) {
    let submods = claims.get("submods").and_then(Value::as_object);
    let listed = submods.map_or(0, serde_json::Map::len);
    let bound = tokens
        .gpus
        .iter()
        .filter(|(gpu, token)| {
            let digest = submods
                .and_then(|submods| submods.get(gpu))
                .and_then(|entry| entry.pointer("/1/1"))
                .and_then(Value::as_str);
            digest.is_some_and(|digest| digest == to_hex(&Sha256::digest(token.as_bytes())))
        })
        .count();
    report.judge(
        "token binding",
        bound == listed && bound == tokens.gpus.len(),
        Reason::TokenBinding,
        format!("the hashes of all {} GPU tokens", tokens.gpus.len()),
        format!("{bound} of {listed} hashes fit"),
    );
}

fn error(claims: &Value) -> Option<String> {
    let message = claims
        .pointer("/x-nvidia-error-details/message")?
        .as_str()?;
    Some(message.chars().take(64).collect())
}

/// The distinct errors that the GPUs' tokens name.
fn errors(tokens: &GpuTokens) -> String {
    let mut errors: Vec<String> = tokens
        .gpus
        .iter()
        .filter_map(|(_, token)| error(&parse(token)?.claims))
        .collect();
    errors.sort();
    errors.dedup();
    errors.iter().map(|error| format!(": {error}")).collect()
}
