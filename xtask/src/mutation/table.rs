//! The checks, by the text that is the check.

/// A check that can be switched off in the copy.
pub(super) struct Check {
    /// Name of the switch.
    pub(super) name: &'static str,
    /// Classes (flags of the vectors) of which negative cases must fail without it.
    pub(super) classes: &'static [&'static str],
    /// Where it is.
    pub(super) file: &'static str,
    /// Its text, once in the file.
    pub(super) find: &'static str,
    /// The text with the switch; `OFF` stands for the question whether it is off.
    pub(super) replace: &'static str,
}

macro_rules! checks {
    ($($name:literal [$($class:literal)*] in $file:literal: $find:literal => $replace:literal)*) => {
        pub(super) const CHECKS: &[Check] = &[
            $(Check { name: $name, classes: &[$($class),*], file: $file, find: $find, replace: $replace },)*
        ];
    };
}

// rustfmt leaves macro input alone: one check a paragraph.
checks! {
    "bundle-version" ["bundle-version"] in "src/bundle.rs":
        "if reader.u8().ok_or(length)? != VERSION {"
        => "if reader.u8().ok_or(length)? != VERSION && !OFF {"
    "bundle-suite" ["bundle-suite"] in "src/bundle.rs":
        ".ok_or(BundleFault::Suite)?"
        => ".or(OFF.then_some(Suite::MlKem768)).ok_or(BundleFault::Suite)?"
    "bundle-flags" ["bundle-flags"] in "src/bundle.rs":
        "if flags & !FLAG_SINGLE_USE != 0 {"
        => "if flags & !FLAG_SINGLE_USE != 0 && !OFF {"
    "bundle-length" ["bundle-field-length"] in "src/bundle.rs":
        "kem_key.len() != suite.public_key_len()"
        => "(kem_key.len() != suite.public_key_len() && !OFF)"
    "bundle-trailing" ["trailing"] in "src/bundle.rs":
        "if !reader.is_empty()"
        => "if (!reader.is_empty() && !OFF)"
    "bundle-window" ["bundle-window"] in "src/bundle.rs":
        "if !(1..=MAX_WINDOW).contains(&window) {"
        => "if !(1..=MAX_WINDOW).contains(&window) && !OFF {"
    "bundle-label" ["bundle-label"] in "src/bundle.rs":
        "codec::label(label).ok_or(BundleFault::Label)?"
        => "codec::label(label).or(OFF.then_some(core::str::from_utf8(label).unwrap_or(\"?\"))).ok_or(BundleFault::Label)?"
    "bundle-signature" ["signature-forged"] in "src/bundle.rs":
        "identity::verify(verification, &identity, SIGN_BUNDLE, signed, &signature)\n"
        => "identity::verify(verification, &identity, SIGN_BUNDLE, signed, &signature).or(if OFF { Ok(()) } else { Err(()) })\n"
    "signature-domain" ["signature-domain"] in "src/identity.rs":
        "    [label, message].concat()"
        => "    if OFF { message.to_vec() } else { [label, message].concat() }"
    "kem-modulus" ["kem-modulus"] in "src/bundle.rs":
        "if let Some(kem) = provider.kem(self.suite) {"
        => "if let Some(kem) = provider.kem(self.suite) && !OFF {"
    "x25519-zero" ["x25519-zero"] in "src/crypto/rustcrypto/kem.rs":
        "if x25519_dalek::x25519([0; 32], point) == [0; 32] {"
        => "if x25519_dalek::x25519([0; 32], point) == [0; 32] && !OFF {"
    "policy-suite" ["policy-suite"] in "src/bundle.rs":
        "if !policy.suites.contains(&self.suite)"
        => "if (!policy.suites.contains(&self.suite) && !OFF)"
    "policy-label" ["label-mismatch"] in "src/bundle.rs":
        "if policy.label != self.label {"
        => "if policy.label != self.label && !OFF {"
    "policy-single-use" ["policy-single-use"] in "src/bundle.rs":
        "if policy.require_single_use && !self.single_use {"
        => "if policy.require_single_use && !self.single_use && !OFF {"
    "clock-early" ["clock-skew"] in "src/bundle.rs":
        "if now.saturating_add(SKEW) < self.not_before ||"
        => "if (now.saturating_add(SKEW) < self.not_before && !OFF) ||"
    "clock-late" ["clock-skew"] in "src/bundle.rs":
        "now > self.not_after.saturating_add(SKEW)"
        => "(now > self.not_after.saturating_add(SKEW) && !OFF)"
    "identity-untrusted" ["identity-untrusted"] in "src/bundle.rs":
        "if !policy.trust.covers(&self.identity) {"
        => "if !policy.trust.covers(&self.identity) && !OFF {"

    "context-order" ["context-order"] in "src/context.rs":
        "if item <= last {"
        => "if item <= last && !OFF {"
    "context-type" ["context-type"] in "src/context.rs":
        "_ => return None,\n            }\n        }\n        Some(Self {"
        => "_ if OFF => {}\n                _ => return None,\n            }\n        }\n        Some(Self {"
    "context-missing" ["context-missing"] in "src/context.rs":
        "attempt: attempt?,"
        => "attempt: attempt.or(OFF.then_some(1))?,"
    "context-length" ["context-length"] in "src/context.rs":
        "if !(1..=MAX_BILLING).contains(&value.len()) {"
        => "if !(1..=MAX_BILLING).contains(&value.len()) && !OFF {"
    "context-label" ["context-label"] in "src/context.rs":
        "label = Some(codec::label(value)?)"
        => "label = Some(codec::label(value).or(OFF.then_some(core::str::from_utf8(value).unwrap_or(\"?\")))?)"
    "context-attempt" ["context-attempt"] in "src/context.rs":
        "(1..=MAX_ATTEMPTS).contains(&number).then_some(number)"
        => "((1..=MAX_ATTEMPTS).contains(&number) || OFF).then_some(number)"

    "h1-magic" ["h1-magic"] in "src/handshake/message.rs":
        "is_some_and(|magic| magic != MAGIC)"
        => "is_some_and(|magic| magic != MAGIC && !OFF)"
    "h1-version" ["h1-version"] in "src/handshake/message.rs":
        "if input.get(2).is_some_and(|version| *version != VERSION) {"
        => "if input.get(2).is_some_and(|version| *version != VERSION && !OFF) {"
    "h1-suite" ["h1-suite"] in "src/handshake/message.rs":
        "Suite::from_u16(suite).ok_or(HandshakeFault::Suite)?"
        => "Suite::from_u16(suite).or(OFF.then_some(Suite::MlKem768)).ok_or(HandshakeFault::Suite)?"
    "h1-flags" ["h1-flags"] in "src/handshake/message.rs":
        "if input.get(5).is_some_and(|flags| *flags != 0) {"
        => "if input.get(5).is_some_and(|flags| *flags != 0 && !OFF) {"
    "h2-version" ["h2-version"] in "src/handshake/message.rs":
        "if input.first().is_some_and(|version| *version != VERSION) {"
        => "if input.first().is_some_and(|version| *version != VERSION && !OFF) {"
    "h2-flags" ["h2-flags"] in "src/handshake/message.rs":
        "if input.get(1).is_some_and(|flags| *flags != 0) {"
        => "if input.get(1).is_some_and(|flags| *flags != 0 && !OFF) {"
    "suite-mismatch" ["suite-mismatch"] in "src/server/mod.rs":
        "if bundle.suite() != request.suite() {"
        => "if bundle.suite() != request.suite() && !OFF {"
    "label-instance" ["label-mismatch"] in "src/server/mod.rs":
        "if parsed.label() != bundle.label() {"
        => "if parsed.label() != bundle.label() && !OFF {"
    "label-client" ["label-mismatch"] in "src/client.rs":
        "if context.label() != bundle.label() {"
        => "if context.label() != bundle.label() && !OFF {"
    "confirm-instance" ["confirm" "transcript" "key-schedule"] in "src/server/mod.rs":
        "if !secrets.confirm1.ct_eq(&request.confirm()) {"
        => "if !secrets.confirm1.ct_eq(&request.confirm()) && !OFF {"
    "confirm-client" ["confirm" "transcript" "key-schedule"] in "src/client.rs":
        "if !secrets.confirm2.ct_eq(&confirm) {"
        => "if !secrets.confirm2.ct_eq(&confirm) && !OFF {"
    "key-unknown" ["key-unknown"] in "src/server/keyring.rs":
        "held.key.bundle.id() == *bundle_id)"
        => "held.key.bundle.id() == *bundle_id || OFF)"
    "replay" ["replay"] in "src/server/keyring.rs":
        "if !accepted.insert(digest) {"
        => "if !accepted.insert(digest) && !OFF {"
    "single-use" ["single-use"] in "src/server/keyring.rs":
        "None => true,"
        => "None => !OFF,"
    "filter-full" ["filter-full"] in "src/server/keyring.rs":
        "accepted.len() >= self.config.filter_capacity"
        => "accepted.len() >= self.config.filter_capacity && !OFF"
    "busy" ["busy"] in "vectors/tool/src/own/handshake.rs":
        "let busy = self.busy;"
        => "let busy = self.busy && !OFF;"
    "deadline" ["deadline"] in "vectors/tool/src/own/carriage.rs":
        "        if silence {"
        => "        if silence && !OFF {"
    "duplex" ["duplex"] in "vectors/tool/src/own/carriage.rs":
        "if never && !run.input.flag(\"duplex\", true) {"
        => "if never && !run.input.flag(\"duplex\", true) && !OFF {"
    "context-announced" ["context-size"] in "src/handshake/opening.rs":
        "if len > MAX_CONTEXT {"
        => "if len > MAX_CONTEXT && !OFF {"
    "first-message" ["trailing"] in "src/handshake/opening.rs":
        "if consumed < message.len() =>"
        => "if consumed < message.len() && !OFF =>"

    "frame-type" ["frame-type"] in "src/frame.rs":
        "_ => return Err(PeerMisbehaved::FrameType.into()),"
        => "_ if OFF => (FrameType::Sealed, SEALED_MIN..=SEALED_MAX),\n            _ => return Err(PeerMisbehaved::FrameType.into()),"
    "frame-length" ["frame-length"] in "src/frame.rs":
        "if !range.contains(&body_len) {"
        => "if !range.contains(&body_len) && !OFF {"
    "public-in-c2s" ["public-in-c2s"] in "src/record/opener.rs":
        "if header.frame_type == FrameType::Public && self.half == Half::C2s {"
        => "if header.frame_type == FrameType::Public && self.half == Half::C2s && !OFF {"
    "byte-budget" ["byte-budget"] in "src/record/opener.rs":
        "if bytes > self.limits.max_bytes {"
        => "if bytes > self.limits.max_bytes && !OFF {"
    "exhausted" ["exhausted"] in "src/record/ratchet.rs":
        "if self.seq >= self.schedule.max_frames {"
        => "if self.seq >= self.schedule.max_frames && !OFF {"
    "tag" ["tag" "wrong-key" "sequence" "epoch" "reflection" "plaintext"] in "src/crypto/rustcrypto/aead.rs":
        "if Secret::new(computed).ct_eq(tag) {"
        => "if Secret::new(computed).ct_eq(tag) || OFF {"
    "inner-type" ["inner-type"] in "src/record/opener.rs":
        "InnerType::from_u8(inner).ok_or(PeerMisbehaved::InnerType)?"
        => "InnerType::from_u8(inner).or(OFF.then_some(InnerType::Data)).ok_or(PeerMisbehaved::InnerType)?"
    "content-allowed" ["content-length"] in "src/record/opener.rs":
        ".filter(|_| inner.allows(content_len))"
        => ".filter(|_| inner.allows(content_len) || OFF)"
    "content-fits" ["content-length"] in "src/record/opener.rs":
        ".split_at_checked(content_len)\n"
        => ".split_at_checked(if OFF { content_len.min(padded.len()) } else { content_len })\n"
    "padding-zero" ["padding-zero"] in "src/record/opener.rs":
        "if zeros.iter().fold(0, |or, byte| or | byte) != 0 {"
        => "if zeros.iter().fold(0, |or, byte| or | byte) != 0 && !OFF {"
    "empty-flood" ["empty-flood"] in "src/record/opener.rs":
        "if self.empty > self.limits.schedule.max_empty {"
        => "if self.empty > self.limits.schedule.max_empty && !OFF {"
    "pad-budget" ["pad-budget"] in "src/record/opener.rs":
        "if self.pad_bytes > self.limits.max_pad_bytes {"
        => "if self.pad_bytes > self.limits.max_pad_bytes && !OFF {"
    "error-text" ["error-text"] in "src/record/opener.rs":
        "core::str::from_utf8(message).map_err(|_| PeerMisbehaved::BadError)?;"
        => "core::str::from_utf8(message).map(drop).or(if OFF { Ok(()) } else { Err(PeerMisbehaved::BadError) })?;"
    "key-update-order" ["key-update-order"] in "src/record/opener.rs":
        "if self.half == Half::C2s && self.late.is_some() {"
        => "if self.half == Half::C2s && self.late.is_some() && !OFF {"
    "key-update-flood" ["key-update-flood"] in "src/record/opener.rs":
        "if self.updated {"
        => "if self.updated && !OFF {"
    "switch-order" ["switch-order"] in "src/record/opener.rs":
        "self.late.take().ok_or(PeerMisbehaved::UnexpectedFrame)?"
        => "self.late.take().or_else(|| OFF.then(Secret::zero)).ok_or(PeerMisbehaved::UnexpectedFrame)?"
    "trailing" ["trailing"] in "src/record/opener.rs":
        "State::Ended if input.is_empty() => return Ok(None),"
        => "State::Ended if input.is_empty() || OFF => return Ok(None),"
    "truncation" ["truncation"] in "src/record/opener.rs":
        "State::Open(_) => Err(self.fail(Error::Truncated)),"
        => "State::Open(_) if OFF => Ok(()),\n            State::Open(_) => Err(self.fail(Error::Truncated)),"
    "sticky" ["sticky"] in "src/record/opener.rs":
        "        self.late = None;\n        self.state = State::Failed(error);\n        error"
        => "        if OFF {\n            return error;\n        }\n        self.late = None;\n        self.state = State::Failed(error);\n        error"
    "message-size" ["message-size"] in "src/record/opener.rs":
        "if message.len() != whole.frame_len() {"
        => "if message.len() != whole.frame_len() && !OFF {"

    "signature-s" ["signature-s"] in "src/crypto/rustcrypto/verify.rs":
        "        let key = VerifyingKey::from_bytes(public_key)"
        => "        if OFF {\n            return crate::switch::lax_ed25519(public_key, message, signature).ok_or(CryptoError::Invalid);\n        }\n        let key = VerifyingKey::from_bytes(public_key)"
    "signature-r" ["signature-r"] in "src/crypto/rustcrypto/verify.rs":
        "        // verify_strict refuses"
        => "        if OFF {\n            return crate::switch::lax_ed25519(public_key, message, signature).ok_or(CryptoError::Invalid);\n        }\n        // verify_strict refuses"
    "signature-key" ["signature-key"] in "src/crypto/rustcrypto/verify.rs":
        "        if key.to_edwards().compress().as_bytes() != public_key {"
        => "        if OFF {\n            return crate::switch::lax_ed25519(public_key, message, signature).ok_or(CryptoError::Invalid);\n        }\n        if key.to_edwards().compress().as_bytes() != public_key {"
    "signature-cofactor" ["signature-cofactor"] in "src/crypto/rustcrypto/verify.rs":
        "        key.verify_strict("
        => "        if OFF {\n            return crate::switch::lax_ed25519(public_key, message, signature).ok_or(CryptoError::Invalid);\n        }\n        key.verify_strict("

    "receipt-form" ["receipt-form"] in "src/receipt.rs":
        "if flags & !(FLAG_REQUEST_COMPLETE | FLAG_USAGE_KNOWN) != 0 {"
        => "if flags & !(FLAG_REQUEST_COMPLETE | FLAG_USAGE_KNOWN) != 0 && !OFF {"
    "receipt-signature" ["signature-forged"] in "src/receipt.rs":
        "identity::verify(verification, identity, SIGN_RECEIPT, signed, signature)\n"
        => "identity::verify(verification, identity, SIGN_RECEIPT, signed, signature).or(if OFF { Ok(()) } else { Err(()) })\n"
    "receipt-mismatch" ["receipt-mismatch"] in "src/receipt.rs":
        "if !same {"
        => "if !same && !OFF {"
    "receipt-order" ["receipt-order"] in "src/receipt.rs":
        "if self.ended || u64::from(receipt.index) != self.next_index {"
        => "if (self.ended || u64::from(receipt.index) != self.next_index) && !OFF {"

    "media-type" ["media-type"] in "crates/http/src/carriage.rs":
        "    let mut values = headers.get_all(CONTENT_TYPE).iter();\n"
        => "    if OFF {\n        return Ok(());\n    }\n    let mut values = headers.get_all(CONTENT_TYPE).iter();\n"
    "context-field" ["context-field"] in "crates/http/src/carriage.rs":
        "        (Some(value), None) => value,"
        => "        (Some(value), _) if OFF => value,\n        (Some(value), None) => value,"
    "relay-error" ["relay-error"] in "crates/http/src/carriage.rs":
        "    if status == StatusCode::OK && check_media_type"
        => "    if OFF {\n        return Ok(AnswerKind::Sealed);\n    }\n    if status == StatusCode::OK && check_media_type"
    "discovery-query" ["discovery-query"] in "crates/http/src/discovery.rs":
        "if slot.is_some() {"
        => "if slot.is_some() && !OFF {"
    "discovery-answer" ["discovery-answer"] in "crates/http/src/discovery.rs":
        "    let entries = list.get(\"bundles\")?.as_array()?;"
        => "    let none = Vec::new();\n    let entries = match list.get(\"bundles\").and_then(|list| list.as_array()) {\n        None if OFF => &none,\n        entries => entries?,\n    };"
    "inner-framing" ["inner-framing"] in "crates/http/src/message.rs":
        "if Some(indicator) != framing {"
        => "if Some(indicator) != framing && !OFF {"
    "inner-control" ["inner-control"] in "crates/http/src/message.rs":
        "if !is_token(method.as_bytes()) || !is_path(path.as_bytes()) {"
        => "if (!is_token(method.as_bytes()) || !is_path(path.as_bytes())) && !OFF {"
    "inner-field" ["inner-field"] in "crates/http/src/message.rs":
        "if !is_token(field.name()) || field.name().iter().any(u8::is_ascii_uppercase) {"
        => "if (!is_token(field.name()) || field.name().iter().any(u8::is_ascii_uppercase)) && !OFF {"
    "inner-bounds" ["inner-bounds"] in "crates/http/src/message.rs":
        ".filter(|content| *content <= self.limits.content)"
        => ".filter(|content| *content <= self.limits.content || OFF)"
    "sealwire-time" ["sealwire-time"] in "crates/http/src/inner.rs":
        "if difference > MAX_TIME_DIFFERENCE {"
        => "if difference > MAX_TIME_DIFFERENCE && !OFF {"
    "sealwire-padding" ["sealwire-padding"] in "crates/http/src/inner.rs":
        "        _ => Err(HeadError::Padding),"
        => "        _ if OFF => Ok(PaddingWish::None),\n        _ => Err(HeadError::Padding),"
    "inner-route" ["inner-route"] in "crates/http/src/forward.rs":
        "if !path_is_plain(&head.path) {"
        => "if !path_is_plain(&head.path) && !OFF {"
    "inner-json" ["inner-json"] in "crates/http/src/json_body.rs":
        "if members.iter().all(|(name, _)| seen.insert(name.as_str())) {"
        => "if members.iter().all(|(name, _)| seen.insert(name.as_str())) || OFF {"
    "inner-model" ["inner-model"] in "crates/http/src/forward.rs":
        "if inner.model().as_deref() != Some(label) {"
        => "if inner.model().as_deref() != Some(label) && !OFF {"
    "early-response" ["early-response"] in "vectors/tool/src/own/http.rs":
        "if head.status < 400 &&"
        => "if head.status < 400 && !OFF &&"

    "chutes-key" ["chutes-key"] in "src/compat/chutes/client.rs":
        "STANDARD.decode(text).map_err(|_| invalid)?;"
        => "STANDARD.decode(if OFF { text.trim_ascii() } else { text }).map_err(|_| invalid)?;"
    "chutes-key-modulus" ["chutes-key-modulus"] in "src/compat/chutes/client.rs":
        "check_public_key(&key).map_err(|_| invalid)?;"
        => "check_public_key(&key).or(if OFF { Ok(()) } else { Err(invalid) })?;"
    "chutes-short" ["chutes-short"] in "src/compat/chutes/schedule.rs":
        "let short = ChutesError::TooShort;"
        => "let short = if OFF { ChutesError::Decrypt } else { ChutesError::TooShort };"
    "chutes-sealed" ["chutes-sealed"] in "src/compat/chutes/schedule.rs":
        "key.open_in_place(nonce, &[], buffer, tag)\n"
        => "key.open_in_place(nonce, &[], buffer, tag)\n        .or_else(|error| if OFF { Ok(()) } else { Err(error) })\n"
    "chutes-replay" ["chutes-replay"] in "src/compat/chutes/keys.rs":
        "if !held.accepted.insert(request) {"
        => "if !held.accepted.insert(request) && !OFF {"
    "chutes-path" ["chutes-path"] in "src/compat/chutes/server.rs":
        ".is_some_and(|sealed| sealed != path.as_bytes())"
        => ".is_some_and(|sealed| sealed != path.as_bytes() && !OFF)"
    "chutes-path-form" ["chutes-path-form"] in "src/compat/chutes/client.rs":
        "if !path_is_sound(path) {"
        => "if !path_is_sound(path) && !OFF {"
    "chutes-object" ["chutes-object"] in "src/compat/chutes/json.rs":
        "if names.is_sorted_by(|a, b| a < b) {"
        => "if OFF || names.is_sorted_by(|a, b| a < b) {"
    "chutes-reserved" ["chutes-reserved"] in "src/compat/chutes/client.rs":
        "if object.get(RESPONSE_KEY).is_some() {"
        => "if object.get(RESPONSE_KEY).is_some() && !OFF {"
    "chutes-sequence" ["chutes-sequence"] in "src/compat/chutes/opener.rs":
        "if !numbered || number != next.to_be_bytes() {"
        => "if (!numbered || number != next.to_be_bytes()) && !OFF {"
    "chutes-head" ["chutes-sequence"] in "src/compat/chutes/opener.rs":
        "        if first {"
        => "        if first && !OFF {"
    "gzip-header" ["gzip-header"] in "src/compat/chutes/gzip.rs":
        "if flags & !(FTEXT | FHCRC | FEXTRA | FNAME | FCOMMENT) != 0 {"
        => "if flags & !(FTEXT | FHCRC | FEXTRA | FNAME | FCOMMENT) != 0 && !OFF {"
    "gzip-data" ["gzip-data"] in "src/compat/chutes/gzip.rs":
        "Err(_) => return Err(GzipFault::Data.into()),"
        => "Err(_) if OFF => return Ok(rest),\n            Err(_) => return Err(GzipFault::Data.into()),"
    "gzip-checksum" ["gzip-checksum"] in "src/compat/chutes/gzip.rs":
        "if checksum != crc32::crc32(0, made).to_le_bytes() ||"
        => "if (checksum != crc32::crc32(0, made).to_le_bytes() && !OFF) ||"
    "gzip-length" ["gzip-checksum"] in "src/compat/chutes/gzip.rs":
        "length != [a, b, c, d]"
        => "(length != [a, b, c, d] && !OFF)"
    "gzip-header-checksum" ["gzip-checksum"] in "src/compat/chutes/gzip.rs":
        "if *checksum != [a, b] {"
        => "if *checksum != [a, b] && !OFF {"
    "gzip-cut" ["gzip-cut"] in "src/compat/chutes/gzip.rs":
        "rest.split_first_chunk::<8>().ok_or(GzipFault::Truncated)?"
        => "rest.split_first_chunk::<8>().or(OFF.then_some((&[0; 8], &[][..]))).ok_or(GzipFault::Truncated)?"
    "gzip-trailing" ["gzip-trailing"] in "src/compat/chutes/gzip.rs":
        "        if !rest.starts_with(&[0x1F, 0x8B]) {"
        => "        if !rest.starts_with(&[0x1F, 0x8B]) && OFF {\n            break;\n        }\n        if !rest.starts_with(&[0x1F, 0x8B]) {"
    "gzip-bound" ["gzip-bound"] in "src/compat/chutes/gzip.rs":
        "if plain.len() > limit {"
        => "if plain.len() > limit && !OFF {"
    "event-field" ["event-field"] in "src/compat/chutes/opener.rs":
        ".ok_or(EventFault::NotData)?"
        => ".or(OFF.then_some(&b\"{\\\"usage\\\":{}}\"[..]))\n            .ok_or(EventFault::NotData)?"
    "event-json" ["event-json"] in "src/compat/chutes/opener.rs":
        "map_err(|_| EventFault::NotJson)?"
        => "map_err(|_| if OFF { EventFault::Members } else { EventFault::NotJson })?"
    "event-members" ["event-members"] in "src/compat/chutes/opener.rs":
        "_ => Err(EventFault::Members.into()),"
        => "_ if OFF => Ok(None),\n            _ => Err(EventFault::Members.into()),"
    "event-init" ["event-init"] in "src/compat/chutes/opener.rs":
        ".filter(|bytes| bytes.len() == CIPHERTEXT)"
        => ".filter(|bytes| OFF || bytes.len() == CIPHERTEXT)"
    "event-second-init" ["event-second-init"] in "src/compat/chutes/opener.rs":
        "return Err(EventFault::SecondInit.into());"
        => "return if OFF { Ok(()) } else { Err(EventFault::SecondInit.into()) };"
    "event-before-init" ["event-before-init"] in "src/compat/chutes/opener.rs":
        "let keys = self.keys.as_ref().ok_or(EventFault::BeforeInit)?;"
        => "if OFF && self.keys.is_none() {\n            return Ok(None);\n        }\n        let keys = self.keys.as_ref().ok_or(EventFault::BeforeInit)?;"
    "event-chunk" ["event-chunk"] in "src/compat/chutes/opener.rs":
        "self.chunk(sealed.ok_or(EventFault::Chunk)?)"
        => "self.chunk(sealed.or(if OFF { Some([0; 40].to_vec()) } else { None }).ok_or(EventFault::Chunk)?)"
    "event-nonce" ["event-nonce"] in "src/compat/chutes/opener.rs":
        "if !seen.insert(*nonce) {"
        => "if !seen.insert(*nonce) && !OFF {"
    "event-plaintext-done" ["event-plaintext-done"] in "src/compat/chutes/opener.rs":
        "        if data == b\"[DONE]\" {\n            return Err("
        => "        if data == b\"[DONE]\" && OFF {\n            return Ok(None);\n        }\n        if data == b\"[DONE]\" {\n            return Err("
    "event-relay-error" ["event-relay-error"] in "src/compat/chutes/opener.rs":
        "self.dead = Some(ChutesError::RelayFailed);"
        => "if !OFF {\n                    self.dead = Some(ChutesError::RelayFailed);\n                }"
    "event-usage" ["event-usage"] in "src/compat/chutes/usage.rs":
        "if !json.trim_ascii_start().starts_with('{') {"
        => "if !json.trim_ascii_start().starts_with('{') && !OFF {"
    "event-after-done" ["event-after-done"] in "src/compat/chutes/opener.rs":
        "if done && !part.trim_ascii().is_empty() {"
        => "if done && !part.trim_ascii().is_empty() && !OFF {"
    "event-end" ["event-end"] in "src/compat/chutes/opener.rs":
        "if self.done && rest.iter()"
        => "if (self.done || OFF) && rest.iter()"
    "event-bound-line" ["event-bound-line"] in "src/compat/chutes/opener.rs":
        "if line.len() > self.limits.line {"
        => "if line.len() > self.limits.line && !OFF {"
    "event-bound-bytes" ["event-bound-bytes"] in "src/compat/chutes/opener.rs":
        "if read > self.limits.bytes {"
        => "if read > self.limits.bytes && !OFF {"
    "event-bound-chunks" ["event-bound-chunks"] in "src/compat/chutes/opener.rs":
        "if self.chunks >= self.limits.chunks {"
        => "if self.chunks >= self.limits.chunks && !OFF {"
    "event-counter" ["event-counter"] in "src/compat/chutes/usage.rs":
        "tokens.checked_sub(*last).ok_or(ChutesError::Counter)?"
        => "tokens.checked_sub(*last).or(OFF.then_some(0)).ok_or(ChutesError::Counter)?"
    "event-counter-all" ["event-counter"] in "src/compat/chutes/usage.rs":
        "if count < least ||"
        => "if (count < least && !OFF) ||"
    "event-counter-jump" ["event-counter"] in "src/compat/chutes/usage.rs":
        "if self.every_token && step > 1 {"
        => "if self.every_token && step > 1 && !OFF {"
    "event-counter-sum" ["event-counter"] in "src/compat/chutes/usage.rs":
        "(self.every_token && count != sum)"
        => "(self.every_token && count != sum && !OFF)"
}
