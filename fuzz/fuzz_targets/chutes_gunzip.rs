//! gunzip of chutes-v1: what was packed comes out, never more than the bound; of what deflate is, another library has the say.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use sealwire::compat::chutes::{Compress, ZlibRs, gunzip, testing};
use sealwire_fuzz::mutate::{self, Mutation};

const MOST: usize = 1 << 18;

#[derive(Arbitrary, Debug)]
enum Input {
    Bytes {
        bytes: Vec<u8>,
        limit: u32,
    },
    Packed {
        members: Vec<Member>,
        changes: Vec<Mutation>,
        limit: Limit,
    },
    /// One member of this deflate stream, with the trailer that another library says.
    Deflate {
        bytes: Vec<u8>,
        limit: u32,
    },
}

#[derive(Arbitrary, Debug)]
struct Member {
    content: Vec<u8>,
    repeat: u16,
    stored: bool,
    extra: Option<Vec<u8>>,
    name: Option<Vec<u8>>,
    comment: Option<Vec<u8>>,
    checksum: bool,
}

#[derive(Arbitrary, Debug)]
enum Limit {
    Exact,
    OneLess,
    Any(u32),
}

impl Member {
    fn content(&self) -> Vec<u8> {
        let times = 1 + usize::from(self.repeat) % 512;
        let mut content = self.content.repeat(times);
        content.truncate(MOST / 4);
        content
    }

    fn pack(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(self.checksum, 2)
            | flag(self.extra.is_some(), 4)
            | flag(self.name.is_some(), 8)
            | flag(self.comment.is_some(), 16);
        out.extend([0x1F, 0x8B, 8, flags, 1, 2, 3, 4, 0, 3]);
        if let Some(extra) = &self.extra {
            let extra = &extra[..extra.len().min(65_535)];
            out.extend(u16::try_from(extra.len()).unwrap().to_le_bytes());
            out.extend(extra);
        }
        for text in [&self.name, &self.comment].into_iter().flatten() {
            out.extend(text.iter().filter(|byte| **byte != 0));
            out.push(0);
        }
        if self.checksum {
            let [a, b, ..] = crc32(&out[start..]).to_le_bytes();
            out.extend([a, b]);
        }
        let content = self.content();
        if self.stored {
            let mut blocks = content.chunks(65_535).peekable();
            if blocks.peek().is_none() {
                out.extend([1, 0, 0, 0xFF, 0xFF]);
            }
            while let Some(block) = blocks.next() {
                let len = u16::try_from(block.len()).unwrap();
                out.push(u8::from(blocks.peek().is_none()));
                out.extend(len.to_le_bytes());
                out.extend((!len).to_le_bytes());
                out.extend(block);
            }
        } else {
            ZlibRs::DEFAULT.deflate(&content, out);
        }
        trailer(&content, out);
    }
}

fn trailer(content: &[u8], out: &mut Vec<u8>) {
    out.extend(crc32(content).to_le_bytes());
    out.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
}

/// Written down a second time (RFC 1952 section 8).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

fuzz_target!(|input: Input| {
    match input {
        Input::Bytes { bytes, limit } => drop(bounded(&bytes, limit as usize % MOST)),
        Input::Packed {
            members,
            changes,
            limit,
        } => {
            let members = members.get(..6).unwrap_or(&members);
            let (mut packed, mut content) = (Vec::new(), Vec::new());
            for member in members {
                member.pack(&mut packed);
                content.extend(member.content());
            }
            let sound = packed.clone();
            mutate::mutate(&mut packed, &changes);
            let limit = match limit {
                Limit::Exact => content.len(),
                Limit::OneLess => content.len().saturating_sub(1),
                Limit::Any(limit) => limit as usize % MOST,
            };
            let got = bounded(&packed, limit);
            if packed == sound {
                let expected = if members.is_empty() {
                    Err("gzip-header")
                } else if content.len() > limit {
                    Err("too-large")
                } else {
                    Ok(content)
                };
                assert_eq!(got, expected);
                if let (Ok(_), Some(first)) = (&got, members.first()) {
                    let (_, ours) = testing::unpack(&packed, limit).unwrap();
                    assert_eq!(ours, first.extra.as_deref().and_then(subfield));
                }
            }
        }
        Input::Deflate { bytes, limit } => deflate(&bytes, limit as usize % MOST),
    }
});

/// Ours in an extra field, written down a second time.
fn subfield(extra: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let head = extra.get(at..at + 4)?;
        let end = at + 4 + usize::from(head[2]) + 256 * usize::from(head[3]);
        let value = extra.get(at + 4..end)?;
        if &head[..2] == b"SW" {
            return Some(value);
        }
        at = end;
    }
}

/// Never more than the bound, and one of the codes.
fn bounded(packed: &[u8], limit: usize) -> Result<Vec<u8>, &'static str> {
    let got = gunzip(packed, limit).map_err(|error| error.code());
    match &got {
        Ok(content) => assert!(content.len() <= limit),
        Err(code) => assert!(*code == "too-large" || code.starts_with("gzip-")),
    }
    got
}

fn deflate(bytes: &[u8], limit: usize) {
    let mut out = vec![0; MOST];
    let (status, read, written) = decompress(
        &mut DecompressorOxide::new(),
        bytes,
        &mut out,
        0,
        TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
    );
    let mut packed = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3];
    if status == TINFLStatus::Done {
        let content = &out[..written];
        packed.extend(&bytes[..read]);
        trailer(content, &mut packed);
        let expected = if written > limit {
            Err("too-large")
        } else {
            Ok(content.to_vec())
        };
        let got = bounded(&packed, limit);
        // zlib refuses some tables that the other takes, and looks back no further than its window; it never reads another content.
        assert!(got == expected || got == Err("gzip-data"));
    } else {
        packed.extend(bytes);
        packed.extend([0; 8]);
        let got = bounded(&packed, limit);
        // Without a trailer that fits nothing comes out; an empty content has one of zeros.
        assert!(got.is_err() || got == Ok(Vec::new()));
    }
}
