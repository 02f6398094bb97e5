//! A program for `sealwire instance --evidence command=..` in tests: makes quotes and collateral of a test rig, which no policy takes that does not name
//! the rig's root.
//!
//! The last argument is the report data in hexadecimal, zeros if there is none. `root` instead prints the rig's root certificate in hexadecimal.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use sealwire_attest::testing::{CollateralOptions, QuoteOptions, TdxRig};
use sealwire_attest::{Evidence, TeeKind};

fn main() -> ExitCode {
    let argument = std::env::args().skip(1).last().unwrap_or("00".repeat(64));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let rig = TdxRig::new(now);
    if argument == "root" {
        println!("{}", hex(&rig.root()));
        return ExitCode::SUCCESS;
    }
    let Some(report_data) = unhex(&argument) else {
        eprintln!("expected report data of 128 hexadecimal digits");
        return ExitCode::FAILURE;
    };
    let evidence = Evidence {
        tee: TeeKind::Tdx,
        quote: rig.quote(&report_data, &QuoteOptions::default()),
        certificates: Vec::new(),
        gpus: Vec::new(),
        gpu_tokens: None,
        collateral: Some(rig.collateral_json(&CollateralOptions::default())),
        // The instance says these itself.
        statement: Some(Vec::new()),
        claimed_identity: Some([0; 32]),
        claimed_nonce: None,
    };
    match evidence.to_json() {
        Ok(json) => {
            println!("{}", String::from_utf8_lossy(&json));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    if text.len() != 128 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}
