//! Runs operations on a sealer, against a model of what each must answer and of what the receiver must get.

use arbitrary::Arbitrary;
use sealwire::{
    ApiMisuse, CryptoProvider, Error, Half, Limits, Opener, Padding, Sealer, StreamErrorCode,
    testing,
};

use crate::drive::Ev;
use crate::wire::Bytes;

const SECRET: [u8; 32] = [0x11; 32];
const LATE: [u8; 32] = [0x22; 32];
/// Content of one run at most, so that runs stay fast.
const MAX_TOTAL: usize = 256 * 1024;

#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    c2s: bool,
    early_allowed: bool,
    epoch_frames: u8,
    max_frames: Option<u8>,
    ops: Vec<Op>,
    end: Option<End>,
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Op {
    Seal { content: Bytes, room: Room },
    SealInPlace { content: Bytes, room: Room },
    SealVec(Bytes),
    Pad(u16),
    KeyUpdate,
    Switch,
    Public(Bytes),
    SetPadding(Policy),
}

/// The output buffer, compared with what the frame needs.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Room {
    Exact,
    More(u8),
    Less(u16),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Policy {
    None,
    Buckets,
    Padme,
    Fixed(u16),
}

#[derive(Arbitrary, Clone, Debug)]
pub enum End {
    Finish(Bytes),
    Fail {
        code: u16,
        message: String,
        repeat: u8,
    },
}

/// What the script sealed.
pub struct Sealed {
    pub wire: Vec<u8>,
    /// Where each frame ends, and what it releases.
    pub frames: Vec<(usize, Option<Ev>)>,
    /// FINAL or ERROR was sealed.
    pub ended: bool,
}

impl Sealed {
    /// All that the receiver must get.
    pub fn events(&self) -> Vec<Ev> {
        self.frames
            .iter()
            .filter_map(|(_, ev)| ev.clone())
            .collect()
    }
}

impl Script {
    pub fn half(&self) -> Half {
        if self.c2s { Half::C2s } else { Half::S2c }
    }

    fn max_frames(&self) -> u64 {
        self.max_frames.map_or(1 << 48, u64::from)
    }

    fn limits(&self) -> Limits {
        Limits::DEFAULT.with_max_pad_bytes(u64::MAX).with_schedule(
            u32::from(self.epoch_frames).max(1),
            self.max_frames(),
            u32::MAX,
        )
    }

    /// The receiver of what [`Script::run`] seals.
    pub fn opener(&self, provider: &CryptoProvider) -> Opener {
        testing::opener(
            provider,
            &self.limits(),
            self.half(),
            SECRET,
            self.c2s.then_some(LATE),
        )
        .unwrap()
    }

    /// Runs the script; every answer is compared with the model's.
    pub fn run(&self, provider: &CryptoProvider) -> Sealed {
        let sealer = testing::sealer(
            provider,
            &self.limits(),
            self.half(),
            SECRET,
            self.early_allowed,
        )
        .unwrap();
        assert_eq!(sealer.half(), self.half());
        let mut run = Run {
            sealer,
            c2s: self.c2s,
            early: self.c2s,
            forbidden: self.c2s && !self.early_allowed,
            updated: false,
            dead: None,
            left: self.max_frames(),
            padding: Policy::Buckets,
            sealed: Sealed {
                wire: Vec::new(),
                frames: Vec::new(),
                ended: false,
            },
        };
        for op in &self.ops {
            if run.sealed.wire.len() > MAX_TOTAL {
                break;
            }
            run.op(op);
        }
        match &self.end {
            None => run.sealed,
            Some(end) => run.end(end),
        }
    }
}

struct Run {
    sealer: Sealer,
    c2s: bool,
    early: bool,
    forbidden: bool,
    updated: bool,
    dead: Option<Error>,
    left: u64,
    padding: Policy,
    sealed: Sealed,
}

impl Policy {
    fn size(self) -> usize {
        match self {
            Self::Fixed(size) => usize::from(size),
            _ => 16_384,
        }
    }

    /// Section 6.5.
    fn padded(self, len: usize) -> usize {
        match self {
            Self::None => len,
            Self::Buckets => [64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384]
                .into_iter()
                .find(|bucket| *bucket >= len)
                .unwrap(),
            Self::Padme if len < 2 => len,
            Self::Padme => {
                let e = usize::BITS - 1 - len.leading_zeros();
                let s = (u32::BITS - 1 - e.leading_zeros().min(31)) + 1;
                let m = (1_usize << e.saturating_sub(s)) - 1;
                (len + m) & !m
            }
            Self::Fixed(size) => usize::from(size),
        }
    }
}

