//! The table by which every part says what it has.
