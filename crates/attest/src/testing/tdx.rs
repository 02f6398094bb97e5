//! TDX quotes and Intel-shaped collateral under a test root.

use dcap_qvl::QuoteCollateralV3;
use sha2::{Digest, Sha256};

use super::der::{int, octets, oid, pem, seq, tlv};
use super::pki::Party;
use crate::collateral::Collateral;
use crate::encoding::to_hex;
use crate::time::to_rfc3339;

const SGX: &str = "1.2.840.113741.1.13.1";
const VENDOR: [u8; 16] = [
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
];
const QE_SIGNER: [u8; 32] = [0x51; 32];
const LEAF_SERIAL: u64 = 77;

/// A make-believe Intel and one platform of it.
pub struct TdxRig {
    now: u64,
    root: Party,
    platform_ca: Party,
    leaf: Party,
    tcb_signer: Party,
    attestation: Party,
}

/// What a quote says.
#[derive(Clone, Debug)]
pub struct QuoteOptions {
    /// Attributes of the VM; bit 0 is debug.
    pub td_attributes: [u8; 8],
    /// Its initial measurement.
    pub mrtd: [u8; 48],
    /// Its run-time registers.
    pub rtmr: [[u8; 48]; 4],
    /// The kind of platform.
    pub fmspc: [u8; 6],
    /// The patch level of every component.
    pub svn: u8,
}

impl Default for QuoteOptions {
    fn default() -> Self {
        Self {
            // SEPT_VE_DISABLE, which Intel's rules require.
            td_attributes: [0, 0, 0, 0x10, 0, 0, 0, 0],
            mrtd: [0xa1; 48],
            rtmr: [[0xb0; 48], [0xb1; 48], [0xb2; 48], [0xb3; 48]],
            fmspc: [0x5e, 0xa1, 0, 0, 0, 0],
            svn: 5,
        }
    }
}

/// What collateral says.
#[derive(Clone, Debug)]
pub struct CollateralOptions {
    /// The kind of platform.
    pub fmspc: [u8; 6],
    /// From when it is valid; the rig's time less an hour if `None`.
    pub from: Option<u64>,
    /// Until when it is valid; the rig's time and a day if `None`.
    pub until: Option<u64>,
    /// The status of a platform whose components have at least `svn`.
    pub status: String,
    /// Advisories of that level.
    pub advisories: Vec<String>,
    /// The patch level that is needed.
    pub svn: u8,
    /// Whether the platform's certificate was revoked.
    pub revoked: bool,
}

impl Default for CollateralOptions {
    fn default() -> Self {
        Self {
            fmspc: QuoteOptions::default().fmspc,
            from: None,
            until: None,
            status: "UpToDate".to_owned(),
            advisories: Vec::new(),
            svn: 5,
            revoked: false,
        }
    }
}

