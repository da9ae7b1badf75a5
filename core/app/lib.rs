//! The tongbao binary: configuration, ingress, pipeline, API, CLI, telemetry
