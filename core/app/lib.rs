//! The service: configuration, ingress, pipeline, API, commands, telemetry.
//!
//! Wiring only. This is the one package that sees the environment, the file system and the terminal; it holds no
//! protocol, no SQL, no AMQP and no arithmetic of its own.

// The futures of sea-orm and lapin nest deeper than the compiler's default allows when it lays out whole commands.
#![recursion_limit = "256"]

pub mod api;
pub mod archive;
pub mod ask;
pub mod cli;
pub mod closings;
pub mod commands;
pub mod commission;
pub mod comparing;
pub mod config;
pub mod emit;
pub mod files;
pub mod fonts;
mod hearing;
pub mod ingress;
pub mod intake;
pub mod invoicing;
pub mod ledger;
pub mod mappings;
pub mod masters;
pub mod notices;
pub mod output;
pub mod overview;
pub mod pack;
mod paper;
pub mod payments;
pub mod pipeline;
pub mod poller;
pub mod receivables;
pub mod related;
mod routes;
pub mod service;
pub mod signature;
pub mod sim;
pub mod stage;
pub mod statements;
pub mod tables;
pub mod telemetry;
