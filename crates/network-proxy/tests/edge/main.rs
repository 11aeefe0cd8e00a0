//! The edge as its clients and instances meet it, over real sockets.

mod drain;
mod framing;
mod http2;
mod kit;
mod limits;
mod route;
mod stream;
