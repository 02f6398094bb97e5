//! Receipts: what is signed verifies to the same fields, a changed one is refused, and the checker answers as section 7 says.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::IdentityKey;
use sealwire::receipt::{RECEIPT_LEN, Receipt, ReceiptChecker, ReceiptKind, Usage};
use sealwire_fuzz::fixture::{self, PROVIDER, TRUSTING};
use sealwire_fuzz::mutate::{self, Mutation};

static IDENTITY: LazyLock<IdentityKey> = LazyLock::new(fixture::identity);

#[derive(Arbitrary, Debug)]
enum Input {
    Bytes(Vec<u8>),
    Padded {
        head: Vec<u8>,
        fill: u8,
    },
    Signed(Fields, Vec<Mutation>),
    /// Receipts of one stream, some of them wrong.
    Stream(Vec<(Fields, Wrong)>),
}

#[derive(Arbitrary, Debug)]
struct Fields {
    last: bool,
    request_complete: bool,
    usage_known: bool,
    status: u16,
    index: u32,
    usage: [u64; 3],
    time: u64,
}

#[derive(Arbitrary, Debug)]
enum Wrong {
    Nothing,
    Index,
    Th2(u8),
    Bundle(u8),
    Context(u8),
    RequestId(u8),
    Attempt(u8),
    Bytes(Vec<Mutation>),
}

impl Fields {
    fn receipt(&self, index: u32) -> Receipt {
        let [tokens_in, tokens_out, tokens_cached] = self.usage;
        Receipt {
            kind: if self.last {
                ReceiptKind::Final
            } else {
                ReceiptKind::Interim
            },
            request_complete: self.request_complete,
            usage_known: self.usage_known,
            status: self.status,
            index,
            usage: Usage {
                tokens_in,
                tokens_out,
                tokens_cached,
            },
            time: self.time,
            request_id: [7; 16],
            attempt: 1,
            th2: [4; 32],
            bundle_hash: [5; 32],
            context_hash: [6; 32],
        }
    }
}

fuzz_target!(|input: Input| {
    match input {
        Input::Bytes(bytes) => parse(&bytes),
        Input::Padded { mut head, fill } => {
            head.resize(RECEIPT_LEN, fill);
            parse(&head);
        }
        Input::Signed(fields, changes) => {
            let receipt = fields.receipt(fields.index);
            let signed = receipt.sign(&IDENTITY);
            let mut bytes = signed.to_vec();
            mutate::mutate(&mut bytes, &changes);
            let got = Receipt::verify(&PROVIDER.verification, &IDENTITY.public_key(), &bytes);
            if bytes == signed {
                assert_eq!(got, Ok(receipt));
            } else {
                assert!(got.is_err());
                parse(&bytes);
            }
        }
        Input::Stream(receipts) => stream(&receipts),
    }
});

/// Parses with every signature taken: the fields sign to the same bytes.
fn parse(bytes: &[u8]) {
    let identity = IDENTITY.public_key();
    match Receipt::verify(&TRUSTING, &identity, bytes) {
        Ok(receipt) => {
            assert_eq!(receipt.sign(&IDENTITY)[..154], bytes[..154]);
            let real = Receipt::verify(&PROVIDER.verification, &identity, bytes);
            assert!(
                real.is_ok_and(|real| real == receipt)
                    || real.is_err_and(|error| error.code() == "receipt-signature")
            );
        }
        Err(error) => {
            assert_eq!(error.code(), "bad-receipt");
            let sound = bytes.len() == RECEIPT_LEN
                && bytes[0] == 1
                && (1..=2).contains(&bytes[1])
                && bytes[2] < 4;
            assert!(!sound);
        }
    }
}

fn stream(receipts: &[(Fields, Wrong)]) {
    let context = fixture::context();
    let mut checker =
        ReceiptChecker::new(IDENTITY.public_key(), [4; 32], [5; 32], [6; 32], &context);
    let mut next = 0;
    let mut ended = false;
    for (fields, wrong) in receipts.iter().take(16) {
        let mut receipt = fields.receipt(next);
        match wrong {
            Wrong::Nothing | Wrong::Bytes(_) => {}
            Wrong::Index => receipt.index = fields.index,
            Wrong::Th2(at) => receipt.th2[usize::from(at % 32)] ^= 1,
            Wrong::Bundle(at) => receipt.bundle_hash[usize::from(at % 32)] ^= 1,
            Wrong::Context(at) => receipt.context_hash[usize::from(at % 32)] ^= 1,
            Wrong::RequestId(at) => receipt.request_id[usize::from(at % 16)] ^= 1,
            Wrong::Attempt(attempt) => receipt.attempt = *attempt,
        }
        let signed = receipt.sign(&IDENTITY);
        let mut bytes = signed.to_vec();
        if let Wrong::Bytes(changes) = wrong {
            mutate::mutate(&mut bytes, changes);
        }
        let same_stream = receipt.th2 == [4; 32]
            && receipt.bundle_hash == [5; 32]
            && receipt.context_hash == [6; 32]
            && receipt.request_id == [7; 16]
            && receipt.attempt == 1;
        let got = checker.check(&PROVIDER.verification, &bytes);
        let code = got.err().map(|error| error.code());
        if bytes != signed {
            assert!(matches!(code, Some("bad-receipt" | "receipt-signature")));
        } else if !same_stream {
            assert_eq!(code, Some("receipt-mismatch"));
        } else if ended || receipt.index != next {
            assert_eq!(code, Some("receipt-order"));
        } else {
            assert_eq!(got, Ok(receipt));
            next += 1;
            ended = fields.last;
        }
    }
}
