//! A receiver written down from section 6.3 of the specification, for frames in clear. Slow and simple on purpose.

use crate::drive::{Ev, Outcome};
use crate::wire::{Marks, Receiver};

/// What a receiver must release for these bytes and then the end of input, and with which error it ends.
pub fn receive(receiver: &Receiver, wire: &[u8]) -> Outcome {
    let mut state = Model::new(receiver);
    let error = state.run(wire).err();
    Outcome {
        events: state.events,
        error,
    }
}

/// What these bytes need of a receiver.
pub fn marks(receiver: &Receiver, wire: &[u8]) -> Marks {
    let mut state = Model::new(receiver);
    // The error is of no interest: what came before it counts.
    let _ = state.run(wire);
    Marks {
        frames: state.seq,
        bytes: state.bytes,
        pad_bytes: state.pad_bytes,
        empty: state.most_empty,
    }
}

/// The same for messages, each of which must be exactly one frame (section 9).
pub fn receive_messages(receiver: &Receiver, messages: &[Vec<u8>]) -> Outcome {
    let mut state = Model::new(receiver);
    let result = messages
        .iter()
        .try_for_each(|message| state.message(message));
    let ended = state.events.last().is_some_and(Ev::is_end);
    let end = if ended { Ok(()) } else { Err("truncated") };
    Outcome {
        error: result.and(end).err(),
        events: state.events,
    }
}

struct Model<'a> {
    receiver: &'a Receiver,
    seq: u64,
    bytes: u64,
    pad_bytes: u64,
    empty: u32,
    most_empty: u32,
    updated: bool,
    switched: bool,
    events: Vec<Ev>,
}

fn u24(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2])
}

impl Model<'_> {
    fn new(receiver: &Receiver) -> Model<'_> {
        Model {
            receiver,
            seq: 0,
            bytes: 0,
            pad_bytes: 0,
            empty: 0,
            most_empty: 0,
            updated: false,
            switched: false,
            events: Vec::new(),
        }
    }

    fn message(&mut self, message: &[u8]) -> Result<(), &'static str> {
        if self.events.last().is_some_and(Ev::is_end) && !message.is_empty() {
            return Err("trailing-data");
        }
        let Some([frame_type, length @ ..]) = message.first_chunk::<4>() else {
            return Err("bad-frame-length");
        };
        let range = match frame_type {
            1 => 20..=16_404,
            2 => 17..=528,
            _ => return Err("bad-frame-type"),
        };
        if !range.contains(&u24(length)) || message.len() != 4 + u24(length) {
            return Err("bad-frame-length");
        }
        match self.run(message) {
            // Nothing follows within the message; the half goes on.
            Err("truncated") => Ok(()),
            result => result,
        }
    }

    fn run(&mut self, mut wire: &[u8]) -> Result<(), &'static str> {
        loop {
            if self.events.last().is_some_and(Ev::is_end) {
                return if wire.is_empty() {
                    Ok(())
                } else {
                    Err("trailing-data")
                };
            }
            if wire.len() < 4 {
                return Err("truncated");
            }
            let length = u24(&wire[1..4]);
            match wire[0] {
                1 if !(20..=16_404).contains(&length) => return Err("bad-frame-length"),
                2 if !(17..=528).contains(&length) => return Err("bad-frame-length"),
                2 if self.receiver.c2s => return Err("unexpected-frame"),
                1 | 2 => {}
                _ => return Err("bad-frame-type"),
            }
            if self.seq == self.receiver.max_frames() {
                return Err("exhausted");
            }
            let cost = 4 + length as u64;
            if self.bytes + cost > self.receiver.max_bytes() {
                return Err("too-large");
            }
            if wire.len() < 4 + length {
                return Err("truncated");
            }
            let (frame, rest) = wire.split_at(4 + length);
            let body = &frame[4..frame.len() - 16];
            if frame[0] == 2 {
                self.events.push(Ev::Public(body.to_vec()));
            } else {
                self.sealed(body, length, cost)?;
            }
            self.bytes += cost;
            self.seq += 1;
            wire = rest;
        }
    }

    fn sealed(&mut self, plaintext: &[u8], length: usize, cost: u64) -> Result<(), &'static str> {
        let (padded, trailer) = plaintext.split_at(plaintext.len() - 4);
        let (inner, content_len) = (trailer[0], u24(&trailer[1..]));
        if !(1..=6).contains(&inner) {
            return Err("bad-inner-type");
        }
        let allowed = match inner {
            1 | 2 => content_len <= 16_384,
            3 => content_len >= 2,
            _ => content_len == 0,
        };
        if content_len > padded.len() || !allowed {
            return Err("bad-content-length");
        }
        let (content, zeros) = padded.split_at(content_len);
        if zeros.iter().any(|byte| *byte != 0) {
            return Err("bad-padding");
        }
        if inner == 5 && (!self.receiver.c2s || self.switched) {
            return Err("unexpected-frame");
        }
        if inner == 4 && self.receiver.c2s && !self.switched {
            return Err("unexpected-frame");
        }
        if inner == 4 && self.updated {
            return Err("key-update-flood");
        }
        if inner == 1 || inner == 6 {
            if length == 20 {
                self.empty += 1;
                self.most_empty = self.most_empty.max(self.empty);
                if self.empty > self.receiver.max_empty() {
                    return Err("empty-flood");
                }
            } else {
                self.empty = 0;
            }
            if content_len == 0 {
                self.pad_bytes += cost;
                if self.pad_bytes > self.receiver.max_pad_bytes() {
                    return Err("pad-budget");
                }
            }
        }
        match inner {
            1 if content_len > 0 => {
                self.updated = false;
                self.events.push(Ev::Data(content.to_vec()));
            }
            2 => self.events.push(Ev::Final(content.to_vec())),
            3 => {
                let code = u16::from_be_bytes([content[0], content[1]]);
                let message = String::from_utf8(content[2..].to_vec()).map_err(|_| "bad-error")?;
                self.events.push(Ev::Error(code, message));
            }
            4 => self.updated = true,
            5 => self.switched = true,
            _ => {}
        }
        Ok(())
    }
}
