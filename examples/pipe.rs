//! The sans-IO core over an in-memory pipe, no runtime at all: `cargo run --example pipe --features futures`.

mod common;

use common::{Result, instance, now, verified};
use sealwire::client::{self, ClientConfig, ResponseProgress};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::{Event, Limits, Opener, server};

fn main() -> Result<()> {
    let (provider, mut ring, bundle) = instance()?;
    let (bundle, context) = verified(&provider, &bundle, ring.identity().public_key())?;

    // Client: H1 and the whole request, as early data.
    let mut c2s = Vec::new();
    let (sealer, wait) = client::start(
        &provider,
        &ClientConfig::default(),
        &bundle,
        &context,
        &mut c2s,
    )?;
    sealer.finish(b"what does the pipe see?", &mut c2s)?;
    println!("client to instance: {} bytes", c2s.len());

    // Instance: H2, then the answer.
    let RequestProgress::Done { consumed, request } = ParsedRequest::read(&c2s)? else {
        return Err("H1 is not whole".into());
    };
    let mut s2c = Vec::new();
    let mut accepted = server::accept(
        &mut ring,
        request,
        &context.encode(),
        &Limits::default(),
        now(),
        &mut s2c,
    )?;
    let question = read_all(&mut accepted.opener, &mut c2s[consumed..])?;
    accepted.sealer.seal_vec(b"ciphertext, ", &mut s2c)?;
    accepted.sealer.finish(b"and lengths", &mut s2c)?;
    println!("instance to client: {} bytes", s2c.len());

    // Client: H2, then the answer.
    let ResponseProgress::Done {
        consumed,
        mut connected,
    } = wait.read(&s2c)?
    else {
        return Err("H2 is not whole".into());
    };
    let answer = read_all(&mut connected.opener, &mut s2c[consumed..])?;
    println!("{question} {answer}");
    Ok(())
}

fn read_all(opener: &mut Opener, mut wire: &mut [u8]) -> Result<String> {
    let mut text = Vec::new();
    loop {
        let opened = opener.open(wire)?;
        let consumed = opened.consumed;
        match opened.event {
            Event::Data(data) => text.extend_from_slice(data),
            Event::Final(data) => {
                text.extend_from_slice(data);
                return Ok(String::from_utf8(text)?);
            }
            Event::Error { message, .. } => return Err(message.into()),
            Event::NeedInput { .. } => {
                opener.end_of_input()?;
            }
            _ => {}
        }
        wire = &mut wire[consumed..];
    }
}
