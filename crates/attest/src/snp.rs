//! AMD SEV-SNP reports (`spec/evidence.md` section 5.3).

use const_oid::ObjectIdentifier;
use sev::certs::snp::{Certificate as AmdCertificate, Chain, Verifiable, builtin, ca};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;
use x509_cert::der::Decode;

use crate::chain::Certificate;
use crate::evidence::Evidence;
use crate::policy::{Policy, SnpTcb};
use crate::report::{Measurements, Reason, Report, TcbView};
use crate::time::{Window, to_rfc3339};
use crate::verifier::Quoted;

const REPORT: usize = 1184;

const HWID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4");
const BOOTLOADER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.1");
const TEE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.2");
const SNP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.3");
const MICROCODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.8");
const FMC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.9");

const SIGNATURE: &str = "quote signature";
const KEY: &str = "quote key";
const CERTIFICATES: &str = "quote certificates";

const CERTIFICATES_WANTED: &str = "a VCEK or VLEK under AMD's root, valid now";
const KEY_WANTED: &str = "the certificate is for this chip and firmware";

pub(crate) fn check(
    report: &mut Report,
    policy: &Policy,
    evidence: &Evidence,
    now: u64,
) -> Option<Quoted> {
    let Some(parsed) = parse(&evidence.quote) else {
        let got = format!("{} bytes of something else", evidence.quote.len());
        report.failed(
            "quote",
            Reason::QuoteFormat,
            "an SEV-SNP report of 1184 bytes",
            got,
        );
        for name in [SIGNATURE, KEY, CERTIFICATES, "report", "tcb", "debug"] {
            report.not_run(name, "", "there is no report");
        }
        return None;
    };
    report.passed(
        "quote",
        "an SEV-SNP report of 1184 bytes",
        format!("version {}", parsed.version),
    );
    check_certificates(report, policy, evidence, &parsed, now);
    check_report(report, &parsed);
    check_tcb(report, policy, &parsed);
    let debug = parsed.policy.debug_allowed();
    let got = if debug {
        "the guest's policy allows it"
    } else {
        "off"
    };
    if debug && policy.allow_debug {
        report.noted("debug", "anything: the policy says allow_debug", got);
    } else {
        report.judge("debug", !debug, Reason::DebugEnabled, "off", got);
    }
    Some(quoted(&parsed))
}

fn parse(raw: &[u8]) -> Option<AttestationReport> {
    if raw.len() != REPORT {
        return None;
    }
    AttestationReport::from_bytes(raw).ok()
}

fn quoted(parsed: &AttestationReport) -> Quoted {
    Quoted {
        report_data: parsed.report_data,
        measurements: Measurements::Snp {
            measurement: parsed.measurement,
            host_data: parsed.host_data,
            policy: parsed.policy.into(),
            vmpl: parsed.vmpl,
        },
    }
}

/// What a report says, without any judgement.
pub(crate) fn view(raw: &[u8]) -> Option<Quoted> {
    parse(raw).map(|parsed| quoted(&parsed))
}

fn check_certificates(
    report: &mut Report,
    policy: &Policy,
    evidence: &Evidence,
    parsed: &AttestationReport,
    now: u64,
) {
    let vek = evidence.certificates.first().and_then(|der| {
        Some((
            AmdCertificate::from_der(der).ok()?,
            Certificate::parse(der)?,
        ))
    });
    let Some((vek, certificate)) = vek else {
        report.failed(
            CERTIFICATES,
            Reason::QuoteChain,
            CERTIFICATES_WANTED,
            "no certificate that can be parsed",
        );
        report.not_run(SIGNATURE, "a signature by the chip", "no certificate");
        report.not_run(KEY, KEY_WANTED, "no certificate");
        return;
    };
    let chain = find_chain(policy, evidence, &vek);
    let window = std::iter::once(&certificate.der)
        .chain(evidence.certificates.get(1))
        .filter_map(|der| Certificate::parse(der))
        .fold(Window::ALWAYS, |window, certificate| {
            window.and(certificate.window())
        });
    let got = match chain {
        None => "a certificate of another root".to_owned(),
        Some(_) if !window.contains(now) => format!(
            "valid from {} to {}",
            to_rfc3339(window.from),
            to_rfc3339(window.until)
        ),
        Some(name) => name.to_owned(),
    };
    report.judge(
        CERTIFICATES,
        chain.is_some() && window.contains(now),
        Reason::QuoteChain,
        CERTIFICATES_WANTED,
        got,
    );
    let signed = (&vek, parsed).verify().is_ok();
    let got = if signed {
        "a valid one"
    } else {
        "another signature: the report was changed, or another chip signed it"
    };
    report.judge(
        SIGNATURE,
        signed,
        Reason::QuoteSignature,
        "a signature by the chip",
        got,
    );
    let differs = certificate_differs(&certificate, parsed);
    let got = if differs.is_empty() {
        "it is".to_owned()
    } else {
        format!("{} differ", differs.join(", "))
    };
    report.judge(
        KEY,
        differs.is_empty(),
        Reason::SnpCertificate,
        KEY_WANTED,
        got,
    );
}

