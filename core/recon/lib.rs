//! Receivables and payment allocation
