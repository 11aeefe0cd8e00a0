//! Where a head ends.

use super::Reject;

/// Looks for the empty line that ends a head, resuming where it stopped as bytes arrive. On its way it
/// refuses bare CR, bare LF and other control bytes, so that a head which is complete holds none.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    at: usize,
    line: usize,
    begin: usize,
    skips: bool,
}

impl Scan {
    /// For requests: one empty line before the head is skipped (RFC 9112 §2.2).
    pub fn request() -> Scan {
        Scan { skips: true, ..Scan::default() }
    }

    /// For responses.
    pub fn response() -> Scan {
        Scan::default()
    }

    /// `bytes` are all bytes so far, from the same start at each call. Answers the range of the head with
    /// its final empty line, once that is there.
    ///
    /// # Errors
    /// The first byte that may not be there; `HeadTooLarge` when `limit` bytes hold no end.
    pub fn find(
        &mut self,
        bytes: &[u8],
        limit: usize,
    ) -> Result<Option<std::ops::Range<usize>>, Reject> {
        while let Some(&byte) = bytes.get(self.at) {
            if self.at >= limit {
                return Err(Reject::HeadTooLarge);
            }
            match byte {
                b'\r' => match bytes.get(self.at + 1) {
                    None => return Ok(None),
                    Some(b'\n') if self.at > self.line => {
                        self.at += 2;
                        self.line = self.at;
                    }
                    Some(b'\n') => {
                        if let Some(head) = self.empty_line()? {
                            return Ok(Some(head));
                        }
                    }
                    Some(_) => return Err(Reject::BareLineEnd),
                },
                b'\n' => return Err(Reject::BareLineEnd),
                b'\t' | 0x20..=0x7e | 0x80.. => self.at += 1,
                _ => return Err(Reject::ControlByte),
            }
        }
        if self.at >= limit { Err(Reject::HeadTooLarge) } else { Ok(None) }
    }

    /// Nothing of a head has come yet.
    pub fn is_empty(&self, bytes: &[u8]) -> bool {
        bytes.len() <= self.begin
    }

    fn empty_line(&mut self) -> Result<Option<std::ops::Range<usize>>, Reject> {
        self.at += 2;
        if self.line > self.begin {
            return Ok(Some(self.begin..self.at));
        }
        if !self.skips {
            return Err(Reject::RequestLine);
        }
        self.skips = false;
        (self.begin, self.line) = (self.at, self.at);
        Ok(None)
    }
}
