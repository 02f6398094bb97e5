//! A header decodes exactly when the table of section 6.1 takes it, and encodes to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwire::frame::{FrameHeader, FrameType};

fuzz_target!(|bytes: [u8; 4]| {
    let [frame_type, a, b, c] = bytes;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let expected = match frame_type {
        1 if (20..=16_404).contains(&length) => Ok(FrameType::Sealed),
        2 if (17..=528).contains(&length) => Ok(FrameType::Public),
        1 | 2 => Err("bad-frame-length"),
        _ => Err("bad-frame-type"),
    };
    match FrameHeader::decode(bytes) {
        Ok(header) => {
            assert_eq!(Ok(header.frame_type), expected);
            assert_eq!(header.body_len, length);
            assert_eq!(header.frame_len(), length + 4);
            assert_eq!(header.encode(), bytes);
        }
        Err(error) => assert_eq!(Err(error.code()), expected),
    }
});
