//! RFC 9180 on the RustCrypto crates, base mode, one direction.
//!
//! Channel: `seal_inout_detached` and `open_inout_detached` in place, the tag written behind. Handshake: the receiver's key pair, sender and
//! receiver set up; it gives no answer's key, so it is less than the others do.

use ::hpke::aead::{AeadCtxR, AeadCtxS, AeadTag, ChaCha20Poly1305};
use ::hpke::inout::InOutBuf;
use ::hpke::kdf::HkdfSha256;
use ::hpke::kem::{MlKem768, X25519HkdfSha256, XWing};
use ::hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender};

use crate::measure::{Channel, Contestant, per_batch};

pub(crate) const NAME: &str = "hpke";
const TAG: usize = 16;

type Sender<K> = AeadCtxS<ChaCha20Poly1305, HkdfSha256, K>;
type Receiver<K> = AeadCtxR<ChaCha20Poly1305, HkdfSha256, K>;

fn connect<K: Kem>() -> (Sender<K>, Receiver<K>) {
    let (secret, public) = K::gen_keypair();
    let (key, sender) = setup_sender(&OpModeS::Base, &public, b"").expect("a sender");
    let receiver = setup_receiver(&OpModeR::Base, &secret, &key, b"").expect("a receiver");
    (sender, receiver)
}

struct Connected {
    sender: Sender<X25519HkdfSha256>,
    receiver: Receiver<X25519HkdfSha256>,
    wire: Vec<u8>,
    bytes: usize,
}

impl Channel for Connected {
    fn write(&mut self) {
        for message in self.wire.chunks_exact_mut(self.bytes + TAG) {
            let (body, space) = message.split_at_mut(self.bytes);
            let tag = self
                .sender
                .seal_inout_detached(InOutBuf::from(body), &[])
                .expect("seals");
            tag.write_exact(space);
        }
    }

    fn read(&mut self) {
        for message in self.wire.chunks_exact_mut(self.bytes + TAG) {
            let (body, tag) = message.split_at_mut(self.bytes);
            let tag = AeadTag::from_bytes(tag).expect("a tag");
            self.receiver
                .open_inout_detached(InOutBuf::from(body), &[], &tag)
                .expect("opens");
        }
    }
}

pub(super) fn channel(bytes: usize) -> Contestant {
    let (sender, receiver) = connect();
    let connected = Connected {
        sender,
        receiver,
        wire: vec![7; (bytes + TAG) * per_batch(bytes)],
        bytes,
    };
    Contestant::channel(NAME, bytes, per_batch(bytes), connected)
}

fn handshake<K: Kem>(name: &str) -> Contestant {
    Contestant::call(name, 1, || {
        std::hint::black_box(connect::<K>());
    })
}

pub(super) fn handshakes() -> Vec<Contestant> {
    vec![
        handshake::<XWing>("hpke X-Wing"),
        handshake::<MlKem768>("hpke ML-KEM-768"),
        handshake::<X25519HkdfSha256>("hpke X25519"),
    ]
}
