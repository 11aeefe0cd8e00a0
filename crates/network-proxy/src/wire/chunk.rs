//! Chunked coding (RFC 9112 §7.1), byte by byte, so that portions cannot change its meaning.

use super::field::{field, lines};
use super::{Reject, Step};

/// Bytes of extensions in one chunk line, and of all chunk lines together. They are dropped anyway.
const EXTENSION: u32 = 256;
const EXTENSIONS: u32 = 16 * 1024;
const TRAILER: usize = 8 * 1024;
/// Hex digits of a size: 2^60 is more than any body.
const DIGITS: u8 = 15;

#[derive(Debug, Default)]
pub struct Chunks {
    at: At,
    left: u64,
    digits: u8,
    extension: u32,
    extensions: u32,
    trailer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    TrailerLine,
    InTrailer,
    TrailerLf,
    LastLf,
    Done,
}

impl Chunks {
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, Reject> {
        for (skip, &byte) in input.iter().enumerate() {
            match self.at {
                At::Done => return Ok(Step::End { skip }),
                At::Data => {
                    let rest = (input.len() - skip) as u64;
                    let len = self.left.min(rest);
                    self.left -= len;
                    if self.left == 0 {
                        self.at = At::DataCr;
                    }
                    return Ok(Step::Data { skip, len: len as usize });
                }
                _ => self.at = self.framing(byte)?,
            }
        }
        match self.at {
            At::Done => Ok(Step::End { skip: input.len() }),
            _ => Ok(Step::More { skip: input.len() }),
        }
    }

    fn framing(&mut self, byte: u8) -> Result<At, Reject> {
        match (self.at, byte) {
            (At::Size, _) => self.size(byte),
            (At::Extension, b'\r') => Ok(At::SizeLf),
            (At::Extension, _) => self.extension(byte),
            (At::SizeLf, b'\n') => Ok(self.sized()),
            (At::SizeLf, _) => Err(Reject::ChunkSize),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Size),
            (At::TrailerLine, b'\r') => Ok(At::LastLf),
            (At::InTrailer, b'\r') => Ok(At::TrailerLf),
            (At::TrailerLine | At::InTrailer, _) => self.trailing(byte),
            (At::TrailerLf, b'\n') => {
                self.trailer.extend_from_slice(b"\r\n");
                Ok(At::TrailerLine)
            }
            (At::LastLf, b'\n') => self.trailer_sound().map(|()| At::Done),
            (At::TrailerLf | At::LastLf, _) => Err(Reject::Trailer),
            _ => Err(Reject::ChunkEnd),
        }
    }

    fn size(&mut self, byte: u8) -> Result<At, Reject> {
        let digit = char::from(byte).to_digit(16);
        match (digit, byte) {
            (Some(digit), _) if self.digits < DIGITS => {
                self.digits += 1;
                self.left = self.left * 16 + u64::from(digit);
                Ok(At::Size)
            }
            (None, b'\r') if self.digits > 0 => Ok(At::SizeLf),
            (None, b';') if self.digits > 0 => Ok(At::Extension),
            _ => Err(Reject::ChunkSize),
        }
    }

    fn extension(&mut self, byte: u8) -> Result<At, Reject> {
        (self.extension, self.extensions) = (self.extension + 1, self.extensions + 1);
        let printable = matches!(byte, b'\t' | 0x20..=0x7e | 0x80..);
        match printable && self.extension <= EXTENSION && self.extensions <= EXTENSIONS {
            true => Ok(At::Extension),
            false => Err(Reject::ChunkExtension),
        }
    }

    fn sized(&mut self) -> At {
        (self.digits, self.extension) = (0, 0);
        if self.left == 0 { At::TrailerLine } else { At::Data }
    }

    fn trailing(&mut self, byte: u8) -> Result<At, Reject> {
        if self.trailer.len() >= TRAILER {
            return Err(Reject::TrailerTooLarge);
        }
        match byte {
            b'\t' | 0x20..=0x7e | 0x80.. => self.trailer.push(byte),
            _ => return Err(Reject::Trailer),
        }
        Ok(At::InTrailer)
    }

    fn trailer_sound(&self) -> Result<(), Reject> {
        for line in lines(&self.trailer).filter(|l| !l.is_empty()) {
            let field = field(line).map_err(|_| Reject::Trailer)?;
            if field.known.barred_from_trailer() {
                return Err(Reject::Trailer);
            }
        }
        Ok(())
    }

    pub(super) fn trailer(&self) -> &[u8] {
        &self.trailer
    }
}
