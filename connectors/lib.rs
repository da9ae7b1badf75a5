//! The connectors: one folder each, one registry line each
