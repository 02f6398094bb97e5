//! Intel TDX quotes (`spec/evidence.md` section 5.2).
//!
//! `dcap-qvl` decides. It stops at the first fault, so when it refuses, the parts are looked at one by one to name what is wrong; these
//! looks can only add failures.

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::configs::RustCryptoConfig;
use dcap_qvl::intel::{PckExtension, extract_cert_chain, parse_pck_extension};
use dcap_qvl::quote::{AuthDataV3, Quote, TDReport10};
use dcap_qvl::tcb_info::{TcbInfo, TcbStatus};
use dcap_qvl::verify::QuoteVerifier;
use p256::ecdsa::signature::Verifier as _;
use serde_json::Value;
use sha2::{Digest, Sha256};
use x509_cert::crl::CertificateList;
use x509_cert::der::{Decode, Encode};

use crate::chain::{self, Certificate, Links};
use crate::collateral::Collateral;
use crate::encoding::to_hex;
use crate::evidence::{Evidence, MAX_QUOTE};
use crate::policy::Policy;
use crate::report::{Measurements, Reason, Report, TcbView};
use crate::time::to_rfc3339;
use crate::verifier::Quoted;

const SIGNATURE: &str = "quote signature";
const KEY: &str = "quote key";
const CERTIFICATES: &str = "quote certificates";
const COLLATERAL: &str = "collateral";
const PLATFORM: &str = "collateral platform";
const TIME: &str = "collateral time";
const SIGNED: &str = "collateral signature";
const TCB: &str = "tcb";

const SIGNATURE_WANTED: &str = "a signature by the quote's key";
const KEY_WANTED: &str = "Intel's quoting enclave vouches for the quote's key";
const CERTIFICATES_WANTED: &str = "certificates up to the Intel root, not revoked";
const SIGNED_WANTED: &str = "documents that Intel signed";

/// A quote and the parts of it that are looked at.
struct Parts<'a> {
    raw: &'a [u8],
    quote: Quote,
    td: TDReport10,
    auth: AuthDataV3,
    certificates: Vec<Certificate>,
    platform: Option<PckExtension>,
}

fn parse(raw: &[u8]) -> Option<Parts<'_>> {
    if raw.len() > MAX_QUOTE {
        return None;
    }
    let quote = Quote::parse(raw).ok()?;
    let td = *quote.report.as_td10()?;
    let auth = quote.auth_data.clone().into_v3();
    let chain = extract_cert_chain(&quote).unwrap_or_default();
    if chain.len() > chain::MAX_CHAIN {
        return None;
    }
    let certificates = chain
        .iter()
        .map_while(|der| Certificate::parse(der))
        .collect();
    let platform = chain
        .first()
        .and_then(|leaf| parse_pck_extension(leaf).ok());
    Some(Parts {
        raw,
        quote,
        td,
        auth,
        certificates,
        platform,
    })
}

pub(crate) fn check(
    report: &mut Report,
    policy: &Policy,
    evidence: &Evidence,
    collateral: Option<&Collateral>,
    now: u64,
) -> Option<Quoted> {
    let Some(parts) = parse(&evidence.quote) else {
        report.failed(
            "quote",
            Reason::QuoteFormat,
            "a TDX quote of version 4 or 5",
            format!("{} bytes of something else", evidence.quote.len()),
        );
        for name in [SIGNATURE, KEY, CERTIFICATES, SIGNED, TCB, "debug"] {
            report.not_run(name, "", "there is no quote");
        }
        return None;
    };
    report.passed(
        "quote",
        "a TDX quote of version 4 or 5",
        format!("version {}", parts.quote.header.version),
    );
    let stapled;
    let collateral = match (collateral, &evidence.collateral) {
        (Some(collateral), _) => Ok(collateral),
        (None, Some(json)) => match Collateral::from_json(json) {
            Ok(parsed) => {
                stapled = parsed;
                Ok(&stapled)
            }
            Err(error) => Err((Reason::CollateralFormat, error.to_string())),
        },
        (None, None) => Err((
            Reason::CollateralMissing,
            "none, and none is stapled".to_owned(),
        )),
    };
    let root = policy.roots.intel();
    match collateral {
        Ok(collateral) => check_with(report, policy, &parts, collateral, root, now),
        Err((reason, got)) => {
            diagnose_quote(report, &parts, root, now);
            report.failed(
                COLLATERAL,
                reason,
                "Intel's collateral for this platform",
                got,
            );
            for name in [PLATFORM, TIME, SIGNED, TCB] {
                report.not_run(name, "", "there is no collateral");
            }
        }
    }
    let attributes = parts.td.td_attributes;
    // Bit 0 is DEBUG; bits 4 to 6 let the host profile the VM.
    let debug = attributes.first().is_some_and(|byte| byte & 0x71 != 0);
    let got = format!(
        "{}, td_attributes {}",
        if debug {
            "debug or profiling on"
        } else {
            "off"
        },
        to_hex(&attributes)
    );
    if debug && policy.allow_debug {
        report.noted("debug", "anything: the policy says allow_debug", got);
    } else {
        report.judge("debug", !debug, Reason::DebugEnabled, "off", got);
    }
    Some(quoted(&parts.td))
}

