//! Noise_NN_25519_ChaChaPoly_SHA256, with the default resolver and with ring's.
//!
//! Channel: `write_message` into reused buffers and `read_message` out of them; its API copies and has nothing in place.
//! Handshake: two states built, two messages, both in transport mode.

use ::snow::resolvers::{BoxedCryptoResolver, DefaultResolver, FallbackResolver, RingResolver};
use ::snow::{Builder, TransportState};

use crate::measure::{Channel, Contestant, per_batch};

pub(crate) const DEFAULT: &str = "snow default";
pub(crate) const RING: &str = "snow ring";
const PATTERN: &str = "Noise_NN_25519_ChaChaPoly_SHA256";
const TAG: usize = 16;

fn resolver(name: &str) -> BoxedCryptoResolver {
    if name == RING {
        // ring's part of it has no X25519.
        Box::new(FallbackResolver::new(
            Box::new(RingResolver),
            Box::new(DefaultResolver),
        ))
    } else {
        Box::new(DefaultResolver)
    }
}

fn connect(name: &str, first: &mut [u8], second: &mut [u8]) -> (TransportState, TransportState) {
    let builder = || Builder::with_resolver(PATTERN.parse().expect("a pattern"), resolver(name));
    let mut client = builder().build_initiator().expect("a client");
    let mut server = builder().build_responder().expect("a server");
    let len = client.write_message(&[], first).expect("e");
    server.read_message(&first[..len], second).expect("e");
    let len = server.write_message(&[], first).expect("e, ee");
    client.read_message(&first[..len], second).expect("e, ee");
    (
        client.into_transport_mode().expect("done"),
        server.into_transport_mode().expect("done"),
    )
}

struct Connected {
    client: TransportState,
    server: TransportState,
    plaintext: Vec<u8>,
    wire: Vec<u8>,
}

impl Channel for Connected {
    fn write(&mut self) {
        for message in self.wire.chunks_exact_mut(self.plaintext.len() + TAG) {
            self.client
                .write_message(&self.plaintext, message)
                .expect("seals");
        }
    }

    fn read(&mut self) {
        for message in self.wire.chunks_exact(self.plaintext.len() + TAG) {
            self.server
                .read_message(message, &mut self.plaintext)
                .expect("opens");
        }
    }
}

pub(super) fn channel(name: &str, bytes: usize) -> Contestant {
    let (client, server) = connect(name, &mut [0; 256], &mut [0; 256]);
    let connected = Connected {
        client,
        server,
        plaintext: vec![7; bytes],
        wire: vec![0; (bytes + TAG) * per_batch(bytes)],
    };
    Contestant::channel(name, bytes, per_batch(bytes), connected)
}

pub(super) fn handshake(name: &'static str) -> Contestant {
    let (mut first, mut second) = ([0; 256], [0; 256]);
    Contestant::call(name, 1, move || {
        std::hint::black_box(connect(name, &mut first, &mut second));
    })
}
