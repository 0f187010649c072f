//! The simulator as a whole: three listeners over one scenario, and the handle that a test holds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::catalogue::{File, FileKey};
use crate::connections::{Door, Entrance, Wire};
use crate::counts::{Counts, FileCount, lock};
use crate::faults::Faults;
use crate::limits::Limits;
use crate::scenario::Scenario;
use crate::state::{Shared, Tokens};
use crate::truth::{TruthMeeting, truth};
use crate::{control, das, zoom};

/// Where to listen, and under which names clients reach it. Port 0 is any free one.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub zoom: SocketAddr,
    /// The second host of downloads. Its name has to differ from Zoom's: the rule that is tested is one about
    /// hosts.
    pub media: SocketAddr,
    pub das: SocketAddr,
    pub zoom_host: String,
    pub media_host: String,
    pub das_host: String,
}

impl Default for Addresses {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            zoom: any,
            media: any,
            das: any,
            zoom_host: "127.0.0.1".to_owned(),
            media_host: "localhost".to_owned(),
            das_host: "127.0.0.1".to_owned(),
        }
    }
}

/// A running simulator. Dropping it cuts every connection and frees the ports.
pub struct Simulator {
    shared: Arc<Shared>,
    hosts: [String; 2],
    das_origin: String,
    servers: [JoinHandle<()>; 3],
}

impl Simulator {
    /// Starts on free ports of the loopback interface.
    pub async fn start(scenario: Scenario) -> io::Result<Self> {
        Self::start_at(scenario, Addresses::default()).await
    }

    pub async fn start_at(scenario: Scenario, addresses: Addresses) -> io::Result<Self> {
        let zoom = TcpListener::bind(addresses.zoom).await?;
        let media = TcpListener::bind(addresses.media).await?;
        let das = TcpListener::bind(addresses.das).await?;
        let origin = |host: &str, listener: &TcpListener| {
            Ok::<_, io::Error>(format!("http://{host}:{}", listener.local_addr()?.port()))
        };
        let das_origin = origin(&addresses.das_host, &das)?;
        let zoom_origin = origin(&addresses.zoom_host, &zoom)?;
        let media_origin = origin(&addresses.media_host, &media)?;
        let shared = Arc::new(Shared::new(scenario, zoom_origin, media_origin));
        let servers = [
            serve(zoom, &shared.doors.zoom, zoom::api().merge(control::routes()), &shared),
            serve(media, &shared.doors.media, zoom::media(), &shared),
            serve(das, &shared.doors.das, das::routes(), &shared),
        ];
        Ok(Self { shared, hosts: [addresses.zoom_host, addresses.media_host], das_origin, servers })
    }

    /// Ends when the ports are free.
    pub async fn stop(mut self) {
        self.shut();
        for server in &mut self.servers {
            // Cancelled is how it ends.
            drop(server.await);
        }
    }

    fn shut(&self) {
        self.shared.doors.shut();
        self.servers.iter().for_each(JoinHandle::abort);
    }

    // What a client is configured with.

    pub fn api_url(&self) -> String {
        format!("{}/v2", self.shared.zoom_origin)
    }

    pub fn oauth_url(&self) -> String {
        format!("{}/oauth/token", self.shared.zoom_origin)
    }

    pub fn das_url(&self) -> String {
        format!("{}/das", self.das_origin)
    }

    /// Base of the remote control.
    pub fn control_url(&self) -> String {
        format!("{}/_sim", self.shared.zoom_origin)
    }

    /// The Verint form of the same contacts.
    pub fn verint_url(&self) -> String {
        format!("{}/verint", self.das_origin)
    }

    /// Takes contacts for the platform that can only be read; with the token of the DAS.
    pub fn ingest_url(&self) -> String {
        format!("{}/verint/ingest", self.das_origin)
    }