fn quoted(td: &TDReport10) -> Quoted {
    Quoted {
        report_data: td.report_data,
        measurements: Measurements::Tdx {
            mrseam: td.mr_seam,
            mrtd: td.mr_td,
            mrconfigid: td.mr_config_id,
            rtmr: [td.rt_mr0, td.rt_mr1, td.rt_mr2, td.rt_mr3],
            td_attributes: td.td_attributes,
            xfam: td.xfam,
        },
    }
}

/// What a quote says, without any judgement.
pub(crate) fn view(raw: &[u8]) -> Option<Quoted> {
    parse(raw).map(|parts| quoted(&parts.td))
}

fn check_with(
    report: &mut Report,
    policy: &Policy,
    parts: &Parts<'_>,
    collateral: &Collateral,
    root: &[u8],
    now: u64,
) {
    report.collateral_valid_until = Some(collateral.valid_until());
    let fmspc = parts.platform.as_ref().map(|platform| platform.fmspc);
    let window = collateral.window;
    let in_time = window.contains(now);
    // Outside of its time collateral proves nothing, and the check of time says so; the other checks then run as of its last moment,
    // so that they can still be seen.
    let at = if in_time {
        now
    } else {
        now.clamp(window.from.min(window.until), window.until)
    };
    let verified = QuoteVerifier::<RustCryptoConfig>::new_with_config(root.to_vec())
        .allow_debug(true)
        .verify(parts.raw, &documents(collateral), at);
    let complaints = report.checks.len();
    let mut tcb = None;
    match &verified {
        Ok(verified) => {
            report.passed(SIGNATURE, SIGNATURE_WANTED, "a valid one");
            report.passed(KEY, KEY_WANTED, "it does");
            report.passed(
                CERTIFICATES,
                CERTIFICATES_WANTED,
                format!("{} certificates", parts.certificates.len()),
            );
            tcb = Some((verified.status.clone(), verified.advisory_ids.clone()));
        }
        Err(_) => {
            diagnose_quote(report, parts, root, now);
            diagnose_revocation(report, parts, collateral);
        }
    }
    report.judge(
        PLATFORM,
        fmspc == Some(collateral.fmspc),
        Reason::CollateralOtherPlatform,
        format!(
            "collateral for {}",
            fmspc.map_or_else(
                || "a platform that the quote names".to_owned(),
                |fmspc| to_hex(&fmspc)
            )
        ),
        if fmspc == Some(collateral.fmspc) {
            to_hex(&collateral.fmspc)
        } else {
            format!(
                "collateral is for another platform, {}",
                to_hex(&collateral.fmspc)
            )
        },
    );
    report.judge(
        TIME,
        in_time,
        if now < window.from {
            Reason::CollateralNotYetValid
        } else {
            Reason::CollateralExpired
        },
        format!("valid at {}", to_rfc3339(now)),
        format!(
            "valid from {} to {}",
            to_rfc3339(window.from),
            to_rfc3339(window.until)
        ),
    );
    match &verified {
        Ok(_) => report.passed(SIGNED, SIGNED_WANTED, "signed"),
        Err(_) => diagnose_collateral(report, parts, collateral, root, at),
    }
    let same_platform = fmspc == Some(collateral.fmspc);
    if verified.is_err() && same_platform {
        match own_tcb(parts, &collateral.documents) {
            Ok(found) => tcb = Some(found),
            Err(why) => report.failed(TCB, Reason::TcbUnknown, policy.tcb.join(" or "), why),
        }
    }
    if let Some((status, advisories)) = &tcb {
        let mut got = status.clone();
        if !advisories.is_empty() {
            got = format!("{got} ({})", advisories.join(", "));
        }
        report.judge(
            TCB,
            policy.tcb.contains(status),
            Reason::TcbStatus,
            policy.tcb.join(" or "),
            got,
        );
    } else if !same_platform {
        report.not_run(
            TCB,
            policy.tcb.join(" or "),
            "the collateral is for another platform",
        );
    }
    let (status, advisories) = tcb.unwrap_or_default();
    report.tcb = Some(TcbView {
        status,
        advisories,
        fmspc,
    });
    if let Err(error) = verified {
        let named = report
            .checks
            .iter()
            .skip(complaints)
            .any(|check| matches!(check.outcome, crate::report::Outcome::Failed(_)));
        if !named {
            let error: String = format!("{error:#}").chars().take(300).collect();
            report.failed(
                "quote rules",
                Reason::QuoteRejected,
                "every rule of Intel's for quotes",
                error,
            );
        }
    }
}

