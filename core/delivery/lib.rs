//! Getting each event to each target once.
//!
//! This package knows events, deliveries, attempts and brokers. It does not know any outside system's
//! protocol, any mapping, any SQL, or the environment. AMQP is spoken in [`rabbit`] and nowhere else.
//! Time and randomness are parameters. The database is the truth and the broker is transport: everything a
//! broker holds can be made again from the store.

pub mod port;
