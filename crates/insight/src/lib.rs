//! Key metrics (DORA) and the change trace, folded from events.
