//! Intel's collateral for TDX quotes: what to fetch, how to put it together, and how long it is good (`spec/evidence.md` section 6).
//!
//! Nothing here opens a socket: [`requests`] says what to GET, [`assemble`] takes the answers.

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::config::PckCa;
use dcap_qvl::quote::Quote;
use serde::Deserialize;
use serde_json::value::RawValue;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

use crate::chain;
use crate::encoding::{array_from_hex, from_hex, to_hex};
use crate::evidence::{MAX_COLLATERAL, MAX_QUOTE};
use crate::time::{Window, from_rfc3339};

/// Intel's own service, the usual base URL for [`requests`].
pub const INTEL_PCS: &str = "https://api.trustedservices.intel.com";
const INTEL_ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

/// One of the four documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// TCB levels of the platform's kind.
    TcbInfo,
    /// The quoting enclave.
    QeIdentity,
    /// Revoked platform certificates.
    PckCrl,
    /// Revoked intermediate certificates.
    RootCrl,
}

impl Part {
    /// The response header that holds the document's certificates.
    #[must_use]
    pub const fn chain_header(self) -> Option<&'static str> {
        match self {
            Self::TcbInfo => Some("tcb-info-issuer-chain"),
            Self::QeIdentity => Some("sgx-enclave-identity-issuer-chain"),
            Self::PckCrl => Some("sgx-pck-crl-issuer-chain"),
            Self::RootCrl => None,
        }
    }
}

/// What to GET.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Which document.
    pub part: Part,
    /// Where it is.
    pub url: String,
}

/// What came.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// Which document.
    pub part: Part,
    /// The body.
    pub body: &'a [u8],
    /// The value of the header [`Part::chain_header`], as it came.
    pub chain: Option<&'a str>,
}

