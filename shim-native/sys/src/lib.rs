//! Placeholder until the addon is written.
