use super::*;
use bytes::BytesMut;
use proptest::prelude::*;

/// A message as a reader sees it whose bytes come in `portions`.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    head: String,
    body: Vec<u8>,
    trailer: Vec<u8>,
    /// The body has ended; what is left belongs to the next message.
    left: Option<Vec<u8>>,
}

fn read(portions: &[&[u8]]) -> Result<Option<Read>, Reject> {
    let mut scan = Scan::request();
    let mut input = Vec::new();
    let mut reading: Option<(Decoder, Read)> = None;
    for portion in portions {
        input.extend_from_slice(portion);
        if reading.is_none() {
            let Some(range) = scan.find(&input, 4096)? else { continue };
            let bytes = &input[range.clone()];
            let head = RequestHead::parse(bytes, 32)?;
            authority(&head)?;
            let body = framing::request_body(&head)?;
            let head = format!("{head:?}");
            let read = Read { head, body: vec![], trailer: vec![], left: None };
            input.drain(..range.end);
            reading = Some((Decoder::new(body), read));
        }
        let Some((decoder, read)) = &mut reading else { continue };
        while read.left.is_none() {
            match decoder.step(&input)? {
                Step::Data { skip, len } => {
                    read.body.extend_from_slice(&input[skip..skip + len]);
                    input.drain(..skip + len);
                }
                Step::More { skip } => {
                    input.drain(..skip);
                    break;
                }
                Step::End { skip } => {
                    input.drain(..skip);
                    read.left = Some(vec![]);
                }
            }
        }
    }
    Ok(reading.map(|(decoder, mut read)| {
        read.trailer = decoder.trailer().to_vec();
        read.left = read.left.map(|_| input);
        read
    }))
}

fn verdict(message: &str) -> Option<Reject> {
    read(&[message.as_bytes()]).err()
}

#[test]
fn a_head_that_two_programs_could_read_differently_is_refused() {
    use Reject::*;
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    for (fields, want) in [
        ("Content-Length: 2\r\nTransfer-Encoding: chunked", LengthAndCoding),
        ("Content-Length: 2\r\nContent-Length: 2", LengthRepeated),
        ("Content-Length: 2\r\nContent-Length: 3", LengthRepeated),
        ("Content-Length: 2, 2", Length),
        ("Content-Length: +2", Length),
        ("Content-Length: -2", Length),
        ("Content-Length: 0x2", Length),
        ("Content-Length: 2 ;", Length),
        ("Content-Length:", Length),
        ("Content-Length: 9999999999999999999", Length),
        ("Transfer-Encoding: identity, chunked", Coding),
        ("Transfer-Encoding: gzip, chunked", Coding),
        ("Transfer-Encoding: chunked, chunked", Coding),
        ("Transfer-Encoding: xchunked", Coding),
        ("Transfer-Encoding:", Coding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Coding),
        ("X: a\nY: b", BareLineEnd),
        ("X: a\rY: b", BareLineEnd),
        ("X: a\0b", ControlByte),
        ("X: a\x0bb", ControlByte),
        ("X: a\x7fb", ControlByte),
        ("X: a\r\n folded", Fold),
        ("X: a\r\n\tfolded", Fold),
        ("X : a", FieldName),
        ("X\t: a", FieldName),
        (": a", FieldName),
        ("no colon", FieldName),
        ("X(y): a", FieldName),
        ("Xé: a", FieldName),
        ("Host: a", HostRepeated),
    ] {
        assert_eq!(verdict(&post(fields)), Some(want), "{fields:?}");
    }
}

