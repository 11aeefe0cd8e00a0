//! Who may do what: users, tokens, sessions, projects.
