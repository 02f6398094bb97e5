//! Frames in clear, as the null AEAD reads them.

use arbitrary::Arbitrary;
use sealwire::{Half, Limits};

use crate::model;

/// Bytes by length and fill, or as they are: contents need not cost their length in fuzz input.
#[derive(Arbitrary, Clone, Debug)]
pub enum Bytes {
    Raw(Vec<u8>),
    Filled { len: u16, fill: u8 },
}

impl Bytes {
    /// At most `max` bytes.
    pub fn to_vec(&self, max: usize) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes[..bytes.len().min(max)].to_vec(),
            Self::Filled { len, fill } => vec![*fill; usize::from(*len).min(max)],
        }
    }
}

/// A frame, sound or not.
#[derive(Arbitrary, Clone, Debug)]
pub enum FrameSpec {
    /// A SEALED frame whose trailer is right, unless `lie` changes its content length.
    Sealed {
        inner: Inner,
        content: Bytes,
        zeros: u16,
        lie: Option<u32>,
        dirty: Option<(u16, u8)>,
    },
    /// A PUBLIC frame.
    Public(Bytes),
    /// A header with any type and length, and a body of its length.
    Odd { frame_type: u8, len: u16, fill: u8 },
    /// Anything.
    Raw(Vec<u8>),
}

/// The inner type.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Inner {
    Data,
    Final,
    Error,
    KeyUpdate,
    Switch,
    Pad,
    Other(u8),
}

impl Inner {
    pub fn to_u8(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Final => 2,
            Self::Error => 3,
            Self::KeyUpdate => 4,
            Self::Switch => 5,
            Self::Pad => 6,
            Self::Other(byte) => byte,
        }
    }
}

fn header(frame_type: u8, len: usize) -> [u8; 4] {
    let [_, a, b, c] = u32::try_from(len).unwrap().to_be_bytes();
    [frame_type, a, b, c]
}

impl FrameSpec {
    /// Appends the frame as the null AEAD seals it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Sealed {
                inner,
                content,
                zeros,
                lie,
                dirty,
            } => {
                let content = content.to_vec(16_384 - 2);
                let code: &[u8] = if matches!(inner, Inner::Error) {
                    &[0, 3]
                } else {
                    &[]
                };
                let content = [code, &content].concat();
                let zeros = usize::from(*zeros).min(16_384 - content.len());
                out.extend_from_slice(&header(1, content.len() + zeros + 20));
                out.extend_from_slice(&content);
                let start = out.len();
                out.resize(start + zeros, 0);
                if let Some((at, byte)) = dirty
                    && zeros > 0
                {
                    out[start + usize::from(*at) % zeros] = *byte;
                }
                let content_len = lie.map_or(content.len(), |lie| lie as usize & 0xFF_FFFF);
                out.extend_from_slice(&header(inner.to_u8(), content_len));
                out.extend_from_slice(&[0; 16]);
            }
            Self::Public(bytes) => {
                let mut bytes = bytes.to_vec(512);
                if bytes.is_empty() {
                    bytes.push(7);
                }
                out.extend_from_slice(&header(2, bytes.len() + 16));
                out.extend_from_slice(&bytes);
                out.extend_from_slice(&[0; 16]);
            }
            Self::Odd {
                frame_type,
                len,
                fill,
            } => {
                out.extend_from_slice(&header(*frame_type, usize::from(*len)));
                out.resize(out.len() + usize::from(*len), *fill);
            }
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// At most this many bytes of wire in one run.
const MAX_WIRE: usize = 256 * 1024;

/// The frames one after the other.
pub fn wire(frames: &[FrameSpec]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        if out.len() > MAX_WIRE {
            break;
        }
        frame.write(&mut out);
    }
    out
}

/// Each frame by itself.
pub fn messages(frames: &[FrameSpec]) -> Vec<Vec<u8>> {
    let mut size = 0;
    let mut all = Vec::new();
    for frame in frames {
        if size > MAX_WIRE {
            break;
        }
        let mut out = Vec::new();
        frame.write(&mut out);
        size += out.len();
        all.push(out);
    }
    all
}

/// A receiver's parameters, small enough that every bound is reached.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Receiver {
    pub c2s: bool,
    epoch_frames: u8,
    max_frames: Option<u8>,
    max_empty: u8,
    max_bytes: Option<u32>,
    max_pad_bytes: Option<u16>,
    edges: Option<Edges>,
    #[arbitrary(default)]
    marks: Option<Marks>,
}

/// Bounds where they matter: at what the frames need, give or take one.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Edges {
    frames: Option<Near>,
    bytes: Option<Near>,
    pad_bytes: Option<Near>,
    empty: Option<Near>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Near {
    Below,
    At,
    Above,
}

/// What the frames need of a receiver without bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    pub frames: u64,
    pub bytes: u64,
    pub pad_bytes: u64,
    pub empty: u32,
}

/// The bound by the mark, if both are there, else the other one.
fn near(edge: Option<Near>, mark: Option<u64>, other: u64) -> u64 {
    match (edge, mark) {
        (Some(Near::Below), Some(mark)) => mark.saturating_sub(1),
        (Some(Near::At), Some(mark)) => mark,
        (Some(Near::Above), Some(mark)) => mark + 1,
        _ => other,
    }
}

impl Receiver {
    pub fn half(&self) -> Half {
        if self.c2s { Half::C2s } else { Half::S2c }
    }

    /// The same receiver, with its edges placed by what the wire needs.
    pub fn fit(mut self, wire: &[u8]) -> Self {
        if self.edges.is_some() {
            let open = Self {
                max_frames: None,
                max_empty: u8::MAX,
                max_bytes: None,
                max_pad_bytes: None,
                edges: None,
                marks: None,
                ..self
            };
            self.marks = Some(model::marks(&open, wire));
        }
        self
    }

    pub fn max_frames(&self) -> u64 {
        let other = self.max_frames.map_or(1 << 48, u64::from);
        let edge = self.edges.and_then(|edges| edges.frames);
        near(edge, self.marks.map(|marks| marks.frames), other)
    }

    pub fn max_empty(&self) -> u32 {
        let edge = self.edges.and_then(|edges| edges.empty);
        let mark = self.marks.map(|marks| u64::from(marks.empty));
        near(edge, mark, u64::from(self.max_empty)) as u32
    }

    pub fn max_bytes(&self) -> u64 {
        let other = self.max_bytes.map_or(u64::MAX, u64::from);
        let edge = self.edges.and_then(|edges| edges.bytes);
        near(edge, self.marks.map(|marks| marks.bytes), other)
    }

    pub fn max_pad_bytes(&self) -> u64 {
        let other = self.max_pad_bytes.map_or(64 << 20, u64::from);
        let edge = self.edges.and_then(|edges| edges.pad_bytes);
        near(edge, self.marks.map(|marks| marks.pad_bytes), other)
    }

    pub fn limits(&self) -> Limits {
        Limits::DEFAULT
            .with_max_bytes(self.max_bytes())
            .with_max_pad_bytes(self.max_pad_bytes())
            .with_schedule(
                u32::from(self.epoch_frames).max(1),
                self.max_frames(),
                self.max_empty(),
            )
    }
}
