//! Level-triggered loops over resources.