/// The documents for `dcap-qvl`. The platform's certificates are those of the quote.
fn documents(collateral: &Collateral) -> QuoteCollateralV3 {
    QuoteCollateralV3 {
        pck_certificate_chain: None,
        ..collateral.documents.clone()
    }
}

/// Signature, key and certificates of a quote, one by one.
fn diagnose_quote(report: &mut Report, parts: &Parts<'_>, root: &[u8], now: u64) {
    let auth = &parts.auth;
    let point = [&[0x04][..], &auth.ecdsa_attestation_key].concat();
    let signed = parts
        .raw
        .get(..parts.quote.signed_length())
        .unwrap_or_default();
    let ok = chain::verify_p256(&point, signed, &auth.ecdsa_signature);
    report.judge(
        SIGNATURE,
        ok,
        Reason::QuoteSignature,
        SIGNATURE_WANTED,
        if ok {
            "a valid one"
        } else {
            "another signature: the quote was changed"
        },
    );
    let hash = Sha256::new()
        .chain_update(auth.ecdsa_attestation_key)
        .chain_update(&auth.qe_auth_data.data)
        .finalize();
    // The enclave's report ends in its 64 bytes of report data.
    let bound = auth
        .qe_report
        .last_chunk::<64>()
        .is_some_and(|report_data| report_data.starts_with(&hash));
    let vouched = parts.certificates.first().is_some_and(|leaf| {
        chain::verify_p256(leaf.point(), &auth.qe_report, &auth.qe_report_signature)
    });
    report.judge(
        KEY,
        bound && vouched,
        Reason::QuoteKey,
        KEY_WANTED,
        match (bound, vouched) {
            (true, true) => "it does",
            (false, _) => "the enclave's report is about another key",
            (true, false) => "the platform's certificate did not sign the enclave's report",
        },
    );
    let verified = chain::verify(
        &parts.certificates,
        |der| der == root,
        Some(now),
        &mut Links::default(),
    );
    report.judge(
        CERTIFICATES,
        verified.is_ok(),
        Reason::QuoteChain,
        CERTIFICATES_WANTED,
        verified.map_or_else(
            |fault| fault.to_string(),
            |()| format!("{} certificates", parts.certificates.len()),
        ),
    );
}

/// Whether a certificate of the quote is on a list of the collateral. Only ever adds a failure.
fn diagnose_revocation(report: &mut Report, parts: &Parts<'_>, collateral: &Collateral) {
    for der in [
        &collateral.documents.pck_crl,
        &collateral.documents.root_ca_crl,
    ] {
        let Ok(crl) = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der) else {
            continue;
        };
        let revoked = parts.certificates.iter().find(|certificate| {
            let tbs = certificate.parsed.tbs_certificate();
            *tbs.issuer() == crl.tbs_cert_list.issuer
                && crl
                    .tbs_cert_list
                    .revoked_certificates
                    .iter()
                    .flatten()
                    .any(|entry| entry.serial_number == *tbs.serial_number())
        });
        if let Some(revoked) = revoked {
            report.failed(
                "revocation",
                Reason::QuoteRevoked,
                "no certificate of the quote on a CRL",
                format!("{} was revoked", revoked.subject()),
            );
        }
    }
}

