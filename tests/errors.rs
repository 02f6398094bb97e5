//! What travels of an error, and what a reader gets to see (spec/protocol.md sections 5.4, 6.6 and 8).
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use sealwire::{
    ApiMisuse, BundleFault, CryptoError, Error, HandshakeFault, Limits, PeerMisbehaved,
    PolicyFault, ReceiptFault, RelayCode, StreamErrorCode,
};

fn all() -> Vec<Error> {
    let mut all = vec![
        Error::ClockSkew {
            now: 1,
            not_before: 2,
            not_after: 3,
        },
        Error::BadContext,
        Error::Decrypt,
        Error::Truncated,
        Error::Exhausted,
        Error::BufferTooSmall { needed: 7 },
        Error::ApiMisuse(ApiMisuse::ExportLength),
        Error::Crypto(CryptoError::Invalid),
        Error::Crypto(CryptoError::Random),
        Error::Crypto(CryptoError::Backend),
    ];
    all.extend(
        [
            BundleFault::Version,
            BundleFault::Suite,
            BundleFault::Flags,
            BundleFault::Length,
            BundleFault::Window,
            BundleFault::Label,
            BundleFault::Signature,
            BundleFault::KemKey,
        ]
        .map(Error::Bundle),
    );
    all.extend(
        [
            PolicyFault::Suite,
            PolicyFault::Label,
            PolicyFault::SingleUse,
            PolicyFault::Identity,
        ]
        .map(Error::Policy),
    );
    all.extend(handshake().map(Error::Handshake));
    all.extend(frames().map(Error::PeerMisbehaved));
    all.extend(
        [
            ReceiptFault::Encoding,
            ReceiptFault::Signature,
            ReceiptFault::Mismatch,
            ReceiptFault::Order,
        ]
        .map(Error::Receipt),
    );
    all
}

fn handshake() -> [HandshakeFault; 13] {
    [
        HandshakeFault::Magic,
        HandshakeFault::Version,
        HandshakeFault::Suite,
        HandshakeFault::Flags,
        HandshakeFault::KeyUnknown,
        HandshakeFault::SuiteMismatch,
        HandshakeFault::LabelMismatch,
        HandshakeFault::Busy,
        HandshakeFault::Confirm,
        HandshakeFault::Replayed,
        HandshakeFault::ClientKey,
        HandshakeFault::Timeout,
        HandshakeFault::NoDuplex,
    ]
}

fn frames() -> [PeerMisbehaved; 13] {
    [
        PeerMisbehaved::FrameType,
        PeerMisbehaved::FrameLength,
        PeerMisbehaved::InnerType,
        PeerMisbehaved::ContentLength,
        PeerMisbehaved::Padding,
        PeerMisbehaved::UnexpectedFrame,
        PeerMisbehaved::KeyUpdateFlood,
        PeerMisbehaved::EmptyFlood,
        PeerMisbehaved::PadBudget,
        PeerMisbehaved::TooLarge,
        PeerMisbehaved::BadError,
        PeerMisbehaved::TrailingData,
        PeerMisbehaved::EarlyResponse,
    ]
}

#[test]
fn the_relay_plane_learns_five_things_of_a_handshake_and_no_more() {
    for fault in handshake() {
        let expected = match fault {
            HandshakeFault::KeyUnknown => RelayCode::KeyUnknown,
            HandshakeFault::Busy => RelayCode::Busy,
            HandshakeFault::Replayed => RelayCode::Replayed,
            _ => RelayCode::Refused,
        };
        assert_eq!(Error::Handshake(fault).relay_code(), expected, "{fault:?}");
    }
    for (error, expected) in [
        (Error::BadContext, RelayCode::Refused),
        (Error::Truncated, RelayCode::Refused),
        (
            Error::PeerMisbehaved(PeerMisbehaved::TrailingData),
            RelayCode::Refused,
        ),
        (
            Error::PeerMisbehaved(PeerMisbehaved::TooLarge),
            RelayCode::TooLarge,
        ),
        (Error::Crypto(CryptoError::Backend), RelayCode::Internal),
    ] {
        assert_eq!(error.relay_code(), expected, "{error:?}");
    }
}

#[test]
fn a_failed_half_ends_the_other_with_the_code_of_its_fault() {
    for fault in frames() {
        let expected = match fault {
            PeerMisbehaved::TooLarge | PeerMisbehaved::PadBudget => StreamErrorCode::TooLarge,
            _ => StreamErrorCode::Protocol,
        };
        assert_eq!(
            Error::PeerMisbehaved(fault).stream_code(),
            expected,
            "{fault:?}"
        );
    }
    for (error, expected) in [
        (Error::Truncated, StreamErrorCode::Incomplete),
        (Error::Decrypt, StreamErrorCode::Protocol),
        (Error::Exhausted, StreamErrorCode::Protocol),
        (
            Error::Crypto(CryptoError::Backend),
            StreamErrorCode::Internal,
        ),
        (
            Error::ApiMisuse(ApiMisuse::ExportLength),
            StreamErrorCode::Internal,
        ),
        (
            Error::BufferTooSmall { needed: 1 },
            StreamErrorCode::Internal,
        ),
    ] {
        assert_eq!(error.stream_code(), expected, "{error:?}");
    }
}

#[test]
fn names_of_the_relay_plane_go_there_and_back() {
    for code in RelayCode::ALL {
        assert_eq!(RelayCode::from_name(code.as_str()), Some(code));
        assert_eq!(code.to_string(), code.as_str());
    }
    for other in ["", "Busy", "key_unknown", "nothing"] {
        assert_eq!(RelayCode::from_name(other), None);
    }
}

#[test]
fn every_error_says_what_happened_in_words_of_its_own() {
    let mut texts = BTreeSet::new();
    for error in all() {
        let text = error.to_string();
        assert!(text.len() >= 10, "{error:?}: {text:?}");
        assert!(texts.insert(text.clone()), "{text:?} stands twice");
        assert!(!error.code().is_empty());
    }
    for error in [
        CryptoError::Invalid,
        CryptoError::Random,
        CryptoError::Backend,
    ] {
        assert!(error.to_string().len() >= 10);
    }
}

#[test]
fn defaults_are_those_of_the_specification() {
    let limits = Limits::default();
    assert_eq!(limits.max_bytes, u64::MAX);
    assert_eq!(limits.max_pad_bytes, 67_108_864);
}
