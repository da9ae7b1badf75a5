//! Canonical records, exact money, events, faults: values only
