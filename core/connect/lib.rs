//! What a connector is: Source, Target, specification, response rules, the HTTP client
