//! The house's own nouns on its surfaces: projects, resources, runs, events, tokens, sign-in.