/// Signatures of the four documents, one by one.
fn diagnose_collateral(
    report: &mut Report,
    parts: &Parts<'_>,
    collateral: &Collateral,
    root: &[u8],
    at: u64,
) {
    let documents = &collateral.documents;
    let mut links = Links::default();
    let mut wrong = Vec::new();
    let mut signed = |name, pem: &str, message: &str, signature: &[u8]| {
        let certificates = chain::parse_pem(pem.as_bytes()).unwrap_or_default();
        let trusted = chain::verify(&certificates, |der| der == root, Some(at), &mut links);
        let signer = certificates.first();
        if let Err(fault) = trusted {
            wrong.push(format!("{name}: {fault}"));
        } else if !signer
            .is_some_and(|signer| chain::verify_p256(signer.point(), message.as_bytes(), signature))
        {
            wrong.push(format!("{name} was changed"));
        }
    };
    signed(
        "the TCB info",
        &documents.tcb_info_issuer_chain,
        &documents.tcb_info,
        &documents.tcb_info_signature,
    );
    signed(
        "the QE identity",
        &documents.qe_identity_issuer_chain,
        &documents.qe_identity,
        &documents.qe_identity_signature,
    );
    let root = Certificate::parse(root);
    let crls = [
        ("the PCK CRL", &documents.pck_crl, parts.certificates.get(1)),
        ("the root CRL", &documents.root_ca_crl, root.as_ref()),
    ];
    for (name, der, issuer) in crls {
        let good = issuer.is_some_and(|issuer| crl_is_signed_by(der, issuer));
        if !good {
            wrong.push(format!("{name} is not signed by its issuer"));
        }
    }
    let got = if wrong.is_empty() {
        "signed".to_owned()
    } else {
        wrong.join("; ")
    };
    report.judge(
        SIGNED,
        wrong.is_empty(),
        Reason::CollateralSignature,
        SIGNED_WANTED,
        got,
    );
}

fn crl_is_signed_by(der: &[u8], issuer: &Certificate) -> bool {
    let Ok(crl) = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der) else {
        return false;
    };
    let (Ok(message), Some(signature)) = (crl.tbs_cert_list.to_der(), crl.signature.as_bytes())
    else {
        return false;
    };
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(issuer.point());
    let signature = p256::ecdsa::DerSignature::from_bytes(signature);
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(&message, &signature).is_ok())
}

/// The TCB level of a platform whose quote was refused: only to say what is wrong.
fn own_tcb(
    parts: &Parts<'_>,
    documents: &QuoteCollateralV3,
) -> Result<(String, Vec<String>), String> {
    for (name, json) in [
        ("TCB info", &documents.tcb_info),
        ("QE identity", &documents.qe_identity),
    ] {
        let value: Value =
            serde_json::from_str(json).map_err(|_| format!("the {name} is not JSON"))?;
        if let Some(unknown) = unknown_status(&value) {
            return Err(format!("the {name} holds the unknown status `{unknown}`"));
        }
    }
    let info: TcbInfo = serde_json::from_str(&documents.tcb_info)
        .map_err(|_| "the TCB info cannot be parsed".to_owned())?;
    let platform = parts
        .platform
        .as_ref()
        .ok_or("the quote names no platform")?;
    for level in &info.tcb_levels {
        let shortfalls = level.shortfalls(
            &platform.cpu_svn,
            platform.pce_svn,
            Some(&parts.td.tee_tcb_svn),
        );
        if shortfalls.is_ok_and(|shortfalls| shortfalls.is_empty()) {
            return Ok((level.tcb_status.to_string(), level.advisory_ids.clone()));
        }
    }
    Err("no TCB level covers this platform".to_owned())
}

/// The first status, at any depth, that is not one of Intel's.
fn unknown_status(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let unknown =
                name == "tcbStatus" && serde_json::from_value::<TcbStatus>(value.clone()).is_err();
            if unknown {
                Some(value.as_str().unwrap_or("none").chars().take(64).collect())
            } else {
                unknown_status(value)
            }
        }),
        Value::Array(values) => values.iter().find_map(unknown_status),
        _ => None,
    }
}
