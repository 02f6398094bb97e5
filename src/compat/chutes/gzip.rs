//! gzip (RFC 1952): written with an extra field of our own, read with a bound, member by member.

use alloc::vec::Vec;

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status, compress_bound, crc32};

use super::error::{ChutesError, GzipFault};

/// Subfield identifier of our data in a gzip header (section 6).
const SUBFIELD: [u8; 2] = *b"SW";

const FTEXT: u8 = 0x01;
const FHCRC: u8 = 0x02;
const FEXTRA: u8 = 0x04;
const FNAME: u8 = 0x08;
const FCOMMENT: u8 = 0x10;

/// Output that one step unpacks at most.
const STEP: usize = 64 * 1_024;

/// Raw deflate (RFC 1951) of a whole text. A seam, because compression is most of a request's cost (section 7).
pub trait Compress: Send + Sync {
    /// Appends the deflated `plain` to `out`.
    fn deflate(&self, plain: &[u8], out: &mut Vec<u8>);
}

/// The default compressor: zlib-rs, pure Rust.
#[derive(Clone, Copy, Debug)]
pub struct ZlibRs {
    level: i32,
}

impl ZlibRs {
    /// Level 3: a little larger than what the published client makes (`cargo xtask bench chutes`).
    pub const DEFAULT: Self = Self { level: 3 };
}

impl Compress for ZlibRs {
    fn deflate(&self, plain: &[u8], out: &mut Vec<u8>) {
        let mut deflate = Deflate::new(self.level, false, 15);
        let start = out.len();
        let mut room = compress_bound(plain.len());
        let mut rest = plain;
        loop {
            out.resize(start.saturating_add(room), 0);
            let written = usize::try_from(deflate.total_out()).unwrap_or(usize::MAX);
            let (before, space) = (
                deflate.total_in(),
                out.get_mut(start.saturating_add(written)..)
                    .unwrap_or_default(),
            );
            let status = deflate.compress(rest, space, DeflateFlush::Finish);
            let read = usize::try_from(deflate.total_in().saturating_sub(before)).unwrap_or(0);
            rest = rest.get(read..).unwrap_or_default();
            let written = usize::try_from(deflate.total_out()).unwrap_or(usize::MAX);
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                // StreamEnd; an error cannot come from a fresh state and memory.
                out.truncate(start.saturating_add(written));
                return;
            }
            room = room.saturating_mul(2).max(64);
        }
    }
}

/// One gzip member of `plain`, with `extra` in a subfield of ours.
pub(super) fn gzip(compress: &dyn Compress, plain: &[u8], extra: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity((plain.len() / 2).saturating_add(512));
    let flags = if extra.is_some() { FEXTRA } else { 0 };
    // Magic, deflate, flags, no time, no hint, unknown system.
    out.extend_from_slice(&[0x1F, 0x8B, 8, flags, 0, 0, 0, 0, 0, 0xFF]);
    if let Some(extra) = extra {
        // Callers have bounded it far below 65,536 bytes.
        let len = u16::try_from(extra.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&len.saturating_add(4).to_le_bytes());
        out.extend_from_slice(&SUBFIELD);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(extra);
    }
    compress.deflate(plain, &mut out);
    out.extend_from_slice(&crc32::crc32(0, plain).to_le_bytes());
    // The length modulo 2^32, as the format wants it.
    let [a, b, c, d, ..] = u64::try_from(plain.len()).unwrap_or(u64::MAX).to_le_bytes();
    out.extend_from_slice(&[a, b, c, d]);
    out
}

/// Unpacks every member of a gzip stream to at most `limit` bytes.
///
/// # Errors
/// [`ChutesError::Gzip`], [`ChutesError::TooLarge`] before more than `limit` bytes exist.
pub fn gunzip(data: &[u8], limit: usize) -> Result<Vec<u8>, ChutesError> {
    unpack(data, limit).map(|unpacked| unpacked.plain)
}

/// Content, and our subfield of the first member's header.
pub(super) struct Unpacked<'a> {
    pub(super) plain: Vec<u8>,
    pub(super) extra: Option<&'a [u8]>,
}

pub(super) fn unpack(data: &[u8], limit: usize) -> Result<Unpacked<'_>, ChutesError> {
    let mut plain = Vec::new();
    let (mut rest, extra) = member(data, &mut plain, limit)?;
    while !rest.is_empty() {
        if !rest.starts_with(&[0x1F, 0x8B]) {
            return Err(GzipFault::Trailing.into());
        }
        rest = member(rest, &mut plain, limit)?.0;
    }
    Ok(Unpacked { plain, extra })
}

