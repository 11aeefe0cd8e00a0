//! pkt-lines and side-bands (gitprotocol-common(5), gitprotocol-pack(5)).

/// Longest payload of a pkt-line.
pub(crate) const LONGEST: usize = 65516;
pub(crate) const FLUSH: &[u8] = b"0000";

/// What stands at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Flush,
    /// `0001` and `0002`, which only protocol v2 has.
    Special,
    Data(&'a [u8]),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Not four hex digits, or the impossible length 3.
    Length,
}

/// The packet at the front of `bytes` and how many bytes it takes; `None` when it has not arrived whole.
pub(crate) fn front(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, Broken> {
    let Some(digits) = bytes.get(..4) else { return Ok(None) };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Broken::Length);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Broken::Length)?;
    let length = usize::from_str_radix(digits, 16).map_err(|_| Broken::Length)?;
    match length {
        0 => Ok(Some((Packet::Flush, 4))),
        1 | 2 => Ok(Some((Packet::Special, 4))),
        3 => Err(Broken::Length),
        _ => Ok(bytes.get(4..length).map(|data| (Packet::Data(data), length))),
    }
}

/// Appends a pkt-line. A payload that is too long is cut; callers wrap before.
pub(crate) fn push(out: &mut Vec<u8>, payload: &[u8]) {
    let payload = payload.get(..LONGEST).unwrap_or(payload);
    out.extend_from_slice(format!("{:04x}", payload.len() + 4).as_bytes());
    out.extend_from_slice(payload);
}

/// The side-bands that a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bands {
    None,
    /// `side-band`: packets of at most 1,000 bytes.
    Small,
    /// `side-band-64k`
    Large,
}

/// Payload on band 1 (data) or 2 (words for people), in as many packets as it takes.
pub(crate) fn band(out: &mut Vec<u8>, bands: Bands, number: u8, payload: &[u8]) {
    let room = match bands {
        Bands::None => return,
        Bands::Small => 995,
        Bands::Large => LONGEST - 1,
    };
    for piece in payload.chunks(room) {
        let mut whole = Vec::with_capacity(piece.len() + 1);
        whole.push(number);
        whole.extend_from_slice(piece);
        push(out, &whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_broken_is_said_so_and_what_is_missing_is_waited_for() {
        assert_eq!(front(b"000"), Ok(None));
        assert_eq!(front(b"0008abc"), Ok(None));
        assert_eq!(front(b"0000rest"), Ok(Some((Packet::Flush, 4))));
        assert_eq!(front(b"0001"), Ok(Some((Packet::Special, 4))));
        assert_eq!(front(b"0007abcd"), Ok(Some((Packet::Data(b"abc"), 7))));
        for bad in [&b"0003"[..], b"00g1", b"+001", b"\0\0\0\0"] {
            assert_eq!(front(bad), Err(Broken::Length), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn lines_come_back(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
            let mut bytes = Vec::new();
            payloads.iter().for_each(|p| push(&mut bytes, p));
            let mut rest = &bytes[..];
            for wanted in &payloads {
                let (packet, used) = front(rest).unwrap().unwrap();
                prop_assert_eq!(packet, Packet::Data(&wanted[..]));
                rest = &rest[used..];
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn bytes_never_panic(bytes: Vec<u8>) {
            let _ = front(&bytes);
        }
    }
}
