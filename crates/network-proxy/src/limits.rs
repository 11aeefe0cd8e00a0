//! How much, how many, how long.

use std::time::Duration;

/// Bounds on what clients and instances may ask of the edge. The defaults suit services behind one machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Client connections at a time, over all listeners; one more is answered 503 and closed.
    pub connections: usize,
    /// Bytes of a request or response head, first line included. More is 431 (or 502 from an instance).
    pub head_bytes: usize,
    /// Header fields of a head. More is 431.
    pub fields: usize,
    /// From the first byte of a head to its last. Longer is 408.
    pub head_time: Duration,
    /// A kept-alive connection without a request, and a client that takes no more of a response.
    pub idle: Duration,
    /// Bytes of a request body after decoding. More is 413.
    pub body_bytes: u64,
    /// Least bytes of a request body in each `body_window` that is spent waiting for the client. Fewer is 408.
    pub body_least: u64,
    pub body_window: Duration,
    /// To reach an instance.
    pub connect: Duration,
    /// From the end of the request to the head of the response. Longer is 504.
    pub response: Duration,
    /// Silence within a response body (server-sent events) or an upgraded connection.
    pub silence: Duration,
    /// Kept connections to each instance.
    pub pool: usize,
    /// HTTP/2 streams of one connection at a time.
    pub streams: u32,
    /// How long requests under way may go on after the stop signal.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 8192,
            head_bytes: 32 * 1024,
            fields: 128,
            head_time: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            body_bytes: 16 << 30,
            body_least: 1024,
            body_window: Duration::from_secs(20),
            connect: Duration::from_secs(3),
            response: Duration::from_secs(60),
            silence: Duration::from_secs(3600),
            pool: 64,
            streams: 128,
            grace: Duration::from_secs(10),
        }
    }
}
