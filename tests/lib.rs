//! Tests across packages, one binary per question
