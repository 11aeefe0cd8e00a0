//! The command line: arguments, client, tables.
