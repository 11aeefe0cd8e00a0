//! The page shell and its widgets.