#[test]
fn a_first_line_is_exact() {
    use Reject::*;
    for (line, want) in [
        ("GET / HTTP/1.1", None),
        ("\r\nGET / HTTP/1.1", None),
        ("OPTIONS * HTTP/1.1", None),
        ("GET http://a/x?y HTTP/1.1", None),
        ("GET HTTP://A HTTP/1.1", None),
        ("\r\n\r\nGET / HTTP/1.1", Some(RequestLine)),
        ("\nGET / HTTP/1.1", Some(BareLineEnd)),
        (" GET / HTTP/1.1", Some(RequestLine)),
        ("GET  / HTTP/1.1", Some(RequestLine)),
        ("GET / HTTP/1.1 ", Some(RequestLine)),
        ("GET /a b HTTP/1.1", Some(RequestLine)),
        ("GET /\tHTTP/1.1", Some(RequestLine)),
        ("GET /", Some(RequestLine)),
        ("G(T / HTTP/1.1", Some(RequestLine)),
        ("GET / http/1.1", Some(RequestLine)),
        ("GET / HTTP/1.10", Some(RequestLine)),
        ("GET / HTTP/2.0", Some(Version)),
        ("GET / HTTP/1.2", Some(Version)),
        ("GET x HTTP/1.1", Some(Target)),
        ("GET * HTTP/1.1", Some(Target)),
        ("GET /é HTTP/1.1", Some(Target)),
        ("GET /#f HTTP/1.1", Some(Target)),
        ("GET ftp://a/ HTTP/1.1", Some(Target)),
        ("GET http://b/ HTTP/1.1", Some(HostDiffers)),
        ("GET http://u@a/ HTTP/1.1", Some(Target)),
        ("GET http:///x HTTP/1.1", Some(Target)),
        ("CONNECT a:443 HTTP/1.1", Some(Connect)),
    ] {
        assert_eq!(verdict(&format!("{line}\r\nHost: a\r\n\r\n")), want, "{line:?}");
    }
    assert_eq!(verdict("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), Some(Fold));
    assert_eq!(
        verdict("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Some(CodingBefore11)
    );
}

#[test]
fn a_host_is_one_sound_authority() {
    use Reject::*;
    for (host, want) in [
        ("a", None),
        ("A.b-c:8000", None),
        ("127.0.0.1:80", None),
        ("[::1]:80", None),
        ("a_b.localhost", None),
        ("", Some(HostMalformed)),
        ("a@b", Some(HostMalformed)),
        ("a@b c", Some(HostMalformed)),
        ("a, b", Some(HostMalformed)),
        ("a/b", Some(HostMalformed)),
        ("a:80x", Some(HostMalformed)),
        ("a:123456", Some(HostMalformed)),
        (":80", Some(HostMalformed)),
        ("[::1", Some(HostMalformed)),
        ("[x]", Some(HostMalformed)),
        ("é", Some(HostMalformed)),
    ] {
        assert_eq!(verdict(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), want, "{host:?}");
    }
    assert_eq!(verdict("GET / HTTP/1.1\r\n\r\n"), Some(HostMissing));
    assert_eq!(verdict("GET / HTTP/1.0\r\n\r\n"), None);
    assert_eq!(host_key(b"Web.Shop.LOCALHOST.:8000"), "web.shop.localhost");
    assert_eq!(host_key(b"[::1]:80"), "[::1]");
}

#[test]
fn a_chunked_body_is_exact() {
    use Reject::*;
    let long = format!("2;{}\r\nab\r\n0\r\n\r\n", "x".repeat(300));
    let endless = "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n".repeat(1000);
    for (body, want) in [
        ("2\r\nab\r\n0\r\n\r\n", None),
        ("2;a=b\r\nab\r\n0\r\n\r\n", None),
        ("A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n", None),
        ("+2\r\nab\r\n", Some(ChunkSize)),
        ("-2\r\nab\r\n", Some(ChunkSize)),
        ("0x2\r\nab\r\n", Some(ChunkSize)),
        ("1_0\r\nab\r\n", Some(ChunkSize)),
        ("2 \r\nab\r\n", Some(ChunkSize)),
        (" 2\r\nab\r\n", Some(ChunkSize)),
        ("2 ;x\r\nab\r\n", Some(ChunkSize)),
        ("\r\nab\r\n", Some(ChunkSize)),
        ("2\nab\r\n", Some(ChunkSize)),
        ("2\rab\r\n", Some(ChunkSize)),
        ("ffffffffffffffffff\r\n", Some(ChunkSize)),
        ("2\r\nabX", Some(ChunkEnd)),
        ("2\r\nab\n0\r\n\r\n", Some(ChunkEnd)),
        ("2\r\nab\rX", Some(ChunkEnd)),
        ("2;a\nb\r\nab\r\n", Some(ChunkExtension)),
        ("2;a\0b\r\nab\r\n", Some(ChunkExtension)),
        (&long, Some(ChunkExtension)),
        (&endless, Some(ChunkExtension)),
        ("0\r\nX: a\n\r\n", Some(Trailer)),
        ("0\r\nX : a\r\n\r\n", Some(Trailer)),
        ("0\r\nX: a\r\n fold\r\n\r\n", Some(Trailer)),
        ("0\r\nContent-Length: 2\r\n\r\n", Some(Trailer)),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", Some(Trailer)),
        ("0\r\nHost: b\r\n\r\n", Some(Trailer)),
        ("0\r\nCookie: b\r\n\r\n", Some(Trailer)),
        ("0\r\ncontent_length: 2\r\n\r\n", Some(Trailer)),
    ] {
        let message =
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(verdict(&message), want, "{body:?}");
    }
    let flood = format!("0\r\n{}\r\n", "X: yyyyyyyyyyyyyyyyy\r\n".repeat(600));
    let message =
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{flood}");
    assert_eq!(verdict(&message), Some(TrailerTooLarge));
}

#[test]
fn sizes_have_limits() {
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(5000));
    assert_eq!(verdict(&long), Some(Reject::HeadTooLarge));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(32));
    assert_eq!(verdict(&many), Some(Reject::TooManyFields));
}

#[test]
fn responses_are_held_to_the_same_rules() {
    let body = |head: &str, to_head| {
        let head = format!("{head}\r\n\r\n");
        let range = Scan::response().find(head.as_bytes(), 4096)?.unwrap();
        framing::response_body(&ResponseHead::parse(&head.as_bytes()[range], 32)?, to_head)
    };
    use Body::*;
    for (head, to_head, want) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2", false, Ok(Length(2))),
        ("HTTP/1.1 200\r\nContent-Length: 2", false, Ok(Length(2))),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2", true, Ok(Empty)),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2", false, Ok(Empty)),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2", false, Ok(Empty)),
        ("HTTP/1.0 200 OK", false, Ok(UntilClose)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", false, Ok(Chunked)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
            false,
            Err(Reject::LengthAndCoding),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2",
            true,
            Err(Reject::LengthRepeated),
        ),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", false, Err(Reject::CodingBefore11)),
        ("HTTP/1.1 200 OK\nContent-Length: 2", false, Err(Reject::BareLineEnd)),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b", false, Err(Reject::Fold)),
        ("HTTP/1.1 20 OK", false, Err(Reject::StatusLine)),
        ("HTTP/1.1 0200 OK", false, Err(Reject::StatusLine)),
        ("ICY 200 OK", false, Err(Reject::StatusLine)),
        ("HTTP/2 200", false, Err(Reject::StatusLine)),
    ] {
        assert_eq!(body(head, to_head), want, "{head:?}");
    }
}