/// Collateral that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralError {
    /// Too long.
    #[error("the collateral is longer than {MAX_COLLATERAL} bytes")]
    TooLong,
    /// Not JSON of the expected shape.
    #[error("the collateral is not JSON of the expected shape: {0}")]
    Json(#[from] serde_json::Error),
    /// A document is missing.
    #[error("the collateral lacks {0:?}")]
    Missing(Part),
    /// A document cannot be parsed.
    #[error("{0} of the collateral cannot be parsed")]
    Part(&'static str),
    /// The quote names no platform.
    #[error("the quote carries no platform certificate to fetch collateral for: {0}")]
    Quote(&'static str),
}

/// Collateral: four documents and their certificates. Only a verification shows whether they are genuine.
#[derive(Clone, Debug)]
pub struct Collateral {
    pub(crate) documents: QuoteCollateralV3,
    pub(crate) fmspc: [u8; 6],
    pub(crate) window: Window,
}

impl PartialEq for Collateral {
    fn eq(&self, other: &Self) -> bool {
        self.documents == other.documents
    }
}

impl Eq for Collateral {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dates {
    issue_date: String,
    next_update: String,
    #[serde(default)]
    fmspc: String,
}

impl Dates {
    fn parse(json: &str, part: &'static str) -> Result<(Self, Window), CollateralError> {
        let dates: Self = serde_json::from_str(json)?;
        let (Some(from), Some(until)) = (
            from_rfc3339(&dates.issue_date),
            from_rfc3339(&dates.next_update),
        ) else {
            return Err(CollateralError::Part(part));
        };
        Ok((dates, Window { from, until }))
    }
}

fn crl_window(der: &[u8], part: &'static str) -> Result<Window, CollateralError> {
    let crl: CertificateList =
        CertificateList::from_der(der).map_err(|_| CollateralError::Part(part))?;
    Ok(Window {
        from: crl.tbs_cert_list.this_update.to_unix_duration().as_secs(),
        // At the moment of its next update a CRL is out of date already.
        until: crl.tbs_cert_list.next_update.map_or(u64::MAX, |time| {
            time.to_unix_duration().as_secs().saturating_sub(1)
        }),
    })
}

impl Collateral {
    fn new(mut documents: QuoteCollateralV3) -> Result<Self, CollateralError> {
        let (tcb, mut window) = Dates::parse(&documents.tcb_info, "the TCB info")?;
        let (_, identity) = Dates::parse(&documents.qe_identity, "the QE identity")?;
        window = window
            .and(identity)
            .and(crl_window(&documents.root_ca_crl, "the root CRL")?)
            .and(crl_window(&documents.pck_crl, "the PCK CRL")?);
        for pem in [
            &documents.tcb_info_issuer_chain,
            &documents.qe_identity_issuer_chain,
        ] {
            let certificates =
                chain::parse_pem(pem.as_bytes()).ok_or(CollateralError::Part("an issuer chain"))?;
            window = certificates.iter().fold(window, |window, certificate| {
                window.and(certificate.window())
            });
        }
        let fmspc = array_from_hex(&tcb.fmspc).ok_or(CollateralError::Part("the FMSPC"))?;
        // The platform's certificates are the quote's; collateral does not replace them.
        documents.pck_certificate_chain = None;
        Ok(Self {
            documents,
            fmspc,
            window,
        })
    }

    /// Parses the JSON that [`Collateral::to_json`] writes, which is also that of `dcap-qvl`.
    ///
    /// # Errors
    /// [`CollateralError`].
    pub fn from_json(json: &[u8]) -> Result<Self, CollateralError> {
        if json.len() > MAX_COLLATERAL {
            return Err(CollateralError::TooLong);
        }
        Self::new(serde_json::from_slice(json)?)
    }

    /// JSON, for a cache or for stapling.
    ///
    /// # Errors
    /// [`CollateralError::Json`], which does not happen.
    pub fn to_json(&self) -> Result<Vec<u8>, CollateralError> {
        Ok(serde_json::to_vec(&self.documents)?)
    }

    /// The kind of platform that it is for, by its own word.
    #[must_use]
    pub const fn fmspc(&self) -> [u8; 6] {
        self.fmspc
    }

    /// From when it is valid, unix seconds.
    #[must_use]
    pub const fn valid_from(&self) -> u64 {
        self.window.from
    }

    /// Until when it is valid, unix seconds: the earliest end of its documents and their certificates.
    #[must_use]
    pub const fn valid_until(&self) -> u64 {
        self.window.until
    }
}

/// The kind of platform that made a quote, by the quote's own certificate: which collateral it needs.
///
/// # Errors
/// [`CollateralError::Quote`].
pub fn quote_fmspc(quote: &[u8]) -> Result<[u8; 6], CollateralError> {
    platform(quote).map(|(fmspc, _)| fmspc)
}

fn platform(quote: &[u8]) -> Result<([u8; 6], PckCa), CollateralError> {
    if quote.len() > MAX_QUOTE {
        return Err(CollateralError::Quote("it is too long"));
    }
    let quote = Quote::parse(quote).map_err(|_| CollateralError::Quote("it cannot be parsed"))?;
    let fmspc = dcap_qvl::intel::quote_fmspc(&quote);
    let ca = dcap_qvl::intel::quote_ca(&quote);
    match (fmspc, ca) {
        (Ok(fmspc), Ok(ca)) => Ok((fmspc, ca)),
        _ => Err(CollateralError::Quote(
            "its certificate has no platform data",
        )),
    }
}

/// What to GET for a quote, from Intel's service or a cache that speaks its API (version 4). All four are needed.
///
/// # Errors
/// [`CollateralError::Quote`].
pub fn requests(quote: &[u8], base_url: &str) -> Result<Vec<Request>, CollateralError> {
    let (fmspc, ca) = platform(quote)?;
    let base = base_url.trim_end_matches('/');
    let root_crl = if base == INTEL_PCS {
        INTEL_ROOT_CRL.to_owned()
    } else {
        format!("{base}/sgx/certification/v4/rootcacrl")
    };
    Ok([
        (
            Part::TcbInfo,
            format!("{base}/tdx/certification/v4/tcb?fmspc={}", to_hex(&fmspc)),
        ),
        (
            Part::QeIdentity,
            format!("{base}/tdx/certification/v4/qe/identity"),
        ),
        (
            Part::PckCrl,
            format!(
                "{base}/sgx/certification/v4/pckcrl?ca={}&encoding=der",
                ca.as_id_str()
            ),
        ),
        (Part::RootCrl, root_crl),
    ]
    .into_iter()
    .map(|(part, url)| Request { part, url })
    .collect())
}

#[derive(Deserialize)]
struct Signed<'a> {
    #[serde(borrow, alias = "tcbInfo", alias = "enclaveIdentity")]
    document: &'a RawValue,
    signature: String,
}

/// Puts the answers together.
///
/// # Errors
/// [`CollateralError`].
pub fn assemble(responses: &[Response<'_>]) -> Result<Collateral, CollateralError> {
    let find = |part: Part| {
        responses
            .iter()
            .find(|response| response.part == part)
            .ok_or(CollateralError::Missing(part))
    };
    if responses
        .iter()
        .any(|response| response.body.len() > MAX_COLLATERAL)
    {
        return Err(CollateralError::TooLong);
    }
    let signed = |part: Part, name| -> Result<(String, Vec<u8>, String), CollateralError> {
        let response = find(part)?;
        // The signature covers the document's exact bytes.
        let signed: Signed<'_> = serde_json::from_slice(response.body)?;
        let signature = from_hex(&signed.signature).ok_or(CollateralError::Part(name))?;
        Ok((
            signed.document.get().to_owned(),
            signature,
            issuer_chain(response)?,
        ))
    };
    let (tcb_info, tcb_info_signature, tcb_info_issuer_chain) =
        signed(Part::TcbInfo, "the TCB info")?;
    let (qe_identity, qe_identity_signature, qe_identity_issuer_chain) =
        signed(Part::QeIdentity, "the QE identity")?;
    let pck_crl = find(Part::PckCrl)?;
    Collateral::new(QuoteCollateralV3 {
        pck_crl_issuer_chain: issuer_chain(pck_crl)?,
        root_ca_crl: crl(find(Part::RootCrl)?.body),
        pck_crl: crl(pck_crl.body),
        tcb_info_issuer_chain,
        tcb_info,
        tcb_info_signature,
        qe_identity_issuer_chain,
        qe_identity,
        qe_identity_signature,
        pck_certificate_chain: None,
    })
}

/// A CRL comes as DER from Intel and as hex digits from some caches.
fn crl(body: &[u8]) -> Vec<u8> {
    std::str::from_utf8(body)
        .ok()
        .and_then(|text| from_hex(text.trim().trim_matches('"')))
        .unwrap_or_else(|| body.to_vec())
}

fn issuer_chain(response: &Response<'_>) -> Result<String, CollateralError> {
    let encoded = response
        .chain
        .filter(|chain| chain.len() <= MAX_COLLATERAL)
        .ok_or(CollateralError::Part("the certificates' header"))?;
    percent_decode(encoded).ok_or(CollateralError::Part("the certificates' header"))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let [high, low, after @ ..] = after else {
                return None;
            };
            let digit = |byte: u8| char::from(byte).to_digit(16);
            decoded.push(u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?);
            rest = after;
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    String::from_utf8(decoded).ok()
}
