//! TLS 1.3 with ChaCha20-Poly1305 on AWS-LC.
//!
//! Channel: `writer().write_all` and `write_tls` into a reused vector; `read_tls`, `process_new_packets` and `reader().read` out of it.
//! Handshake: two new connections until both are done, none resumed; an ECDSA P-256 certificate and two tickets, as usual. The lean one has an
//! Ed25519 certificate, as a bundle is signed, and no tickets.

use std::io::{Read, Write};
use std::sync::Arc;

use ::rustls::client::Resumption;
use ::rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use ::rustls::crypto::{CryptoProvider, SupportedKxGroup};
use ::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use ::rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
};

use crate::measure::{Channel, Contestant, per_batch};

pub(crate) const NAME: &str = "rustls";
pub(crate) const X25519MLKEM768: &str = "rustls X25519MLKEM768";
const HOST: &str = "localhost";

struct Configs {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Configs {
    fn new(group: &'static dyn SupportedKxGroup, lean: bool) -> Self {
        let provider = Arc::new(CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_CHACHA20_POLY1305_SHA256],
            kx_groups: vec![group],
            ..aws_lc_rs::default_provider()
        });
        let algorithm = if lean {
            &rcgen::PKCS_ED25519
        } else {
            &rcgen::PKCS_ECDSA_P256_SHA256
        };
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let certificate = rcgen::CertificateParams::new([HOST.to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        let certificate = certificate.der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a root");
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .expect("a certificate and its key");
        if lean {
            server.send_tls13_tickets = 0;
        }
        Self {
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }

    fn connect(&self, wire: &mut Vec<u8>) -> (ClientConnection, ServerConnection) {
        let host = ServerName::try_from(HOST).expect("a name");
        let mut client = ClientConnection::new(self.client.clone(), host).expect("a client");
        let mut server = ServerConnection::new(self.server.clone()).expect("a server");
        while client.is_handshaking() || server.is_handshaking() {
            carry(&mut client, &mut server, wire);
            carry(&mut server, &mut client, wire);
        }
        (client, server)
    }
}

fn carry<A, B>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>, wire: &mut Vec<u8>) {
    wire.clear();
    while from.wants_write() {
        from.write_tls(wire).expect("writes");
    }
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).expect("reads");
        to.process_new_packets().expect("accepts");
    }
}

struct Connected {
    client: ClientConnection,
    server: ServerConnection,
    plaintext: Vec<u8>,
    wire: Vec<u8>,
    messages: usize,
}

impl Channel for Connected {
    fn write(&mut self) {
        self.wire.clear();
        for _ in 0..self.messages {
            self.client
                .writer()
                .write_all(&self.plaintext)
                .expect("takes plaintext");
            while self.client.wants_write() {
                self.client.write_tls(&mut self.wire).expect("writes");
            }
        }
    }

    fn read(&mut self) {
        let mut rest = self.wire.as_slice();
        let mut unread = self.messages * self.plaintext.len();
        while unread > 0 {
            self.server.read_tls(&mut rest).expect("reads");
            let state = self.server.process_new_packets().expect("accepts");
            let mut ready = state.plaintext_bytes_to_read();
            while ready > 0 {
                let space = &mut self.plaintext;
                let read = self.server.reader().read(space).expect("gives plaintext");
                ready -= read;
                unread -= read;
            }
        }
    }
}

pub(super) fn channel(bytes: usize) -> Contestant {
    let mut wire = Vec::new();
    let (client, server) = Configs::new(kx_group::X25519, false).connect(&mut wire);
    let messages = per_batch(bytes);
    let plaintext = vec![7; bytes];
    let connected = Connected {
        client,
        server,
        plaintext,
        wire,
        messages,
    };
    Contestant::channel(NAME, bytes, messages, connected)
}

pub(super) fn handshakes() -> Vec<Contestant> {
    let lean = "rustls X25519MLKEM768, lean";
    [
        (X25519MLKEM768, kx_group::X25519MLKEM768, false),
        (lean, kx_group::X25519MLKEM768, true),
        ("rustls X25519", kx_group::X25519, false),
    ]
    .map(|(name, group, lean)| {
        let configs = Configs::new(group, lean);
        let mut wire = Vec::new();
        Contestant::call(name, 1, move || {
            std::hint::black_box(configs.connect(&mut wire));
        })
    })
    .into()
}
