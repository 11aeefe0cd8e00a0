//! naru in a test: the real program on port 0, real clients.
