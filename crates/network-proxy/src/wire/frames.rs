//! Where WebSocket frames begin (RFC 6455 §5.2), without reading what is in them.

/// Follows frames through any portions. An own frame may be put between two others, never inside one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames {
    at: At,
    left: u64,
    masked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Begin,
    Length,
    /// Bytes of an extended length that are still to come.
    Extended(u8),
    /// Masking key and payload.
    Payload,
}

impl Frames {
    /// Bytes that have been passed on.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.at == At::Payload {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                self.settle();
                continue;
            }
            self.header(*first);
            bytes = rest;
        }
    }

    /// The next byte begins a frame.
    pub fn between(&self) -> bool {
        self.at == At::Begin
    }

    fn header(&mut self, byte: u8) {
        match self.at {
            At::Begin => self.at = At::Length,
            At::Length => {
                self.masked = byte & 0x80 != 0;
                match byte & 0x7f {
                    126 => (self.left, self.at) = (0, At::Extended(2)),
                    127 => (self.left, self.at) = (0, At::Extended(8)),
                    length => self.sized(u64::from(length)),
                }
            }
            At::Extended(more) => {
                self.left = self.left << 8 | u64::from(byte);
                match more {
                    0 | 1 => self.sized(self.left),
                    more => self.at = At::Extended(more - 1),
                }
            }
            At::Payload => {}
        }
    }

    fn sized(&mut self, length: u64) {
        self.left = length.saturating_add(if self.masked { 4 } else { 0 });
        self.at = At::Payload;
        self.settle();
    }

    fn settle(&mut self) {
        if self.left == 0 {
            self.at = At::Begin;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(masked: bool, length: usize) -> Vec<u8> {
        let bit = if masked { 0x80 } else { 0 };
        let mut out = vec![0x82];
        match length {
            0..126 => out.push(bit | length as u8),
            126..65536 => {
                out.push(bit | 126);
                out.extend((length as u16).to_be_bytes());
            }
            _ => {
                out.push(bit | 127);
                out.extend((length as u64).to_be_bytes());
            }
        }
        // Whatever the content is, it must not be taken for a header.
        out.resize(out.len() + length + if masked { 4 } else { 0 }, 0x82);
        out
    }

    proptest! {
        #[test]
        fn boundaries_are_where_frames_end(
            frames in proptest::collection::vec((any::<bool>(), prop_oneof![0usize..300, 65_000usize..66_000]), 1..5),
            portion in 1usize..70_000,
        ) {
            let frames: Vec<Vec<u8>> = frames.into_iter().map(|(m, n)| frame(m, n)).collect();
            let ends: Vec<usize> = frames.iter().scan(0, |end, f| { *end += f.len(); Some(*end) }).collect();
            let (mut walk, mut passed) = (Frames::default(), 0);
            for part in frames.concat().chunks(portion) {
                walk.pass(part);
                passed += part.len();
                prop_assert_eq!(walk.between(), ends.contains(&passed), "after {}", passed);
            }
        }

        #[test]
        fn any_bytes_pass(bytes: Vec<u8>) {
            Frames::default().pass(&bytes);
        }
    }
}