impl Run {
    /// What forbids content now.
    fn content_refused(&self) -> Option<Error> {
        self.dead.or(self
            .forbidden
            .then_some(ApiMisuse::EarlyDataForbidden.into()))
    }

    /// Notes a frame that must have been sealed, or the sealer's death.
    fn frame(&mut self, len: usize, ev: Option<Ev>, end: &mut usize) -> Result<(), Error> {
        if self.left == 0 {
            self.dead = Some(Error::Exhausted);
            return Err(Error::Exhausted);
        }
        self.left -= 1;
        if let Some(Ev::Data(_)) = ev {
            self.updated = false;
        }
        *end += len;
        self.sealed.frames.push((*end, ev));
        Ok(())
    }

    fn sealed_frame(
        &mut self,
        padded: usize,
        ev: Option<Ev>,
        end: &mut usize,
    ) -> Result<(), Error> {
        self.frame(24 + padded, ev, end)
    }

    fn content_frame(&mut self, content: &[u8], end: &mut usize) -> Result<(), Error> {
        let ev = (!content.is_empty()).then(|| Ev::Data(content.to_vec()));
        self.sealed_frame(self.padding.padded(content.len()), ev, end)
    }

    /// `got` came with `out` appended; the model says `expected` and where the wire ends.
    fn settle(
        &mut self,
        got: Result<(), Error>,
        out: &[u8],
        expected: Result<(), Error>,
        end: usize,
    ) {
        assert_eq!(got, expected);
        self.sealed.wire.extend_from_slice(out);
        assert_eq!(self.sealed.wire.len(), end, "frames of another length");
    }

    fn op(&mut self, op: &Op) {
        let mut end = self.sealed.wire.len();
        let mut out = Vec::new();
        match op {
            Op::Seal { content, room } => self.seal(&content.to_vec(17_000), *room, false),
            Op::SealInPlace { content, room } => self.seal(&content.to_vec(17_000), *room, true),
            Op::SealVec(content) => {
                let content = content.to_vec(40_000);
                let got = self.sealer.seal_vec(&content, &mut out);
                let expected = self.content_refused().map_or(Ok(()), Err).and_then(|()| {
                    content
                        .chunks(self.padding.size())
                        .try_for_each(|piece| self.content_frame(piece, &mut end))
                });
                self.settle(got, &out, expected, end);
            }
            Op::Pad(len) => {
                let len = usize::from(*len);
                let got = self.sealer.pad(len, &mut out);
                let padded = match self.padding {
                    Policy::Fixed(size) => usize::from(size),
                    _ => len,
                };
                let expected = match self.content_refused() {
                    Some(error) => Err(error),
                    None if padded > 16_384 => Err(ApiMisuse::ContentTooLong.into()),
                    None => self.sealed_frame(padded, None, &mut end),
                };
                self.settle(got, &out, expected, end);
            }
            Op::KeyUpdate => {
                let got = self.sealer.key_update(&mut out);
                let expected = if let Some(error) = self.dead {
                    Err(error)
                } else if self.early || self.updated {
                    Err(ApiMisuse::KeyUpdateNow.into())
                } else {
                    self.sealed_frame(self.padding.padded(0), None, &mut end)
                };
                self.updated |= expected.is_ok();
                self.settle(got, &out, expected, end);
            }
            Op::Switch => {
                let got = self.sealer.switch(testing::switch_key(LATE), &mut out);
                let expected = if let Some(error) = self.dead {
                    Err(error)
                } else if !self.early {
                    Err(ApiMisuse::SwitchNow.into())
                } else {
                    self.sealed_frame(self.padding.padded(0), None, &mut end)
                };
                if expected.is_ok() {
                    self.early = false;
                    self.forbidden = false;
                }
                self.settle(got, &out, expected, end);
            }
            Op::Public(body) => {
                let body = body.to_vec(600);
                let got = self.sealer.public(&body, &mut out);
                let expected = if let Some(error) = self.dead {
                    Err(error)
                } else if self.c2s {
                    Err(ApiMisuse::PublicInC2s.into())
                } else if !(1..=512).contains(&body.len()) {
                    Err(ApiMisuse::PublicLength.into())
                } else {
                    let len = body.len() + 20;
                    self.frame(len, Some(Ev::Public(body)), &mut end)
                };
                self.settle(got, &out, expected, end);
            }
            Op::SetPadding(policy) => {
                let padding = match policy {
                    Policy::None => Ok(Padding::None),
                    Policy::Buckets => Ok(Padding::Buckets),
                    Policy::Padme => Ok(Padding::Padme),
                    Policy::Fixed(size) => Padding::fixed(usize::from(*size)),
                };
                if let Policy::Fixed(size) = policy {
                    assert_eq!(padding.is_ok(), (2..=16_384).contains(size));
                }
                if let Ok(padding) = padding {
                    self.sealer.set_padding(padding);
                    self.padding = *policy;
                    assert_eq!(self.sealer.max_content(), policy.size());
                }
            }
        }
        assert_eq!(self.sealer.may_seal(), !self.forbidden);
    }

