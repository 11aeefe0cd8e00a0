//! Repositories: smart HTTP, push decided once, browsing.
