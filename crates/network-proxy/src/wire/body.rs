//! Bodies, taken apart and framed anew.

use super::chunk::Chunks;
use super::{Frames, Reject};
use bytes::{BufMut, BytesMut};
use std::io::Write;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    Empty,
    Length(u64),
    Chunked,
    /// Responses only: whatever comes until the connection ends.
    UntilClose,
}

/// What a [`Decoder`] makes of the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// After `skip` bytes of framing come `len` bytes of content.
    Data { skip: usize, len: usize },
    /// `skip` bytes were framing; more are needed.
    More { skip: usize },
    /// `skip` bytes were framing; the body has ended and what follows is not part of it.
    End { skip: usize },
}

/// Walks a body in any portions.
#[derive(Debug)]
pub enum Decoder {
    Length(u64),
    Chunked(Box<Chunks>),
    UntilClose,
    /// Like `UntilClose`, following the WebSocket frames that pass.
    Frames(Frames),
}

impl Decoder {
    pub fn new(body: Body) -> Decoder {
        match body {
            Body::Empty => Decoder::Length(0),
            Body::Length(n) => Decoder::Length(n),
            Body::Chunked => Decoder::Chunked(Box::default()),
            Body::UntilClose => Decoder::UntilClose,
        }
    }

    /// The caller takes away what the step says before the next call.
    ///
    /// # Errors
    /// The rule of chunked coding that is broken; the connection cannot be used any further.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, Reject> {
        match self {
            Decoder::Length(0) => Ok(Step::End { skip: 0 }),
            Decoder::Length(_) | Decoder::UntilClose | Decoder::Frames(_) if input.is_empty() => {
                Ok(Step::More { skip: 0 })
            }
            Decoder::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= len as u64;
                Ok(Step::Data { skip: 0, len })
            }
            Decoder::UntilClose => Ok(Step::Data { skip: 0, len: input.len() }),
            Decoder::Frames(frames) => {
                frames.pass(input);
                Ok(Step::Data { skip: 0, len: input.len() })
            }
            Decoder::Chunked(chunks) => chunks.step(input),
        }
    }

    /// The connection has ended: was that the end of the body?
    ///
    /// # Errors
    /// `Truncated` when it was not.
    pub fn end_of_input(&self) -> Result<(), Reject> {
        match self {
            Decoder::UntilClose | Decoder::Frames(_) | Decoder::Length(0) => Ok(()),
            _ => Err(Reject::Truncated),
        }
    }

    /// Trailer lines, each with its CR LF, once the body has ended.
    pub fn trailer(&self) -> &[u8] {
        match self {
            Decoder::Chunked(chunks) => chunks.trailer(),
            _ => &[],
        }
    }
}

/// Frames content for the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    /// Content as it is: the length was said, or the end of the connection is the end.
    Plain,
    Chunked,
}

impl Encoder {
    /// Puts one portion. An empty one puts nothing: an empty chunk would be the end.
    pub fn data(self, content: &[u8], out: &mut BytesMut) {
        if content.is_empty() {
            return;
        }
        match self {
            Encoder::Plain => out.put_slice(content),
            Encoder::Chunked => {
                out.reserve(content.len() + 20);
                let _ = write!((&mut *out).writer(), "{:x}\r\n", content.len());
                out.put_slice(content);
                out.put_slice(b"\r\n");
            }
        }
    }

    /// Puts the end. `trailer` holds whole lines.
    pub fn end(self, trailer: &[u8], out: &mut BytesMut) {
        if self == Encoder::Chunked {
            out.put_slice(b"0\r\n");
            out.put_slice(trailer);
            out.put_slice(b"\r\n");
        }
    }
}
