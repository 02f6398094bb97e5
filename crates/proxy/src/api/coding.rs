//! Content codings of requests: Codex and other clients pack what they send. Answers are never packed.

use std::io::Read;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderMap};
use ruzstd::decoding::StreamingDecoder;
use sealwire::compat::chutes::{ChutesError, gunzip};
use sealwire_http::openai::ApiError;

/// Codings of one request.
const MAX_CODINGS: usize = 2;
/// Largest window of zstd that is taken, as RFC 8878 recommends at least.
const ZSTD_WINDOW: u64 = 8 * 1_024 * 1_024;

/// A coding of RFC 9110, section 8.4.1, or of RFC 8878 or 7932.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Zstd,
    Brotli,
}

/// The codings of a request, in the order in which they were applied.
///
/// # Errors
/// One that is not understood.
pub(super) fn of(headers: &HeaderMap) -> Result<Vec<Coding>, ApiError> {
    let refused = || {
        ApiError::invalid_request(
            415,
            "bad_content_encoding",
            "the request's Content-Encoding must be gzip, zstd or br, or absent",
        )
    };
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.to_str().map_err(|_| refused())?.split(',') {
            codings.push(match name.trim().to_ascii_lowercase().as_str() {
                "identity" | "" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "zstd" => Coding::Zstd,
                "br" => Coding::Brotli,
                _ => return Err(refused()),
            });
        }
    }
    if codings.len() > MAX_CODINGS {
        return Err(refused());
    }
    Ok(codings)
}

/// Undoes the codings; no step makes more than `most` bytes.
///
/// # Errors
/// Content that is not of its coding, or larger.
pub(super) fn unpack(packed: Bytes, codings: &[Coding], most: usize) -> Result<Bytes, ApiError> {
    let mut content = packed;
    for coding in codings.iter().rev() {
        content = match coding {
            Coding::Gzip => gunzip(&content, most)
                .map_err(|error| match error {
                    ChutesError::TooLarge { .. } => too_large(most),
                    _ => broken("gzip"),
                })?
                .into(),
            Coding::Zstd => zstd(&content, most)?,
            Coding::Brotli => {
                let reader = brotli_decompressor::Decompressor::new(&*content, 16 * 1_024);
                bounded(reader, most, "br")?
            }
        };
    }
    Ok(content)
}

fn zstd(content: &[u8], most: usize) -> Result<Bytes, ApiError> {
    // What a frame says of its window costs memory before a byte comes out.
    let window = ZSTD_WINDOW.max(len(most));
    let decoder = StreamingDecoder::new_with_max_window_size(content, window);
    let mut decoder = decoder.map_err(|_| broken("zstd"))?;
    let out = bounded(&mut decoder, most, "zstd")?;
    if !decoder.into_inner().is_empty() {
        return Err(broken("zstd"));
    }
    Ok(out)
}

fn bounded(reader: impl Read, most: usize, name: &str) -> Result<Bytes, ApiError> {
    let mut out = Vec::new();
    reader
        .take(len(most).saturating_add(1))
        .read_to_end(&mut out)
        .map_err(|_| broken(name))?;
    if out.len() > most {
        return Err(too_large(most));
    }
    Ok(out.into())
}

fn len(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn broken(name: &str) -> ApiError {
    ApiError::invalid_request(
        400,
        "bad_body",
        format!("the request's body is not what its Content-Encoding {name} says"),
    )
}

fn too_large(most: usize) -> ApiError {
    ApiError::invalid_request(
        413,
        "bad_body",
        format!("the request has more than {most} bytes when it is unpacked"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, value.parse().expect("ASCII"));
        headers
    }

    /// `{"a":1}` as `gzip -n`, `zstd` and `brotli` write it.
    const GZIP: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 0, 7, 171, 86, 74, 84, 178, 50, 172, 5, 0, 175, 172, 27, 86, 7,
        0, 0, 0,
    ];
    const ZSTD: &[u8] = &[
        0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, 0x39, 0, 0, 0x7b, 0x22, 0x61, 0x22, 0x3a, 0x31, 0x7d,
    ];
    const BROTLI: &[u8] = &[0x0b, 3, 0x80, 0x7b, 0x22, 0x61, 0x22, 0x3a, 0x31, 0x7d, 3];

    #[test]
    fn each_coding_is_undone_and_bounded() {
        for (name, packed) in [("gzip", GZIP), ("zstd", ZSTD), ("br", BROTLI)] {
            let codings = of(&headers(name)).expect("known");
            let packed = Bytes::from_static(packed);
            let plain = unpack(packed.clone(), &codings, 7);
            assert_eq!(plain.as_deref(), Ok(&br#"{"a":1}"#[..]), "{name}");
            let error = unpack(packed.clone(), &codings, 6).expect_err("too large");
            assert_eq!(error.status, 413, "{name}");
            let cut = unpack(packed.slice(..packed.len() - 2), &codings, 7);
            assert_eq!(cut.expect_err("cut").status, 400, "{name}");
        }
    }

    #[test]
    fn an_unknown_coding_is_refused_and_none_passes() {
        assert_eq!(of(&headers("compress")).expect_err("unknown").status, 415);
        assert_eq!(
            of(&headers("gzip, gzip, gzip")).expect_err("many").status,
            415
        );
        assert_eq!(of(&headers("identity")), Ok(Vec::new()));
        assert_eq!(
            of(&headers("GZIP , br")),
            Ok(vec![Coding::Gzip, Coding::Brotli])
        );
    }
}
