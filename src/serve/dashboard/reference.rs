//! The API's document, to read.

use std::fmt::{self, Write};

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::Dashboard;
use super::page::{Page, table, table_end};
use crate::markup::Plain;
use crate::serve::api::document;

pub(super) async fn page(State(_): State<Dashboard>) -> Response {
    let mut body = String::new();
    let _ = write(&mut body, document());
    Page { title: "API", place: "/docs", run: None, live: false }.show(None, &body)
}

fn text<'a>(value: &'a Value, key: &str) -> Plain<'a> {
    Plain(value[key].as_str().unwrap_or_default())
}

fn write(body: &mut String, document: &Value) -> fmt::Result {
    writeln!(
        body,
        "<h1>API</h1>\n<p><a href=\"/\">To the dashboard</a>. The document itself: <a href=\"/openapi.json\">/openapi.json</a>. \
         Requests bring <code>Authorization: Bearer …</code> with <code>server.token</code>, or with <code>server.viewer_token</code> to look only.</p>"
    )?;
    writeln!(body, "<h2>Requests</h2>")?;
    let mut number = 0;
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            number += 1;
            write_operation(body, number, path, method, operation)?;
        }
    }
    writeln!(body, "<h2>What is sent and answered</h2>")?;
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        write_schema(body, name, schema)?;
    }
    Ok(())
}

fn write_operation(
    body: &mut String,
    number: usize,
    path: &str,
    method: &str,
    operation: &Value,
) -> fmt::Result {
    writeln!(
        body,
        "<h3 id=\"operation-{number}\"><span class=\"method\">{}</span> <code>{}</code></h3>\n<p>{}</p>",
        Plain(&method.to_uppercase()),
        Plain(path),
        text(operation, "summary")
    )?;
    if operation["description"].is_string() {
        writeln!(body, "<p>{}</p>", text(operation, "description"))?;
    }
    let title = format!("operation-{number}");
    if let Some(parameters) = operation["parameters"].as_array() {
        table(body, &title, &["Parameter", "In", "Type", "Meaning"])?;
        for parameter in parameters {
            let kind = type_of(&parameter["schema"]);
            writeln!(
                body,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td class=\"why\">{}</td></tr>",
                text(parameter, "name"),
                text(parameter, "in"),
                Plain(&kind),
                text(parameter, "description")
            )?;
        }
        table_end(body)?;
    }
    let sent = contents(&operation["requestBody"]);
    if !sent.is_empty() {
        writeln!(body, "<p>Sent: {}</p>", Plain(&sent))?;
    }
    table(body, &title, &["Status", "When", "Answer"])?;
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        writeln!(
            body,
            "<tr><td><code>{}</code></td><td class=\"why\">{}</td><td>{}</td></tr>",
            Plain(status),
            text(response, "description"),
            Plain(&contents(response))
        )?;
    }
    table_end(body)
}

/// The kinds of content that a body may have.
fn contents(body: &Value) -> String {
    let contents = body["content"].as_object().into_iter().flatten();
    let words: Vec<String> =
        contents.map(|(kind, content)| format!("{} ({kind})", type_of(&content["schema"]))).collect();
    words.join(", ")
}

/// A schema in a few words.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or(name).to_owned();
    }
    for key in ["oneOf", "allOf", "anyOf"] {
        if let Some(parts) = schema[key].as_array() {
            let words: Vec<String> = parts.iter().map(type_of).filter(|word| word != "null").collect();
            return words.join(if key == "allOf" { " and " } else { " or " });
        }
    }
    let kind = match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|kind| *kind != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "anything".to_owned(),
    };
    match kind.as_str() {
        "array" => format!("list of {}", type_of(&schema["items"])),
        _ => schema["format"].as_str().map_or(kind.clone(), |format| format!("{kind}, {format}")),
    }
}

fn write_schema(body: &mut String, name: &str, schema: &Value) -> fmt::Result {
    writeln!(body, "<h3 id=\"schema-{}\"><code>{}</code></h3>", Plain(name), Plain(name))?;
    if schema["description"].is_string() {
        writeln!(body, "<p>{}</p>", text(schema, "description"))?;
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        return writeln!(body, "<p>{}</p>", Plain(&words.join(", ")));
    }
    let parts: Vec<&Value> =
        schema["allOf"].as_array().map_or_else(|| vec![schema], |parts| parts.iter().collect());
    if schema["allOf"].is_array() {
        writeln!(body, "<p class=\"soft\">{}</p>", Plain(&type_of(schema)))?;
    }
    let fields: Vec<_> = parts.iter().filter_map(|part| part["properties"].as_object()).flatten().collect();
    if fields.is_empty() {
        return Ok(());
    }
    table(body, &format!("schema-{name}"), &["Field", "Type", "Meaning"])?;
    for (field, schema) in fields {
        writeln!(
            body,
            "<tr><td><code>{}</code></td><td>{}</td><td class=\"why\">{}</td></tr>",
            Plain(field),
            Plain(&type_of(schema)),
            text(schema, "description")
        )?;
    }
    table_end(body)
}