type Member<'a> = (&'a [u8], Option<&'a [u8]>);

fn member<'a>(
    data: &'a [u8],
    plain: &mut Vec<u8>,
    limit: usize,
) -> Result<Member<'a>, ChutesError> {
    let (body, extra) = header(data)?;
    let start = plain.len();
    let rest = inflate(body, plain, limit)?;
    let (trailer, rest) = rest.split_first_chunk::<8>().ok_or(GzipFault::Truncated)?;
    let made = plain.get(start..).unwrap_or_default();
    let [a, b, c, d, ..] = u64::try_from(made.len()).unwrap_or(u64::MAX).to_le_bytes();
    let (checksum, length) = trailer.split_at(4);
    if checksum != crc32::crc32(0, made).to_le_bytes() || length != [a, b, c, d] {
        return Err(GzipFault::Checksum.into());
    }
    Ok((rest, extra))
}

/// The header's end, and our subfield if it is there.
fn header(data: &[u8]) -> Result<(&[u8], Option<&[u8]>), GzipFault> {
    let (fixed, mut rest) =
        data.split_first_chunk::<10>()
            .ok_or(if data.starts_with(&[0x1F, 0x8B]) {
                GzipFault::Truncated
            } else {
                GzipFault::Header
            })?;
    let [0x1F, 0x8B, 8, flags, ..] = *fixed else {
        return Err(GzipFault::Header);
    };
    if flags & !(FTEXT | FHCRC | FEXTRA | FNAME | FCOMMENT) != 0 {
        return Err(GzipFault::Header);
    }
    let mut ours = None;
    if flags & FEXTRA != 0 {
        let (len, behind) = rest.split_first_chunk::<2>().ok_or(GzipFault::Truncated)?;
        let (fields, behind) = behind
            .split_at_checked(usize::from(u16::from_le_bytes(*len)))
            .ok_or(GzipFault::Truncated)?;
        ours = subfield(fields);
        rest = behind;
    }
    for flag in [FNAME, FCOMMENT] {
        if flags & flag != 0 {
            let end = rest
                .iter()
                .position(|byte| *byte == 0)
                .ok_or(GzipFault::Truncated)?;
            rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
        }
    }
    if flags & FHCRC != 0 {
        let (checksum, behind) = rest.split_first_chunk::<2>().ok_or(GzipFault::Truncated)?;
        let head = data
            .get(..data.len().saturating_sub(rest.len()))
            .unwrap_or_default();
        let [a, b, ..] = crc32::crc32(0, head).to_le_bytes();
        if *checksum != [a, b] {
            return Err(GzipFault::Checksum);
        }
        rest = behind;
    }
    Ok((rest, ours))
}

/// Other programs' subfields pass; fields that do not fit their length are theirs too, and mean nothing to us.
fn subfield(mut fields: &[u8]) -> Option<&[u8]> {
    loop {
        let (id, rest) = fields.split_first_chunk::<2>()?;
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        if *id == SUBFIELD {
            return Some(value);
        }
        fields = rest;
    }
}

fn inflate<'a>(data: &'a [u8], plain: &mut Vec<u8>, limit: usize) -> Result<&'a [u8], ChutesError> {
    let mut inflate = Inflate::new(false, 15);
    let mut rest = data;
    loop {
        let have = plain.len();
        // One byte more than allowed shows that there is more.
        let room = limit
            .saturating_add(1)
            .saturating_sub(have)
            .min(STEP.max(have));
        plain.resize(have.saturating_add(room), 0);
        let (read, written) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(
            rest,
            plain.get_mut(have..).unwrap_or_default(),
            InflateFlush::NoFlush,
        );
        let read = usize::try_from(inflate.total_in().saturating_sub(read)).unwrap_or(0);
        let written = usize::try_from(inflate.total_out().saturating_sub(written)).unwrap_or(0);
        plain.truncate(have.saturating_add(written));
        rest = rest.get(read..).unwrap_or_default();
        if plain.len() > limit {
            return Err(ChutesError::TooLarge { limit });
        }
        match status {
            Ok(Status::StreamEnd) => return Ok(rest),
            Ok(_) if read == 0 && written == 0 => return Err(GzipFault::Truncated.into()),
            Ok(_) => {}
            Err(_) => return Err(GzipFault::Data.into()),
        }
    }
}