#[test]
fn connection_cannot_take_away_what_frames_routes_or_authenticates() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "HOST",
        "Authorization",
        "cookie",
        "x_forwarded_for",
    ] {
        let value = format!("keep-alive, {name}");
        let read = framing::Connection::parse([value.as_bytes()].into_iter());
        assert_eq!(read, Err(Reject::ConnectionNames), "{name}");
    }
    let many = "x, ".repeat(17);
    let read = framing::Connection::parse([many.as_bytes()].into_iter());
    assert_eq!(read, Err(Reject::ConnectionNames));
    let read = framing::Connection::parse([&b"X-Hop,, close"[..]].into_iter()).unwrap();
    assert!(read.close && read.names(b"x-hop") && !read.names(b"x-other"));
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9-]{0,8}"
}

fn content() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..5)
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let fields = proptest::collection::vec((token(), "[ -~]{0,12}"), 0..5);
    let framing = prop_oneof![
        Just(0u8),
        Just(1),
        Just(2),
        // Sometimes wrong on purpose.
        Just(3),
    ];
    (token(), "/[!-~]{0,10}", fields, framing, content()).prop_map(
        |(method, target, fields, framing, content)| {
            let mut out = BytesMut::new();
            let mut put = |s: &str| out.extend_from_slice(s.as_bytes());
            put(&format!("{method} {target} HTTP/1.1\r\nHost: a.b:80\r\n"));
            fields.iter().for_each(|(n, v)| put(&format!("{n}: {v}\r\n")));
            let whole = content.concat();
            if framing & 1 == 1 {
                put(&format!("Content-Length: {}\r\n", whole.len()));
            }
            if framing & 2 == 2 {
                put("Transfer-Encoding: chunked\r\n");
            }
            put("\r\n");
            match framing {
                1 => out.extend_from_slice(&whole),
                2 | 3 => {
                    content.iter().for_each(|c| Encoder::Chunked.data(c, &mut out));
                    Encoder::Chunked.end(b"X-Sum: 1\r\n", &mut out);
                }
                _ => {}
            }
            out.to_vec()
        },
    )
}

/// A sound message with at most two bytes changed, taken out or put in.
fn bent() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop_oneof![any::<u8>(), proptest::sample::select(b"\r\n\0 \t:,;0aF+-_".to_vec()),];
    let bend = (0u8..4, any::<prop::sample::Index>(), odd);
    (request(), proptest::collection::vec(bend, 0..3)).prop_map(|(mut bytes, bends)| {
        for (how, at, byte) in bends {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn portions_change_nothing(bytes in bent()) {
        let whole = read(&[&bytes]);
        for at in 0..=bytes.len() {
            let (a, b) = bytes.split_at(at);
            prop_assert_eq!(&read(&[a, b]), &whole, "split at {}", at);
        }
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&read(&singly), &whole);
    }

    #[test]
    fn any_bytes_get_an_answer(bytes: Vec<u8>, chunked: Vec<u8>) {
        let _ = read(&[&bytes]);
        let mut body = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        body.extend_from_slice(&chunked);
        let _ = read(&[&body]);
        if let Ok(Some(head)) = Scan::response().find(&bytes, 4096) {
            let _ = ResponseHead::parse(&bytes[head], 32);
        }
    }

    #[test]
    fn what_is_encoded_decodes(content in content(), rest: Vec<u8>) {
        let mut out = BytesMut::from(&b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"[..]);
        content.iter().for_each(|c| Encoder::Chunked.data(c, &mut out));
        Encoder::Chunked.end(b"X-Sum: 1\r\n", &mut out);
        out.extend_from_slice(&rest);
        let read = read(&[&out]).unwrap().unwrap();
        prop_assert_eq!(read.body, content.concat());
        prop_assert_eq!(read.trailer, b"X-Sum: 1\r\n");
        prop_assert_eq!(read.left, Some(rest));
    }
}
