//! What a reader of these pages would notice.
