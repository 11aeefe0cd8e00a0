//! HTTP/1 as bytes (RFC 9112), strict, without IO.
//!
//! [`Scan`] finds where a head ends and refuses what may not be in one; [`RequestHead`] and
//! [`ResponseHead`] read it; [`framing`] decides how long the body is, or that the message must be refused;
//! [`Decoder`] walks a body in any portions and [`Encoder`] frames it anew. Everything takes slices and
//! answers with values, so that any bytes can be thrown at it.
//!
//! Where the standard lets a recipient be lenient (bare LF, folded lines, equal lengths twice, lists of
//! codings), this one refuses: each such leniency is a way for two programs to see different messages.

mod body;
mod chunk;
mod field;
mod frames;
pub mod framing;
mod head;
mod host;
mod reject;
mod scan;

pub use body::{Body, Decoder, Encoder, Step};
pub use field::{Field, Known, tokens};
pub use frames::Frames;
pub use head::{RequestHead, ResponseHead, Version};
pub use host::{authority, host_key};
pub use reject::Reject;
pub use scan::Scan;

/// What an HTTP/2 client with prior knowledge sends first looks like this head (RFC 9113 §3.4).
pub const H2_PREFACE_HEAD: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

#[cfg(test)]
mod tests;
