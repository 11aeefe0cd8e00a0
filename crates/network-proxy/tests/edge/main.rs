//! The edge as its clients and instances meet it, over real sockets.

// Helpers outside of test functions fail a test by panicking, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod drain;
mod framing;
mod grid;
mod http2;
mod kit;
mod limits;
mod route;
mod stream;
mod surface;