/// The name of the root that the certificate leads to.
fn find_chain(policy: &Policy, evidence: &Evidence, vek: &AmdCertificate) -> Option<&'static str> {
    let given = evidence
        .certificates
        .get(1)
        .and_then(|der| AmdCertificate::from_der(der).ok());
    let verifies = |ark: AmdCertificate, ask: Option<AmdCertificate>| {
        [given.clone(), ask].into_iter().flatten().any(|ask| {
            let chain = Chain {
                ca: ca::Chain {
                    ark: ark.clone(),
                    ask,
                },
                vek: vek.clone(),
            };
            chain.verify().is_ok()
        })
    };
    if let Some(root) = policy.roots.amd() {
        let ark = AmdCertificate::from_der(root).ok()?;
        return verifies(ark, None).then_some("the policy's root");
    }
    let products = [
        ("Milan", builtin::milan::ark(), builtin::milan::ask()),
        ("Genoa", builtin::genoa::ark(), builtin::genoa::ask()),
        ("Turin", builtin::turin::ark(), builtin::turin::ask()),
    ];
    products
        .into_iter()
        .find_map(|(name, ark, ask)| verifies(ark.ok()?, ask.ok()).then_some(name))
}

/// What the certificate says otherwise than the report. A VLEK names no chip.
fn certificate_differs(certificate: &Certificate, parsed: &AttestationReport) -> Vec<&'static str> {
    let number = |oid| {
        certificate
            .extension(oid)
            .and_then(|value| u8::from_der(value).ok())
    };
    let tcb = &parsed.reported_tcb;
    let versions = [
        ("boot loader", number(BOOTLOADER), Some(tcb.bootloader)),
        ("tee", number(TEE), Some(tcb.tee)),
        ("snp", number(SNP), Some(tcb.snp)),
        ("microcode", number(MICROCODE), Some(tcb.microcode)),
        ("fmc", number(FMC), tcb.fmc),
    ];
    let mut differs: Vec<&'static str> = versions
        .into_iter()
        .filter(|(_, certified, reported)| certified != reported)
        .map(|(name, _, _)| name)
        .collect();
    if parsed.key_info.signing_key() == 0 {
        let chip = certificate.extension(HWID);
        // Turin's id has 8 bytes, the report's field 64.
        let same = chip.is_some_and(|chip| {
            chip.len() >= 8
                && parsed.chip_id.starts_with(chip)
                && parsed
                    .chip_id
                    .iter()
                    .skip(chip.len())
                    .all(|byte| *byte == 0)
        });
        if !same {
            differs.push("chip id");
        }
    }
    differs
}

fn check_report(report: &mut Report, parsed: &AttestationReport) {
    let mut wrong = Vec::new();
    if parsed.vmpl != 0 {
        wrong.push(format!("VMPL {}", parsed.vmpl));
    }
    if parsed.sig_algo != 1 {
        wrong.push(format!("signature algorithm {}", parsed.sig_algo));
    }
    if parsed.key_info.signing_key() > 1 || parsed.key_info.mask_chip_key() {
        wrong.push("no signing key".to_owned());
    }
    if parsed.policy.migrate_ma_allowed() {
        wrong.push("a migration agent is allowed".to_owned());
    }
    let expected = "VMPL 0, signed by VCEK or VLEK with ECDSA P-384, no migration agent";
    let got = if wrong.is_empty() {
        "as expected".to_owned()
    } else {
        wrong.join(", ")
    };
    report.judge("report", wrong.is_empty(), Reason::SnpReport, expected, got);
}

fn check_tcb(report: &mut Report, policy: &Policy, parsed: &AttestationReport) {
    let least = &policy.min_snp_tcb;
    let tcb = &parsed.reported_tcb;
    let got = SnpTcb {
        bootloader: tcb.bootloader,
        tee: tcb.tee,
        snp: tcb.snp,
        microcode: tcb.microcode,
        fmc: tcb.fmc.unwrap_or(0),
    };
    report.judge(
        "tcb",
        got.reaches(least),
        Reason::TcbVersion,
        format!("at least {least}"),
        got.to_string(),
    );
    report.tcb = Some(TcbView {
        status: got.to_string(),
        advisories: Vec::new(),
        fmspc: None,
    });
}

impl std::fmt::Display for SnpTcb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            bootloader,
            tee,
            snp,
            microcode,
            fmc,
        } = self;
        write!(
            f,
            "bootloader {bootloader}, tee {tee}, snp {snp}, microcode {microcode}, fmc {fmc}"
        )
    }
}

impl SnpTcb {
    const fn reaches(&self, least: &Self) -> bool {
        self.bootloader >= least.bootloader
            && self.tee >= least.tee
            && self.snp >= least.snp
            && self.microcode >= least.microcode
            && self.fmc >= least.fmc
    }
}
