//! The certificate table that comes beside an SEV-SNP report (GHCB specification 2.03, section 4.1.8.1): entries of GUID, offset and length, closed by
//! one of zeros, and the certificates behind them.

use super::EvidenceError;

/// Bytes of one entry.
const ENTRY: usize = 24;
/// The GUIDs of the certificates that a verifier needs, the leaf first. VCEK or VLEK signs the report.
const ORDER: [[u8; 16]; 4] = [
    // VCEK, 63da758d-e664-4564-adc5-f4b93be8accd
    [
        0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac,
        0xcd,
    ],
    // VLEK, a8074bc2-a25a-483e-aae6-39c045a0b8a1
    [
        0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8,
        0xa1,
    ],
    // ASK, 4ab7b379-bbac-4fe4-a02f-05aef327c782
    [
        0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7,
        0x82,
    ],
    // ARK, c0b406a4-a803-4952-9743-3fb6014cd0ae
    [
        0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0,
        0xae,
    ],
];

/// The certificates of a table, the leaf first; what is none of the four is left out. An empty table holds none.
pub(super) fn certificates(table: &[u8]) -> Result<Vec<Vec<u8>>, EvidenceError> {
    let bad = EvidenceError::CertificateTable;
    let mut found: [Option<Vec<u8>>; ORDER.len()] = Default::default();
    let mut rest = table;
    while !rest.is_empty() {
        let (entry, next) = rest
            .split_at_checked(ENTRY)
            .ok_or(bad("it ends within an entry"))?;
        rest = next;
        let (guid, place) = entry.split_at(16);
        if guid.iter().all(|byte| *byte == 0) {
            return Ok(found.into_iter().flatten().collect());
        }
        let number = |bytes: &[u8]| {
            bytes
                .try_into()
                .ok()
                .and_then(|bytes| usize::try_from(u32::from_le_bytes(bytes)).ok())
        };
        let (offset, length) = place.split_at(4);
        let bytes = number(offset)
            .zip(number(length))
            .and_then(|(offset, length)| table.get(offset..offset.checked_add(length)?))
            .ok_or(bad("a certificate lies outside of it"))?;
        for (known, slot) in ORDER.iter().zip(&mut found) {
            if guid == known {
                *slot = Some(bytes.to_vec());
            }
        }
    }
    if table.is_empty() {
        return Ok(Vec::new());
    }
    Err(bad("its entries have no end"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A table with these certificates by place in [`ORDER`]; a place beyond is an unknown GUID.
    pub(in super::super) fn table(entries: &[(usize, &[u8])]) -> Vec<u8> {
        let (mut head, mut body) = (Vec::new(), Vec::new());
        let start = (entries.len() + 1) * ENTRY;
        for (place, bytes) in entries {
            head.extend_from_slice(ORDER.get(*place).unwrap_or(&[9; 16]));
            head.extend_from_slice(&((start + body.len()) as u32).to_le_bytes());
            head.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            body.extend_from_slice(bytes);
        }
        head.extend_from_slice(&[0; ENTRY]);
        head.extend(body);
        head
    }

    #[test]
    fn the_leaf_comes_first_and_strangers_are_left_out() {
        let sound = table(&[(3, b"ark"), (7, b"crl"), (2, b"ask"), (0, b"vcek")]);
        let found = certificates(&sound).expect("sound");
        assert_eq!(found, [&b"vcek"[..], b"ask", b"ark"]);
        assert_eq!(certificates(&[]).expect("empty"), Vec::<Vec<u8>>::new());
        // Pages are padded with zeros.
        let mut padded = table(&[(1, b"vlek")]);
        padded.extend([0; 4_096]);
        assert_eq!(certificates(&padded).expect("sound"), [b"vlek"]);
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        let sound = table(&[(0, b"vcek")]);
        let mut outside = sound.clone();
        outside[20] = 5;
        let mut overflow = sound.clone();
        overflow[16..24].fill(0xff);
        for bad in [&sound[..10], &sound[..ENTRY + 3], &outside, &overflow] {
            assert!(certificates(bad).is_err(), "{bad:?}");
        }
        // Whole entries, the certificate inside of them, and no entry of zeros.
        let mut endless = sound[..ENTRY].to_vec();
        endless[16] = 0;
        assert!(certificates(&endless).is_err());
    }
}
