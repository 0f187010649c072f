//! What all pages have: head, navigation, style, the script, and the headers that go with them.

use std::fmt::{self, Display, Write};
use std::sync::LazyLock;

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ulid::Ulid;

use super::Dashboard;
use crate::markup::Plain;
use crate::report::html::STYLE as REPORT_STYLE;
use crate::serve::api::{Caller, Role};
use crate::web::problem::Problem;

static STYLE: LazyLock<String> = LazyLock::new(|| format!("{REPORT_STYLE}{}", include_str!("style.css")));
const SCRIPT: &str = include_str!("live.js");

/// Who looks at the page.
pub(super) struct Visitor {
    pub(super) may_act: bool,
    /// There is a session to end.
    logged_in: bool,
    /// What the forms of the page carry.
    proof: String,
}

impl Visitor {
    pub(super) fn of(dashboard: &Dashboard, caller: &Caller) -> Self {
        Self {
            may_act: caller.role == Role::Operator,
            logged_in: caller.session.is_some(),
            proof: dashboard.admission.sessions.proof(caller.session.as_deref()),
        }
    }

    /// The beginning of a form that changes something.
    pub(super) fn form(&self, body: &mut String, action: &dyn Display, class: &str) -> fmt::Result {
        writeln!(
            body,
            "<form method=\"post\" action=\"{action}\" class=\"{class}\"><input type=\"hidden\" name=\"proof\" value=\"{}\">",
            self.proof
        )
    }
}

/// A page and where it stands.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// The path in the navigation.
    pub(super) place: &'a str,
    /// Of the run that alone is of interest here.
    pub(super) run: Option<&'a str>,
    pub(super) live: bool,
}

const PLACES: [(&str, &str); 5] = [
    ("/", "Recoveries"),
    ("/coverage", "Coverage"),
    ("/workers", "Workers"),
    ("/dead", "Failed meetings"),
    ("/docs", "API"),
];

impl Page<'_> {
    pub(super) fn show(&self, visitor: Option<&Visitor>, body: &str) -> Response {
        self.with_status(StatusCode::OK, visitor, body)
    }

    pub(super) fn with_status(&self, status: StatusCode, visitor: Option<&Visitor>, body: &str) -> Response {
        let nonce = Ulid::generate().to_string();
        let mut text = String::with_capacity(body.len() + STYLE.len() + (8 << 10));
        // Writing to a String cannot fail.
        let _ = self.write(&mut text, visitor, body, &nonce);
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; \
             img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (header::X_FRAME_OPTIONS, "DENY".to_owned()),
            // Forms tell their origin, and nobody else is told anything.
            (header::REFERRER_POLICY, "same-origin".to_owned()),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin".to_owned()),
        ];
        (status, headers, text).into_response()
    }

    fn write(&self, text: &mut String, visitor: Option<&Visitor>, body: &str, nonce: &str) -> fmt::Result {
        writeln!(text, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
        writeln!(text, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
        writeln!(
            text,
            "<link rel=\"icon\" href=\"data:,\">\n<title>{} · Recapture</title>",
            Plain(self.title)
        )?;
        writeln!(text, "<style nonce=\"{nonce}\">\n{}</style>\n</head>", *STYLE)?;
        writeln!(text, "<body data-run=\"{}\">", Plain(self.run.unwrap_or_default()))?;
        writeln!(text, "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header class=\"top\">")?;
        writeln!(text, "<a class=\"brand\" href=\"/\">Recapture</a>")?;
        if let Some(visitor) = visitor {
            writeln!(text, "<nav aria-label=\"Pages\">")?;
            for (path, name) in PLACES {
                let current = if path == self.place { " aria-current=\"page\"" } else { "" };
                writeln!(text, "<a href=\"{path}\"{current}>{name}</a>")?;
            }
            writeln!(text, "</nav>\n<p id=\"live\" class=\"soft\" role=\"status\" hidden></p>")?;
            if visitor.logged_in {
                visitor.form(text, &"/logout", "inline")?;
                writeln!(text, "<button class=\"quiet\">Log out</button></form>")?;
            }
        }
        writeln!(text, "</header>\n<main id=\"main\" tabindex=\"-1\">\n{body}</main>")?;
        if self.live {
            writeln!(text, "<script nonce=\"{nonce}\">\n{SCRIPT}</script>")?;
        }
        writeln!(text, "</body>\n</html>")
    }
}

/// What is refused, on a page of its own.
pub(super) fn refusal(problem: &Problem) -> Response {
    let status = problem.status();
    let name = status.canonical_reason().unwrap_or("Problem");
    let body = format!(
        "<h1>{name}</h1>\n<p>{}</p>\n<p><a href=\"/\">To the recoveries</a></p>\n",
        Plain(problem.detail())
    );
    let page = Page { title: name, place: "", run: None, live: false };
    page.with_status(status, None, &body)
}

/// A table's beginning; `#` before a name makes a column of numbers. Its title is the heading above it.
pub(super) fn table(body: &mut String, id: &str, columns: &[&str]) -> fmt::Result {
    writeln!(
        body,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"{id}\"><table aria-labelledby=\"{id}\">\n<thead><tr>"
    )?;
    for column in columns {
        match column.strip_prefix('#') {
            Some(name) => write!(body, "<th scope=\"col\" class=\"number\">{name}</th>")?,
            None => write!(body, "<th scope=\"col\">{column}</th>")?,
        }
    }
    writeln!(body, "</tr></thead>\n<tbody>")
}

pub(super) fn table_end(body: &mut String) -> fmt::Result {
    writeln!(body, "</tbody></table></div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_end_no_element() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
    }
}
