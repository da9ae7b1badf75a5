//! What the API takes and answers, for programs: OpenAPI 3.1.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The description. Written by hand; its paths are held against the router, and its schemas against what is answered.
pub const DESCRIPTION: &str = include_str!("openapi.json");

/// Answers it.
pub async fn description() -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], DESCRIPTION).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// Paths with their methods, as the router's own lines have them.
    fn routed() -> BTreeSet<String> {
        let source: String = include_str!("../api.rs").split_whitespace().collect();
        let (source, _) = source.split_once(".layer(middleware").unwrap();
        let routes = source.split(".route(\"").skip(1);
        let route = |text: &str| {
            let (path, rest) = text.split_once('"').unwrap();
            let made = rest.split(".route(").next().unwrap();
            let methods = ["get", "post"].into_iter().filter(|method| made.contains(&format!("{method}(")));
            methods.map(|method| format!("{method} {path}")).collect::<Vec<_>>()
        };
        routes.flat_map(route).collect()
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let told: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let paths = told["paths"].as_object().unwrap();
        let described = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        });
        assert_eq!(described.collect::<BTreeSet<_>>(), routed());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let told: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let mut left = vec![&told];
        while let Some(value) = left.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        let found = told.pointer(reference.strip_prefix('#').unwrap());
                        assert!(found.is_some(), "{reference}");
                    }
                    left.extend(members.values());
                }
                Value::Array(list) => left.extend(list),
                _ => {}
            }
        }
    }
}
