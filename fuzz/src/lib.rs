//! What several targets share: cutting bytes into portions, and reading a message that comes in portions.
//!
//! Inputs are plain bytes, so that a seed is what its name says and a finding can be sent with netcat.

use network_proxy::wire::{Decoder, Reject, Scan, Step};

/// `bytes` in some portions: byte by byte, by a few at a time, and cut once. Where depends on the bytes alone,
/// so that a finding stays one.
pub fn cuttings(bytes: &[u8]) -> [Vec<&[u8]>; 3] {
    let sum =
        bytes.iter().fold(0usize, |sum, b| sum.wrapping_mul(31).wrapping_add(usize::from(*b)));
    let (first, rest) = bytes.split_at(sum % (bytes.len() + 1));
    [bytes.chunks(1).collect(), bytes.chunks(2 + sum % 13).collect(), vec![first, rest]]
}

/// A message as its reader sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub head: String,
    pub body: Content,
}

/// A body as its reader sees it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub trailer: Vec<u8>,
    /// What came after the end, once there was one.
    pub rest: Option<Vec<u8>>,
}

/// Reads a body.
///
/// # Errors
/// The rule that it breaks.
pub fn content<'a>(
    decoder: &mut Decoder,
    portions: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Content, Reject> {
    let (mut content, mut input) = (Content::default(), Vec::new());
    for portion in portions {
        input.extend_from_slice(portion);
        while content.rest.is_none() {
            match decoder.step(&input)? {
                Step::Data { skip, len } => {
                    assert!(len > 0, "a step that takes nothing would go on for ever");
                    content.bytes.extend_from_slice(&input[skip..skip + len]);
                    input.drain(..skip + len);
                }
                Step::More { skip } => {
                    assert_eq!(skip, input.len(), "what needs more bytes has taken all there are");
                    input.clear();
                    break;
                }
                Step::End { skip } => {
                    input.drain(..skip);
                    content.rest = Some(Vec::new());
                }
            }
        }
    }
    content.trailer = decoder.trailer().to_vec();
    content.rest = content.rest.map(|_| input);
    Ok(content)
}

/// Reads a message whose head `parse` understands. `None`: its head has not come whole.
///
/// # Errors
/// The rule that it breaks.
pub fn message(
    mut scan: Scan,
    portions: &[&[u8]],
    parse: impl Fn(&[u8]) -> Result<(String, Decoder), Reject>,
) -> Result<Option<Message>, Reject> {
    let mut input = Vec::new();
    for (i, portion) in portions.iter().enumerate() {
        input.extend_from_slice(portion);
        let Some(range) = scan.find(&input, 4096)? else { continue };
        let (head, mut decoder) = parse(&input[range.clone()])?;
        let behind = portions[i + 1..].iter().copied();
        let body = content(&mut decoder, [&input[range.end..]].into_iter().chain(behind))?;
        return Ok(Some(Message { head, body }));
    }
    Ok(None)
}
