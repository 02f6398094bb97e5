//! A GPU's own report: the SPDM request and response of a measurement, signed by the device (`spec/evidence.md` section 5.4).

use crate::chain::{self, Certificate, Links};
use crate::encoding::to_hex;
use crate::evidence::GpuEvidence;
use crate::report::{Reason, Report};
use crate::roots::Roots;

const REQUEST: usize = 37;
const SIGNATURE: usize = 96;
/// Where the requester's nonce is.
const NONCE: std::ops::Range<usize> = 4..36;
/// Most measurements of one report.
const MAX_BLOCKS: usize = 128;

/// What one GPU's report shows. Measurements are shown, not judged: there are no reference values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuView {
    /// The architecture as the sender calls it.
    pub arch: String,
    /// The device's certificate: its subject.
    pub device: String,
    /// Index and digest of each measurement.
    pub measurements: Vec<(u8, Vec<u8>)>,
}

struct Parsed<'a> {
    nonce: &'a [u8],
    signed: &'a [u8],
    signature: &'a [u8],
    measurements: Vec<(u8, Vec<u8>)>,
}

/// DSP0274: GET_MEASUREMENTS (version, 0xE0, attributes, operation, nonce, slot), then MEASUREMENTS (version, 0x60, _, _, blocks,
/// length of the record u24, record, nonce of the responder 32, length of opaque data u16, opaque data), then the signature.
fn parse(evidence: &[u8]) -> Option<Parsed<'_>> {
    let signed = evidence.get(..evidence.len().checked_sub(SIGNATURE)?)?;
    let signature = evidence.get(signed.len()..)?;
    let nonce = signed.get(NONCE)?;
    let (request, response) = signed.split_at_checked(REQUEST)?;
    if request.get(1) != Some(&0xE0) || response.get(1) != Some(&0x60) {
        return None;
    }
    let blocks = usize::from(*response.get(4)?);
    let length = response.get(5..8)?;
    let length = length
        .iter()
        .rev()
        .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    let mut record = response.get(8..)?.get(..length)?;
    let rest = response.get(8..)?.get(length..)?;
    let opaque = rest.get(32..34)?;
    let opaque = usize::from(u16::from_le_bytes(opaque.try_into().ok()?));
    if rest.len() != 34 + opaque || blocks > MAX_BLOCKS {
        return None;
    }
    let mut measurements = Vec::with_capacity(blocks);
    for _ in 0..blocks {
        // Index, specification, size u16, then a DMTF measurement: type, size u16, value.
        let size = usize::from(u16::from_le_bytes(record.get(2..4)?.try_into().ok()?));
        let index = *record.first()?;
        let value = record.get(4..4 + size)?;
        measurements.push((index, value.get(3..)?.to_vec()));
        record = record.get(4 + size..)?;
    }
    record.is_empty().then_some(Parsed {
        nonce,
        signed,
        signature,
        measurements,
    })
}

/// What a report shows, without any judgement.
pub(crate) fn view(gpu: &GpuEvidence) -> Option<GpuView> {
    let parsed = parse(&gpu.evidence)?;
    let device = chain::parse_pem(&gpu.certificate)
        .and_then(|certificates| certificates.first().map(Certificate::subject))
        .unwrap_or_default();
    Some(GpuView {
        arch: gpu.arch.clone(),
        device,
        measurements: parsed.measurements,
    })
}

/// Checks one GPU's report; `nonce` is what it must answer, if that is known. Returns the device's certificate.
pub(crate) fn check(
    report: &mut Report,
    index: usize,
    gpu: &GpuEvidence,
    nonce: Option<&[u8; 32]>,
    roots: &Roots,
    now: u64,
    links: &mut Links,
) -> Option<Vec<u8>> {
    let name = |what: &str| format!("gpu {index} {what}");
    let certificates = chain::parse_pem(&gpu.certificate);
    let parsed = parse(&gpu.evidence);
    match &certificates {
        Some(certificates) => {
            let verified =
                chain::verify(certificates, |der| roots.is_nvidia(der), Some(now), links);
            report.judge(
                name("chain"),
                verified.is_ok(),
                Reason::GpuChain,
                "certificates up to the pinned NVIDIA Device Identity CA",
                verified.map_or_else(
                    |fault| fault.to_string(),
                    |()| format!("{} certificates", certificates.len()),
                ),
            );
        }
        None => report.failed(
            name("chain"),
            Reason::GpuChain,
            "certificates as PEM",
            "something else",
        ),
    }
    let Some(parsed) = parsed else {
        report.failed(
            name("report"),
            Reason::GpuFormat,
            "an SPDM request of 37 bytes, its response and a signature",
            format!("{} bytes of something else", gpu.evidence.len()),
        );
        return None;
    };
    let leaf = certificates
        .as_ref()
        .and_then(|certificates| certificates.first());
    match leaf {
        Some(leaf) => {
            let ok = chain::verify_p384(leaf.point(), parsed.signed, parsed.signature);
            let got = if ok {
                leaf.subject()
            } else {
                "another signature: the report was changed, or another device signed it".to_owned()
            };
            let expected = "ECDSA P-384 by the first certificate over all before it";
            report.judge(name("signature"), ok, Reason::GpuSignature, expected, got);
        }
        None => report.not_run(
            name("signature"),
            "ECDSA P-384 by the first certificate",
            "no certificate",
        ),
    }
    match nonce {
        Some(nonce) => report.judge(
            name("nonce"),
            parsed.nonce == nonce,
            Reason::GpuNonce,
            to_hex(nonce),
            to_hex(parsed.nonce),
        ),
        None => report.not_run(
            name("nonce"),
            "the nonce that the quote binds",
            "there is no quote",
        ),
    }
    leaf.map(|leaf| leaf.der.clone())
}