    pub fn verint_user(&self) -> &'static str {
        das::VERINT_USER
    }

    pub fn verint_password(&self) -> &'static str {
        das::VERINT_PASSWORD
    }

    pub fn das_token(&self) -> &'static str {
        das::TOKEN
    }

    pub fn account_id(&self) -> &'static str {
        zoom::ACCOUNT_ID
    }

    pub fn client_id(&self) -> &'static str {
        zoom::CLIENT_ID
    }

    pub fn client_secret(&self) -> &'static str {
        zoom::CLIENT_SECRET
    }

    /// What every access token begins with, for whoever looks for one where none may be.
    pub fn token_prefix(&self) -> &'static str {
        Tokens::PREFIX
    }

    /// The host where downloads begin, and the one that they are redirected to. Both are loopback by default,
    /// so a client that guards against redirects into private networks has to be told both.
    pub fn download_hosts(&self) -> Vec<String> {
        self.hosts.to_vec()
    }

    // What happens.

    pub fn set_faults(&self, faults: Faults) {
        self.shared.mischief.set(faults);
    }

    pub fn set_limits(&self, limits: Limits) {
        self.shared.limiter.set(limits);
    }

    /// Down means: what is open is reset, and whoever connects is reset without an answer.
    pub fn set_das_up(&self, up: bool) {
        self.shared.doors.das.set_open(up);
    }

    /// The same for the API and for downloads.
    pub fn set_zoom_up(&self, up: bool) {
        self.shared.doors.zoom.set_open(up);
        self.shared.doors.media.set_open(up);
    }

    /// Downloads that begin from now on count as started and wait, before they answer.
    pub fn hold_downloads(&self) {
        self.shared.held.send_replace(true);
    }

    pub fn release_downloads(&self) {
        self.shared.held.send_replace(false);
    }

    /// Holds for tokens issued from now on.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.shared.tokens.set_lifetime(lifetime);
    }

    /// Every token issued so far is dead.
    pub fn revoke_tokens(&self) {
        self.shared.tokens.revoke_all();
    }

    /// Every session of the DAS' Verint form is over.
    pub fn end_das_sessions(&self) {
        self.shared.das_sessions.revoke_all();
    }

    /// Every archive that is still processing is complete, now.
    pub fn finish_processing(&self) {
        self.shared.progress.finish_all(&self.shared.catalogue);
    }

    /// Whoever asks for a meeting by this UUID, or for the instances of this number, gets this status and code; `None`
    /// gives what there is again.
    pub fn set_answer(&self, id: &str, answer: Option<(u16, u16)>) {
        let mut told = lock(&self.shared.told);
        match answer {
            Some(answer) => _ = told.insert(id.to_owned(), answer),
            None => _ = told.remove(id),
        }
    }

    /// Zoom has the files after all that had failed or were gone.
    pub fn mend_files(&self) {
        self.shared.catalogue.mend();
    }

    // What was seen.

    pub fn counts(&self) -> Counts {
        self.shared.ledger.read(Counts::clone)
    }

    /// Looks at the counts without a copy of them.
    pub fn with_counts<T>(&self, look: impl FnOnce(&Counts) -> T) -> T {
        self.shared.ledger.read(look)
    }

    /// Returns once the counts say so; looks again whenever they change.
    pub async fn wait_for(&self, reached: impl FnMut(&Counts) -> bool) {
        self.shared.ledger.wait_for(reached).await;
    }

    /// What happened to the file with this id; nothing, for an id that is none.
    pub fn file_count(&self, file_id: &str) -> FileCount {
        let key = self.shared.catalogue.file_of(file_id);
        key.and_then(|key| self.with_counts(|counts| counts.files.get(&key).copied())).unwrap_or_default()
    }

    // What there is.

    /// Every meeting that Zoom lists, in order of start.
    pub fn truth(&self) -> impl Iterator<Item = TruthMeeting> + Send + 'static {
        truth(Arc::clone(&self.shared))
    }

    fn file(&self, file_id: &str) -> Option<File> {
        self.shared.catalogue.file_of(file_id).and_then(|key: FileKey| self.shared.catalogue.find(key))
    }

    /// The whole file in memory: not for those of gigabytes.
    pub fn file_bytes(&self, file_id: &str) -> Option<Vec<u8>> {
        let body = self.shared.bodies.body(&self.shared.catalogue, &self.file(file_id)?);
        Some(self.shared.bodies.all(&body).flatten().collect())
    }

    /// Lower-case hex, whatever the file's size; worked out once.
    pub fn file_sha256(&self, file_id: &str) -> Option<String> {
        Some(self.shared.bodies.sha256(&self.shared.catalogue, &self.file(file_id)?))
    }

    /// Every contact that a list of all time would show.
    pub fn das_contacts(&self) -> Vec<Value> {
        let all =
            self.shared.shelf.list(&self.shared.catalogue, "zoom", i64::MIN..i64::MAX, usize::MAX, None);
        all.map(|(contacts, _)| contacts).unwrap_or_default()
    }

    pub fn das_contact(&self, uuid: &str) -> Option<Value> {
        self.shared.shelf.read(&self.shared.catalogue, "zoom", uuid)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shut();
    }
}

fn serve(
    listener: TcpListener,
    door: &Door,
    routes: Router<Arc<Shared>>,
    shared: &Arc<Shared>,
) -> JoinHandle<()> {
    let routes = routes
        .layer(from_fn_with_state(Arc::clone(shared), zoom::observe))
        .with_state(Arc::clone(shared))
        .into_make_service_with_connect_info::<Wire>();
    let entrance = Entrance { listener, door: door.clone() };
    tokio::spawn(async move {
        // Serving ends only when its task is aborted.
        drop(axum::serve(entrance, routes).await);
    })
}
