//! The edge: routes, strict HTTP/1, drains.
