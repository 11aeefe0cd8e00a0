//! What goes over a connection that has become a terminal (`Upgrade: naru-pty`): frames of a kind, a length of
//! two bytes, and so many bytes. Numbers are big-endian.
//!
//! | Kind | From | Payload |
//! |---|---|---|
//! | 0 | both | bytes typed, or printed |
//! | 1 | client | the window's size: rows and columns, two bytes each |
//! | 2 | server | the program has ended: its exit code, four bytes |

use host::Size;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The protocol's name in `Upgrade`.
pub const PROTOCOL: &str = "naru-pty";
/// Bytes of the largest payload.
pub const LARGEST: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Data(Vec<u8>),
    Resize(Size),
    Exit(i32),
}

impl Frame {
    /// Data that is too long for one frame is cut.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Frame::Data(bytes) => (0, bytes.get(..LARGEST).unwrap_or(bytes).to_vec()),
            Frame::Resize(size) => {
                (1, [size.rows.to_be_bytes(), size.columns.to_be_bytes()].concat())
            }
            Frame::Exit(code) => (2, code.to_be_bytes().to_vec()),
        };
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        [&[kind][..], &length.to_be_bytes(), &payload].concat()
    }

    fn decode(kind: u8, payload: Vec<u8>) -> Option<Frame> {
        match (kind, payload.as_slice()) {
            (0, _) => Some(Frame::Data(payload)),
            (1, &[a, b, c, d]) => Some(Frame::Resize(Size {
                rows: u16::from_be_bytes([a, b]),
                columns: u16::from_be_bytes([c, d]),
            })),
            (2, &[a, b, c, d]) => Some(Frame::Exit(i32::from_be_bytes([a, b, c, d]))),
            _ => None,
        }
    }
}

/// Frames out of bytes as they come. Cancel safe: what has been read of a frame is kept.
#[derive(Debug)]
pub struct Frames<R> {
    from: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub fn new(from: R) -> Frames<R> {
        Frames { from, buffer: Vec::new() }
    }

    /// The next frame; `None` at the end of the connection between frames.
    ///
    /// # Errors
    /// `InvalidData` for what is no frame; `UnexpectedEof` for half of one.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some((frame, used)) = parse(&self.buffer)? {
                self.buffer.drain(..used);
                return Ok(Some(frame));
            }
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                let whole = self.buffer.is_empty();
                return if whole { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }
}

fn parse(bytes: &[u8]) -> io::Result<Option<(Frame, usize)>> {
    let Some((&[kind, a, b], rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([a, b]));
    if length > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    match Frame::decode(kind, payload.to_vec()) {
        Some(frame) => Ok(Some((frame, 3 + length))),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// # Errors
/// When the other side has left.
pub async fn send(to: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    to.write_all(&frame.encode()).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame() -> impl Strategy<Value = Frame> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200).prop_map(Frame::Data),
            any::<(u16, u16)>().prop_map(|(rows, columns)| Frame::Resize(Size { rows, columns })),
            any::<i32>().prop_map(Frame::Exit),
        ]
    }

    fn all(bytes: &[u8], portion: usize) -> io::Result<Vec<Frame>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(async {
            let (mut to, from) = tokio::io::duplex(portion);
            let bytes = bytes.to_vec();
            let mut frames = Frames::new(from);
            let writing = async move {
                // A reader that has given up is no fault of the writer's.
                let _ = to.write_all(&bytes).await;
            };
            // Dropped at its end, so that a writer who is not done hears of it.
            let reading = async move {
                let mut found = Vec::new();
                while let Some(frame) = frames.next().await? {
                    found.push(frame);
                }
                Ok(found)
            };
            tokio::join!(writing, reading).1
        })
    }

    proptest! {
        #[test]
        fn what_is_sent_arrives_in_any_portions(
            frames in proptest::collection::vec(frame(), 0..8), portion in 1_usize..64
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
            prop_assert_eq!(all(&bytes, portion).unwrap(), frames);
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = all(&bytes, 16);
        }
    }
}
