//! One direction of a message: read, unframe, frame anew, write, with back-pressure.

use crate::wire::{Body, Decoder, Encoder, Frames, Reject, Step};
use bytes::{Buf, BytesMut};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes taken in by one read: what a pump holds is at most twice this.
pub(crate) const PORTION: usize = 64 * 1024;
/// Smaller portions are copied behind what is already waiting, so that they leave in one write.
const JOIN: usize = 16 * 1024;
/// Room on the stack for reads at moments when no buffer is held.
const GLANCE: usize = 16 * 1024;

/// Why a pump stopped.
#[derive(Debug)]
pub(crate) enum Broken {
    /// What was read breaks a rule, or ended too early.
    Source(Reject),
    /// The reading side's connection failed.
    Read,
    Write,
}

#[derive(Debug)]
pub(crate) struct Pump {
    decoder: Decoder,
    encoder: Encoder,
    out: BytesMut,
    /// How much of `out` is written. What is written stays until more comes, so that a request without a
    /// body can be sent again.
    sent: usize,
    /// The writer may still hold some of what is written: TLS does.
    unflushed: bool,
    /// `out` shares its memory with the input.
    lent: bool,
    /// The end is in `out`.
    ended: bool,
    content: u64,
    most: u64,
    /// When pending: on the writer, rather than on the reader.
    pub(crate) on_writer: bool,
    /// Bytes read and written: changes when anything moves.
    pub(crate) moved: u64,
}

impl Pump {
    /// `head` goes out first. More content than `most` breaks the pump with `BodyTooLarge`.
    pub(crate) fn new(head: BytesMut, body: Body, encoder: Encoder, most: u64) -> Pump {
        Pump {
            decoder: Decoder::new(body),
            encoder,
            out: head,
            sent: 0,
            unflushed: false,
            lent: false,
            ended: body == Body::Empty,
            content: 0,
            most,
            on_writer: false,
            moved: 0,
        }
    }

    /// Bytes as they are, in which WebSocket frames are followed.
    pub(crate) fn frames(head: BytesMut) -> Pump {
        let raw = Pump::new(head, Body::UntilClose, Encoder::Plain, u64::MAX);
        Pump { decoder: Decoder::Frames(Frames::default()), ..raw }
    }

    /// Ends with `last`, if what was taken so far ends between two frames. Answers whether it did.
    pub(crate) fn end_between_frames(&mut self, last: &[u8]) -> bool {
        let between = matches!(&self.decoder, Decoder::Frames(frames) if frames.between());
        if between && !self.ended {
            self.out.extend_from_slice(last);
            self.ended = true;
        }
        between
    }

    pub(crate) fn done(&self) -> bool {
        self.ended && self.flushed()
    }

    pub(crate) fn flushed(&self) -> bool {
        self.sent >= self.out.len() && !self.unflushed
    }

    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes of the body so far, without framing.
    pub(crate) fn content(&self) -> u64 {
        self.content
    }

    /// From the start again, to another writer. Only while nothing was added after the head.
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// Takes as much of `input` as may be held.
    ///
    /// # Errors
    /// The input breaks a rule.
    pub(crate) fn take(&mut self, input: &mut BytesMut) -> Result<(), Reject> {
        while !self.ended && self.out.len() - self.sent < PORTION {
            match self.decoder.step(input)? {
                Step::Data { skip, len } => {
                    input.advance(skip);
                    self.content += len as u64;
                    if self.content > self.most {
                        return Err(Reject::BodyTooLarge);
                    }
                    self.put(input.split_to(len));
                }
                Step::More { skip } => {
                    input.advance(skip);
                    return Ok(());
                }
                Step::End { skip } => {
                    input.advance(skip);
                    self.encoder.end(self.decoder.trailer(), &mut self.out);
                    self.ended = true;
                }
            }
        }
        Ok(())
    }

    /// A buffer of our own is used again; one that was split off the input goes back to it.
    fn forget_sent(&mut self) {
        self.sent = 0;
        match std::mem::take(&mut self.lent) {
            true => self.out = BytesMut::new(),
            false => self.out.clear(),
        }
    }

    fn put(&mut self, content: BytesMut) {
        let plain = self.encoder == Encoder::Plain;
        if plain && self.out.is_empty() && content.len() > JOIN {
            (self.out, self.lent) = (content, true);
        } else {
            self.encoder.data(&content, &mut self.out);
        }
        // A said length is over with its last byte; the coded forms say their end themselves.
        if let Decoder::Length(0) = self.decoder {
            self.ended = true;
            self.encoder.end(&[], &mut self.out);
        }
    }

    pub(crate) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.out.get(self.sent..) {
            self.on_writer = true;
            let n = ready!(Pin::new(&mut *writer).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += n;
            self.moved += n as u64;
            self.unflushed = true;
        }
        ready!(Pin::new(writer).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Moves until the body has been written whole.
    pub(crate) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            if !self.flushed() {
                ready!(self.poll_flush(cx, writer)).map_err(|_| Broken::Write)?;
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            self.forget_sent();
            self.take(input).map_err(Broken::Source)?;
            if !self.flushed() || self.ended {
                continue;
            }
            self.on_writer = false;
            let n = ready!(poll_read(cx, reader, input)).map_err(|_| Broken::Read)?;
            self.moved += n as u64;
            if n == 0 {
                self.decoder.end_of_input().map_err(Broken::Source)?;
                self.encoder.end(&[], &mut self.out);
                self.ended = true;
            }
        }
    }
}

/// Reads one portion behind what `input` holds.
pub(crate) fn poll_read<R: AsyncRead + Unpin>(
    cx: &mut Context<'_>,
    reader: &mut R,
    input: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    input.reserve(PORTION);
    tokio_util::io::poll_read_buf(Pin::new(reader), cx, input)
}

/// Reads a little without holding a buffer meanwhile: ten thousand idle connections cost no buffers.
pub(crate) fn poll_glance<R: AsyncRead + Unpin>(
    cx: &mut Context<'_>,
    reader: &mut R,
    input: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let mut room = [const { MaybeUninit::<u8>::uninit() }; GLANCE];
    let mut room = ReadBuf::uninit(&mut room);
    ready!(Pin::new(reader).poll_read(cx, &mut room))?;
    input.extend_from_slice(room.filled());
    Poll::Ready(Ok(room.filled().len()))
}
