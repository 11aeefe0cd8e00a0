//! Why a message is refused.

use kernel::Text;

/// One reason for each rule. A client learns it in the body of a 4xx answer; from an instance it becomes
/// part of the 502 page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    BareLineEnd,
    ControlByte,
    RequestLine,
    Target,
    Version,
    StatusLine,
    Fold,
    FieldName,
    FieldValue,
    HeadTooLarge,
    TooManyFields,
    HostMissing,
    HostRepeated,
    HostMalformed,
    HostDiffers,
    Length,
    LengthRepeated,
    LengthAndCoding,
    Coding,
    CodingBefore11,
    ConnectionNames,
    Connect,
    Expectation,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    Trailer,
    TrailerTooLarge,
    Truncated,
    BodyTooLarge,
    TooSlow,
    Upgrade,
}

impl Reject {
    /// Status for a client (RFC 9110 §15, RFC 6585 §5).
    pub fn status(self) -> u16 {
        match self {
            Reject::Connect => 405,
            Reject::TooSlow => 408,
            Reject::BodyTooLarge => 413,
            Reject::Expectation => 417,
            Reject::HeadTooLarge | Reject::TooManyFields | Reject::TrailerTooLarge => 431,
            Reject::Version => 505,
            _ => 400,
        }
    }

    /// The sentence that names the rule.
    pub fn say(self) -> Text {
        let (en, ko) = match self {
            Reject::BareLineEnd => ("a line does not end in CR LF", "줄이 CR LF로 끝나지 않습니다"),
            Reject::ControlByte => ("the head holds a control byte", "헤더에 제어 문자가 있습니다"),
            Reject::RequestLine => {
                ("the request line is malformed", "요청 줄의 형식이 잘못되었습니다")
            }
            Reject::Target => {
                ("the request target is malformed", "요청 대상의 형식이 잘못되었습니다")
            }
            Reject::Version => {
                ("the HTTP version is not supported", "지원하지 않는 HTTP 버전입니다")
            }
            Reject::StatusLine => {
                ("the status line is malformed", "상태 줄의 형식이 잘못되었습니다")
            }
            Reject::Fold => ("a field is folded over lines", "헤더 필드가 여러 줄로 접혀 있습니다"),
            Reject::FieldName => {
                ("a field name is malformed", "헤더 필드 이름의 형식이 잘못되었습니다")
            }
            Reject::FieldValue => {
                ("a field value is malformed", "헤더 필드 값의 형식이 잘못되었습니다")
            }
            Reject::HeadTooLarge => ("the head is too large", "헤더가 너무 큽니다"),
            Reject::TooManyFields => ("there are too many fields", "헤더 필드가 너무 많습니다"),
            Reject::HostMissing => ("the Host field is missing", "Host 필드가 없습니다"),
            Reject::HostRepeated => {
                ("there is more than one Host field", "Host 필드가 둘 이상입니다")
            }
            Reject::HostMalformed => {
                ("the Host field is malformed", "Host 필드의 형식이 잘못되었습니다")
            }
            Reject::HostDiffers => (
                "the Host field differs from the authority of the target",
                "Host 필드가 요청 대상의 호스트와 다릅니다",
            ),
            Reject::Length => {
                ("Content-Length is not one number", "Content-Length가 하나의 숫자가 아닙니다")
            }
            Reject::LengthRepeated => {
                ("Content-Length is repeated", "Content-Length가 여러 번 나옵니다")
            }
            Reject::LengthAndCoding => (
                "Content-Length and Transfer-Encoding exclude each other",
                "Content-Length와 Transfer-Encoding은 함께 쓸 수 없습니다",
            ),
            Reject::Coding => (
                "Transfer-Encoding is other than one “chunked”",
                "Transfer-Encoding이 “chunked” 하나가 아닙니다",
            ),
            Reject::CodingBefore11 => (
                "Transfer-Encoding does not exist in HTTP/1.0",
                "HTTP/1.0에는 Transfer-Encoding이 없습니다",
            ),
            Reject::ConnectionNames => (
                "Connection names a field that must reach the other end, or too many fields",
                "Connection이 끝까지 전달되어야 하는 필드를 가리키거나 너무 많은 필드를 가리킵니다",
            ),
            Reject::Connect => ("CONNECT is not served here", "CONNECT는 지원하지 않습니다"),
            Reject::Expectation => ("the expectation is not known", "알 수 없는 Expect 값입니다"),
            Reject::ChunkSize => ("a chunk size is malformed", "청크 크기의 형식이 잘못되었습니다"),
            Reject::ChunkExtension => (
                "a chunk extension is malformed or too long",
                "청크 확장의 형식이 잘못되었거나 너무 깁니다",
            ),
            Reject::ChunkEnd => {
                ("a chunk does not end where it said", "청크가 정해진 곳에서 끝나지 않습니다")
            }
            Reject::Trailer => (
                "a trailer field is malformed or not allowed there",
                "트레일러 필드의 형식이 잘못되었거나 허용되지 않습니다",
            ),
            Reject::TrailerTooLarge => ("the trailer is too large", "트레일러가 너무 큽니다"),
            Reject::Truncated => ("the message ends too early", "메시지가 중간에 끝났습니다"),
            Reject::BodyTooLarge => {
                ("the body is larger than allowed", "본문이 허용된 크기보다 큽니다")
            }
            Reject::TooSlow => ("the request came too slowly", "요청이 너무 느리게 도착했습니다"),
            Reject::Upgrade => (
                "bytes came before the upgrade was agreed",
                "업그레이드가 합의되기 전에 데이터가 왔습니다",
            ),
        };
        Text::fixed(en, ko)
    }
}
