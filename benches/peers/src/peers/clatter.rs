//! Post-quantum Noise: pqNN with ML-KEM-768 of PQClean, and its hybrid with X25519. The AEAD is RustCrypto's.
//!
//! Channel: `send_in_place` and `receive_in_place`. Handshake: two states, two messages, both finalized.

use ::clatter::crypto::cipher::ChaChaPoly;
use ::clatter::crypto::dh::X25519;
use ::clatter::crypto::hash::Sha256;
use ::clatter::crypto::kem::pqclean_ml_kem::MlKem768;
use ::clatter::handshakepattern::{noise_hybrid_nn, noise_pqnn};
use ::clatter::traits::Handshaker;
use ::clatter::transportstate::TransportState;
use ::clatter::{HybridHandshake, HybridHandshakeParams, PqHandshake};

use crate::measure::{Channel, Contestant, per_batch};

pub(crate) const NAME: &str = "clatter";
const TAG: usize = 16;

type Transport = TransportState<ChaChaPoly, Sha256>;
type Pq = PqHandshake<MlKem768, MlKem768, ChaChaPoly, Sha256>;
type Hybrid = HybridHandshake<X25519, MlKem768, MlKem768, ChaChaPoly, Sha256>;

struct Buffers(Vec<u8>, Vec<u8>);

impl Buffers {
    fn new() -> Self {
        Self(vec![0; 4_096], vec![0; 4_096])
    }

    fn shake<H: Handshaker<ChaChaPoly, Sha256>>(
        &mut self,
        mut client: H,
        mut server: H,
    ) -> (Transport, Transport) {
        let Self(wire, payload) = self;
        let len = client.write_message(&[], wire).expect("the first message");
        server
            .read_message(&wire[..len], payload)
            .expect("the first message");
        let len = server.write_message(&[], wire).expect("the answer");
        client
            .read_message(&wire[..len], payload)
            .expect("the answer");
        (
            client.finalize().expect("done"),
            server.finalize().expect("done"),
        )
    }
}

fn pq(initiator: bool) -> Pq {
    Pq::new(noise_pqnn(), &[], initiator, None, None, None, None).expect("a state")
}

fn hybrid(initiator: bool) -> Hybrid {
    Hybrid::new(HybridHandshakeParams::new(noise_hybrid_nn(), initiator)).expect("a state")
}

struct Connected {
    client: Transport,
    server: Transport,
    wire: Vec<u8>,
    bytes: usize,
}

impl Channel for Connected {
    fn write(&mut self) {
        for message in self.wire.chunks_exact_mut(self.bytes + TAG) {
            self.client
                .send_in_place(message, self.bytes)
                .expect("seals");
        }
    }

    fn read(&mut self) {
        for message in self.wire.chunks_exact_mut(self.bytes + TAG) {
            let len = message.len();
            self.server.receive_in_place(message, len).expect("opens");
        }
    }
}

pub(super) fn channel(bytes: usize) -> Contestant {
    let (client, server) = Buffers::new().shake(pq(true), pq(false));
    let connected = Connected {
        client,
        server,
        wire: vec![7; (bytes + TAG) * per_batch(bytes)],
        bytes,
    };
    Contestant::channel(NAME, bytes, per_batch(bytes), connected)
}

pub(super) fn handshakes() -> Vec<Contestant> {
    let (mut first, mut second) = (Buffers::new(), Buffers::new());
    vec![
        Contestant::call("clatter pqNN", 1, move || {
            std::hint::black_box(first.shake(pq(true), pq(false)));
        }),
        Contestant::call("clatter hybrid NN", 1, move || {
            std::hint::black_box(second.shake(hybrid(true), hybrid(false)));
        }),
    ]
}