impl TdxRig {
    /// A rig at a time, unix seconds.
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self {
            now,
            root: Party::p256("Test SGX Root CA", 1),
            platform_ca: Party::p256("Test SGX PCK Platform CA", 2),
            leaf: Party::p256("Test SGX PCK Certificate", 3),
            tcb_signer: Party::p256("Test SGX TCB Signing", 4),
            attestation: Party::p256("attestation key", 5),
        }
    }

    /// The root's certificate, DER. It is the same at all times.
    #[must_use]
    pub fn root(&self) -> Vec<u8> {
        self.root.issue(&self.root, 1, true, 0, &[])
    }

    /// A quote of version 4.
    #[must_use]
    pub fn quote(&self, report_data: &[u8; 64], options: &QuoteOptions) -> Vec<u8> {
        let header = [
            &4_u16.to_le_bytes()[..],
            &2_u16.to_le_bytes(),
            &0x81_u32.to_le_bytes(),
            &[0; 4],
            &VENDOR,
            &[0; 20],
        ];
        let body = [
            // TEE_TCB_SVN: the module's version is 0, so that all components count.
            &[options.svn, 0][..],
            &[options.svn; 14],
            &[0x5e; 48],
            &[0; 48],
            &[0; 8],
            &options.td_attributes,
            &[0xe7, 0, 6, 0, 0, 0, 0, 0],
            &options.mrtd,
            &[0; 48 * 3],
            &options.rtmr.concat(),
            report_data,
        ];
        let signed = [header.concat(), body.concat()].concat();
        let attestation = self.attestation.point();
        let key = attestation.get(1..).unwrap_or_default();
        let qe_auth = [0x20; 32];
        let hash = Sha256::new()
            .chain_update(key)
            .chain_update(qe_auth)
            .finalize();
        let enclave = [
            &[options.svn; 16][..],
            &[0; 4 + 28],
            &[0x11, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0],
            &[0x0e; 32],
            &[0; 32],
            &QE_SIGNER,
            &[0; 96],
            &2_u16.to_le_bytes(),
            &4_u16.to_le_bytes(),
            &[0; 60],
            &hash,
            &[0; 32],
        ]
        .concat();
        let leaf =
            self.platform_ca
                .issue(&self.leaf, LEAF_SERIAL, false, self.now, &platform(options));
        let chain = pem(&[&leaf, &self.platform_ca_certificate(), &self.root()]);
        let certification = [
            &enclave[..],
            &self.leaf.sign(&enclave),
            &32_u16.to_le_bytes(),
            &qe_auth,
            &data(5, chain.as_bytes()),
        ]
        .concat();
        let auth = [
            &self.attestation.sign(&signed)[..],
            key,
            &data(6, &certification),
        ]
        .concat();
        [&signed[..], &length(&auth), &auth].concat()
    }

    fn platform_ca_certificate(&self) -> Vec<u8> {
        self.root.issue(&self.platform_ca, 2, true, self.now, &[])
    }

    /// Collateral.
    ///
    /// # Panics
    /// If the options do not make a collateral that can be parsed.
    #[must_use]
    pub fn collateral(&self, options: &CollateralOptions) -> Collateral {
        Collateral::from_json(&self.collateral_json(options))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same as JSON, which may say what no parser takes.
    #[must_use]
    pub fn collateral_json(&self, options: &CollateralOptions) -> Vec<u8> {
        let from = options.from.unwrap_or(self.now.saturating_sub(3600));
        let until = options.until.unwrap_or(self.now.saturating_add(86_400));
        let components = vec![serde_json::json!({ "svn": options.svn }); 16];
        // Component 1 is the module's version, which is 0 in this rig's quotes.
        let tdx_components: Vec<_> = (0..16)
            .map(|index| serde_json::json!({ "svn": if index == 1 { 0 } else { options.svn } }))
            .collect();
        let date = "2025-01-01T00:00:00Z";
        let tcb_info = serde_json::json!({
            "id": "TDX", "version": 3, "issueDate": to_rfc3339(from), "nextUpdate": to_rfc3339(until),
            "fmspc": to_hex(&options.fmspc), "pceId": "0000", "tcbType": 0, "tcbEvaluationDataNumber": 19,
            "tdxModule": { "mrsigner": "00".repeat(48), "attributes": "00".repeat(8), "attributesMask": "FF".repeat(8) },
            "tcbLevels": [{
                "tcb": { "sgxtcbcomponents": components, "pcesvn": options.svn, "tdxtcbcomponents": tdx_components },
                "tcbDate": date, "tcbStatus": options.status, "advisoryIDs": options.advisories,
            }],
        })
        .to_string();
        let qe_identity = serde_json::json!({
            "id": "TD_QE", "version": 2, "issueDate": to_rfc3339(from), "nextUpdate": to_rfc3339(until),
            "tcbEvaluationDataNumber": 19, "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000", "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": to_hex(&QE_SIGNER), "isvprodid": 2,
            "tcbLevels": [{ "tcb": { "isvsvn": 4 }, "tcbDate": date, "tcbStatus": "UpToDate" }],
        })
        .to_string();
        let signer = self.root.issue(&self.tcb_signer, 3, false, self.now, &[]);
        let root = self.root();
        let chain = pem(&[&signer, &root]);
        let revoked: &[u64] = if options.revoked { &[LEAF_SERIAL] } else { &[] };
        let documents = QuoteCollateralV3 {
            pck_crl_issuer_chain: pem(&[&self.platform_ca_certificate(), &root]),
            root_ca_crl: self.root.crl(from, until, &[]),
            pck_crl: self.platform_ca.crl(from, until, revoked),
            tcb_info_issuer_chain: chain.clone(),
            tcb_info_signature: self.tcb_signer.sign(tcb_info.as_bytes()),
            tcb_info,
            qe_identity_issuer_chain: chain,
            qe_identity_signature: self.tcb_signer.sign(qe_identity.as_bytes()),
            qe_identity,
            pck_certificate_chain: None,
        };
        serde_json::to_vec(&documents).unwrap_or_default()
    }
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes()
}

fn data(kind: u16, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &length(bytes), bytes].concat()
}

/// The extension in which Intel describes a platform.
fn platform(options: &QuoteOptions) -> Vec<u8> {
    let entry = |suffix: &str, value: &[u8]| seq(&[&oid(&format!("{SGX}.{suffix}")), value]);
    let mut tcb: Vec<u8> = (1..=16)
        .flat_map(|component| entry(&format!("2.{component}"), &int(options.svn.into())))
        .collect();
    tcb.extend(entry("2.17", &int(options.svn.into())));
    tcb.extend(entry("2.18", &octets(&[options.svn; 16])));
    let extension = seq(&[
        &entry("1", &octets(&[0x99; 16])),
        &entry("2", &tlv(0x30, &tcb)),
        &entry("3", &octets(&[0, 0])),
        &entry("4", &octets(&options.fmspc)),
        &entry("5", &tlv(0x0a, &[1])),
    ]);
    seq(&[&oid(SGX), &octets(&extension)])
}
