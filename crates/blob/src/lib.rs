//! Content-addressed blobs, and trees of files made of them.
//!
//! A blob is named by the SHA-256 of its bytes (lower-case hex) and never changes. A tree is a blob that
//! lists files. What is needed is held by references, written in the owner's own transaction; the garbage
//! collector deletes only what no reference, no tree under a reference and no write under way can reach.
