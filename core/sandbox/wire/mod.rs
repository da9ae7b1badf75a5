//! The HTTP side all stand-ins share: connections that can be cut, requests, replies, and faults on the wire.

pub(crate) mod client;
pub(crate) mod conn;
pub(crate) mod drive;
pub(crate) mod message;
