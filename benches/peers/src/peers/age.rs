//! The STREAM of age, to an X25519 recipient.
//!
//! Channel: `StreamWriter` given 64 KiB, one of its chunks, into a pipe in memory; `StreamReader` giving as much. The writer holds one chunk back, so
//! each write seals the chunk before. Header and file key are made once and not timed.

use std::io::{Read, Write};
use std::iter;

use ::age::stream::{StreamReader, StreamWriter};
use ::age::{Decryptor, Encryptor, x25519};

use super::Pipe;
use crate::measure::{Channel, Contestant};

pub(crate) const NAME: &str = "age";
const CHUNK: usize = 64 * 1024;

struct Connected {
    writer: StreamWriter<Pipe>,
    reader: StreamReader<Pipe>,
    plaintext: Vec<u8>,
}

impl Channel for Connected {
    fn write(&mut self) {
        self.writer.write_all(&self.plaintext).expect("seals");
    }

    fn read(&mut self) {
        self.reader.read_exact(&mut self.plaintext).expect("opens");
    }
}

pub(super) fn channel() -> Contestant {
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public();
    let pipe = Pipe::default();
    let mut writer = Encryptor::with_recipients(iter::once(&recipient as _))
        .expect("a recipient")
        .wrap_output(pipe.clone())
        .expect("a header");
    let plaintext = vec![7; CHUNK];
    // The first chunk stays in the writer.
    writer.write_all(&plaintext).expect("seals");
    let reader = Decryptor::new(pipe)
        .and_then(|header| header.decrypt(iter::once(&identity as _)))
        .expect("a header");
    let connected = Connected {
        writer,
        reader,
        plaintext,
    };
    Contestant::channel(NAME, CHUNK, 1, connected)
}