    fn seal(&mut self, content: &[u8], room: Room, in_place: bool) {
        let needed = self.sealer.sealed_len(content.len());
        let fits = content.len() <= self.padding.size();
        assert_eq!(needed.is_ok(), fits);
        let needed = needed.unwrap_or(24 + content.len());
        let room = match room {
            Room::Exact => needed,
            Room::More(more) => needed + usize::from(more),
            Room::Less(less) => needed.saturating_sub(usize::from(less) + 1),
        };
        let mut out = vec![0xEE; room];
        if in_place && let Some(space) = out.get_mut(4..) {
            let n = space.len().min(content.len());
            space[..n].copy_from_slice(&content[..n]);
        }
        let before = out.clone();
        let got = if in_place {
            self.sealer.seal_in_place(&mut out, content.len())
        } else {
            self.sealer.seal(content, &mut out)
        };
        let mut end = self.sealed.wire.len();
        let expected = match self.content_refused() {
            Some(error) => Err(error),
            None if !fits => Err(ApiMisuse::ContentTooLong.into()),
            None if room < needed => Err(Error::BufferTooSmall { needed }),
            None => self.content_frame(content, &mut end),
        };
        if expected.is_err() && expected != Err(Error::Exhausted) {
            assert_eq!(
                out, before,
                "an error that changes nothing has changed the buffer"
            );
        }
        assert_eq!(got, expected.map(|()| needed));
        let used = expected.map_or(0, |()| needed);
        if expected.is_ok() {
            assert_eq!(out[used..], before[used..], "written behind the frame");
        }
        self.settle(got.map(drop), &out[..used], expected, end);
    }

    fn end(mut self, end: &End) -> Sealed {
        let mut wire_end = self.sealed.wire.len();
        let mut out = Vec::new();
        let refused = self.content_refused();
        let sealer = std::mem::replace(
            &mut self.sealer,
            testing::sealer(
                &testing::NULL_PROVIDER,
                &Limits::DEFAULT,
                Half::S2c,
                SECRET,
                true,
            )
            .unwrap(),
        );
        let (got, expected) = match end {
            End::Finish(content) => {
                let content = content.to_vec(40_000);
                let got = sealer.finish(&content, &mut out);
                let size = self.padding.size();
                let full = content.len().saturating_sub(1) / size;
                let (head, last) = content.split_at(full * size);
                let expected = refused.map_or(Ok(()), Err).and_then(|()| {
                    head.chunks(size)
                        .try_for_each(|piece| self.content_frame(piece, &mut wire_end))?;
                    let padded = self.padding.padded(last.len());
                    self.sealed_frame(padded, Some(Ev::Final(last.to_vec())), &mut wire_end)
                });
                (got, expected)
            }
            End::Fail {
                code,
                message,
                repeat,
            } => {
                let message = message.repeat(usize::from(*repeat) + 1);
                let code = StreamErrorCode::from_u16(*code);
                let got = sealer.fail(code, &message, &mut out);
                let room = self.padding.size() - 2;
                let mut cut = String::new();
                for char in message.chars() {
                    if cut.len() + char.len_utf8() > room {
                        break;
                    }
                    cut.push(char);
                }
                let padded = self.padding.padded(cut.len() + 2);
                let ev = Ev::Error(code.to_u16(), cut);
                let expected = refused
                    .map_or(Ok(()), Err)
                    .and_then(|()| self.sealed_frame(padded, Some(ev), &mut wire_end));
                (got, expected)
            }
        };
        self.settle(got, &out, expected, wire_end);
        self.sealed.ended = expected.is_ok();
        self.sealed
    }
}
