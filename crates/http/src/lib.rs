//! The edge of the API: routing, authentication, generic resources, watches.
