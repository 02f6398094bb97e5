//! Just enough DER to write certificates and CRLs.

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = content.len();
    if length < 0x80 {
        der.push(u8::try_from(length).unwrap_or_default());
    } else {
        let bytes = length.to_be_bytes();
        let significant: Vec<u8> = bytes
            .iter()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect();
        der.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
        der.extend(significant);
    }
    der.extend_from_slice(content);
    der
}

pub(super) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(super) fn oid(dotted: &str) -> Vec<u8> {
    let numbers: Vec<u64> = dotted
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    let [first, second, rest @ ..] = numbers.as_slice() else {
        return tlv(0x06, &[]);
    };
    let mut content = Vec::new();
    for number in [first * 40 + second].iter().chain(rest) {
        let mut groups = vec![number & 0x7f];
        let mut left = number >> 7;
        while left > 0 {
            groups.push(left & 0x7f | 0x80);
            left >>= 7;
        }
        content.extend(
            groups
                .iter()
                .rev()
                .filter_map(|group| u8::try_from(*group).ok()),
        );
    }
    tlv(0x06, &content)
}

pub(super) fn int(number: u64) -> Vec<u8> {
    let mut content: Vec<u8> = number
        .to_be_bytes()
        .into_iter()
        .skip_while(|byte| *byte == 0)
        .collect();
    if content.first().is_none_or(|first| first & 0x80 != 0) {
        content.insert(0, 0);
    }
    tlv(0x02, &content)
}

pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

/// A name of one common name.
pub(super) fn name(common: &str) -> Vec<u8> {
    let attribute = seq(&[&oid("2.5.4.3"), &tlv(0x0c, common.as_bytes())]);
    seq(&[&tlv(0x31, &attribute)])
}

/// A time; UTCTime until 2049, as RFC 5280 wants it.
pub(super) fn time(unix: u64) -> Vec<u8> {
    let digits: String = crate::time::to_rfc3339(unix)
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    if digits.as_str() < "2050" {
        tlv(
            0x17,
            format!("{}Z", digits.get(2..).unwrap_or_default()).as_bytes(),
        )
    } else {
        tlv(0x18, format!("{digits}Z").as_bytes())
    }
}

pub(super) fn pem(certificates: &[&[u8]]) -> String {
    certificates
        .iter()
        .map(|der| {
            let text = crate::encoding::to_base64(der);
            let lines: Vec<&str> = text
                .as_bytes()
                .chunks(64)
                .filter_map(|line| std::str::from_utf8(line).ok())
                .collect();
            format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                lines.join("\n")
            )
        })
        .collect()
}
