//! The document of the API, made from its code.

use std::sync::LazyLock;

use recapture_core::reason::Reason;
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::{change, pulse, read, schema};

#[derive(OpenApi)]
#[openapi(
    info(title = "Recapture", description = "Finds the Zoom meetings that a recording platform missed and brings them back.",
        license(name = "MIT OR Apache-2.0")),
    tags(
        (name = "recoveries", description = "Runs of recovery, and what became of their meetings"),
        (name = "operation", description = "What is covered, who works, what changes")),
    paths(
        read::list, change::begin, read::one, read::meetings, read::report, change::pause, change::resume,
        change::cancel, change::retry, read::coverage, read::workers, pulse::events),
    components(schemas(schema::Limit, schema::Outcome, schema::Format))
)]
struct Document;

/// What any request may be answered with, and is therefore said once.
const ANYWHERE: [(&str, &str); 5] = [
    ("400", "The request is none that can be read"),
    ("401", "The bearer token is missing or wrong"),
    ("403", "The token is a viewer's, or a page of another site asks"),
    ("429", "Too many requests from this address"),
    ("503", "The queue or the capture buffer cannot be used now"),
];

static WITH_TOKEN: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).expect("the document is JSON");
    document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer",
        "description": "server.token for everything, server.viewer_token for GET" } });
    document["security"] = json!([{ "token": [] }]);
    // What is a closed list elsewhere is one here.
    let reasons: Vec<&str> = Reason::ALL.iter().map(|(_, word, _)| *word).collect();
    let retry = &mut document["components"]["schemas"]["Retry"]["properties"];
    retry["reason"]["enum"] = reasons.iter().map(|word| json!(word)).chain([Value::Null]).collect();
    retry["meetings"]["items"]["pattern"] = json!("^[!-~]{1,255}$");
    let parameters = document["paths"]["/v1/recoveries/{id}/meetings"]["get"]["parameters"].as_array_mut();
    if let Some(reason) = parameters.into_iter().flatten().find(|parameter| parameter["name"] == "reason") {
        reason["schema"] = json!({ "type": "string", "enum": reasons });
    }
    let problem =
        json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in paths.filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut()) {
        let Some(responses) = operation["responses"].as_object_mut() else { continue };
        for (status, why) in ANYWHERE {
            let response = || json!({ "description": why, "content": problem });
            responses.entry(status).or_insert_with(response);
        }
    }
    document
});

/// The document as it is true of a service with tokens.
pub(in crate::serve) fn document() -> &'static Value {
    &WITH_TOKEN
}

/// The document as it is true of this service: without a token it asks for none.
pub(super) fn text(asks: bool) -> String {
    let mut document = WITH_TOKEN.clone();
    if !asks {
        document["security"] = json!([]);
    }
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_tells_of_every_route() {
        let routes = include_str!("../api.rs");
        let mut told = 0;
        for (path, methods) in document()["paths"].as_object().expect("paths") {
            assert!(routes.contains(&format!("\"{path}\"")), "{path} is no route");
            told += methods.as_object().expect("methods").len();
        }
        let is_v1 = |line: &&str| line.contains(".route(\"/v1/");
        let known: usize = routes.lines().filter(is_v1).map(|line| line.matches("::").count()).sum();
        assert_eq!(told, known, "a route is not in the document");
    }

    #[test]
    fn every_operation_says_when_it_refuses() {
        for (path, methods) in document()["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                for (status, _) in ANYWHERE {
                    assert!(operation["responses"].get(status).is_some(), "{method} {path}: {status}");
                }
            }
        }
    }
}
