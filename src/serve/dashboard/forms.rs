//! What the forms of the dashboard do: the same as the API, and then the browser is sent to the page that shows it.

use std::fmt::Write;

use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Form};
use chrono::Utc;
use recapture_core::digest::sha256;
use recapture_core::period::stamp;
use recapture_core::run::RunId;
use serde::Deserialize;

use super::page::{Page, Visitor, table, table_end};
use super::{Dashboard, Refusal};
use crate::cli::grouped;
use crate::markup::Plain;
use crate::report::html::write_books;
use crate::serve::api::schema::{CsvQuery, NewRecovery, Plan, Retry};
use crate::serve::api::{
    Asking, Caller, cancel_run, order, order_csv, pause_run, plan, resume_run, retry_run,
};
use crate::serve::recoveries::Client;
use crate::web::problem::Problem;

#[derive(Deserialize)]
pub(super) struct Begin {
    proof: String,
    /// Of the page that held the form.
    #[serde(default)]
    key: String,
    #[serde(rename = "do", default)]
    what: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    meetings: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
pub(super) struct Control {
    proof: String,
    meeting: Option<String>,
}

/// The form was made for this session.
fn prove(dashboard: &Dashboard, caller: &Caller, proof: &str) -> Result<(), Problem> {
    if dashboard.admission.sessions.is_proof(caller.session.as_deref(), proof) {
        return Ok(());
    }
    let detail = "This form is not of a page that you were shown in this session. Load the page again.";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

fn read<T>(form: Result<Form<T>, FormRejection>) -> Result<T, Problem> {
    form.map(|Form(form)| form).map_err(|error| Problem::new(error.status(), error.body_text()))
}

fn to_run(id: &RunId) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/runs/{id}"))]).into_response()
}

pub(super) async fn begin(
    State(dashboard): State<Dashboard>,
    Extension(caller): Extension<Caller>,
    form: Result<Form<Begin>, FormRejection>,
) -> Result<Response, Refusal> {
    let form = read(form)?;
    prove(&dashboard, &caller, &form.proof)?;
    let key = (!form.key.is_empty()).then(|| key_of(&form));
    let given = |text: String| Some(text).filter(|text| !text.trim().is_empty());
    let (by, reason) = (given(form.by), given(form.reason));
    let order = if let Some(list) = given(form.meetings) {
        let query = CsvQuery { by, reason, name: Some("a form".to_owned()), dry_run: false };
        order_csv(list.as_bytes(), query)?
    } else {
        let (from, to) = (given(form.from), given(form.to));
        order(NewRecovery { from, to, by, reason, ..NewRecovery::default() }, Utc::now())?
    };
    let client = Client { address: caller.client.clone(), request_id: caller.request_id.clone(), key };
    if form.what == "look" {
        let plan = plan(&dashboard.api, &order, &client).await?;
        return Ok(show(&Visitor::of(&dashboard, &caller), &plan));
    }
    let begun = dashboard.api.recoveries.begin(order, &client).await.map_err(Problem::from)?;
    Ok(to_run(&begun.run.id))
}

/// The same form with the same words is one request, however often it is sent: a button that is pressed twice begins one
/// run. The words are in it, so that a page that one goes back to can ask for something else.
fn key_of(form: &Begin) -> String {
    let Begin { key, from, to, meetings, by, reason, .. } = form;
    let words = [key, from, to, meetings, by, reason].map(String::as_str).join("\n");
    format!("form-{}", sha256(words.as_bytes()))
}

/// What a dry run found.
fn show(visitor: &Visitor, plan: &Plan) -> Response {
    let mut body = String::new();
    let _ = write_plan(&mut body, plan);
    Page { title: "What is missing", place: "/", run: None, live: false }.show(Some(visitor), &body)
}

fn write_plan(body: &mut String, plan: &Plan) -> std::fmt::Result {
    writeln!(body, "<h1>What is missing</h1>\n<p>Nothing was changed.</p>")?;
    write_books(body, &plan.recovery.counts.to_counts())?;
    if !plan.meetings.is_empty() {
        writeln!(body, "<h2 id=\"plan\">Meetings</h2>")?;
        table(body, "plan", &["Meeting", "Began", "Verdict"])?;
        for meeting in &plan.meetings {
            let (uuid, verdict) = (Plain(&meeting.meeting_uuid), Plain(&meeting.verdict));
            let began = meeting.started_at.map(stamp).unwrap_or_default();
            writeln!(
                body,
                "<tr><td><code>{uuid}</code></td><td class=\"time\">{began}</td><td>{verdict}</td></tr>"
            )?;
        }
        table_end(body)?;
    }
    if plan.more > 0 {
        writeln!(body, "<p class=\"soft\">And {} more.</p>", grouped(plan.more))?;
    }
    writeln!(body, "<p><a href=\"/\">Back</a></p>")
}

pub(super) async fn control(
    State(dashboard): State<Dashboard>,
    Extension(caller): Extension<Caller>,
    Path((id, action)): Path<(String, String)>,
    form: Result<Form<Control>, FormRejection>,
) -> Result<Response, Refusal> {
    let form = read(form)?;
    prove(&dashboard, &caller, &form.proof)?;
    let none =
        || Problem::new(StatusCode::NOT_FOUND, "There is no such recovery, or nothing like that to do.");
    let id = RunId::parse(&id).map_err(|_| none())?;
    let by = format!("an operator at {}, on the dashboard", caller.client);
    let (api, asking) = (&dashboard.api, Asking::new(&caller, Some(by))?);
    match action.as_str() {
        "pause" => drop(pause_run(api, &id, &asking).await?),
        "resume" => drop(resume_run(api, &id, &asking).await?),
        "cancel" => drop(cancel_run(api, &id, &asking).await?),
        "retry" => {
            let asked = Retry { meetings: form.meeting.map(|meeting| vec![meeting]), ..Retry::default() };
            drop(retry_run(api, &id, asked, &asking).await?);
        }
        _ => return Err(none().into()),
    }
    Ok(to_run(&id))
}
