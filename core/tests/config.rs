//! The configuration as its users see it: what is in effect, and what is told of a fault.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use recapture_core::config::{
    Buffer, Category, Config, ConfigError, ContactsUrl, DEFAULT, ExcludedKind, Fault, Fingerprint, Loaded,
    LogFormat, Plan, Row, Sources,
};

/// Keys and defaults as the contract gives them, lists as the environment writes them.
const CONTRACT: &[(&str, &str)] = &[
    ("automatic.enabled", "false"),
    ("automatic.interval", "15m"),
    ("automatic.lookback", "7d"),
    ("automatic.overlap", "24h"),
    ("automatic.settle", "30m"),
    ("buffer.access_key_id", ""),
    ("buffer.endpoint", ""),
    ("buffer.region", "us-east-1"),
    ("buffer.secret_access_key", ""),
    ("buffer.url", "data/buffer"),
    ("contacts.api", "rest"),
    ("contacts.ingest_url", ""),
    ("contacts.password", ""),
    ("contacts.timeout", "60s"),
    ("contacts.token", ""),
    ("contacts.url", "sqlite://data/contacts.db"),
    ("contacts.verint.columns", ""),
    ("contacts.verint.conditions", ""),
    ("contacts.verint.end_column", "audio_end_time"),
    ("contacts.verint.file_column", ""),
    ("contacts.verint.key_column", "switch_call_id"),
    ("contacts.verint.login_path", "/api/v1/auth/token"),
    ("contacts.verint.margin", "15m"),
    ("contacts.verint.password", ""),
    ("contacts.verint.query_path", "/DASWebAPI/Query/ExecuteDynamicQuery"),
    ("contacts.verint.row_limit", "2000"),
    ("contacts.verint.start_column", "AUDIO_START_TIME"),
    ("contacts.verint.user", ""),
    ("contacts.verint.user_id", "0"),
    ("csv.dir", "data/csv"),
    ("csv.processed", "data/csv/processed"),
    ("csv.rejected", "data/csv/rejected"),
    ("csv.settle", "2s"),
    ("evidence.key", ""),
    ("evidence.public_key", ""),
    ("exclude.groups", ""),
    ("exclude.hosts", ""),
    ("exclude.kinds", ""),
    ("exclude.minimum_length", "0s"),
    ("log.format", "text"),
    ("log.level", "info"),
    ("queue.high_water", "100000"),
    ("queue.lease", "60s"),
    ("queue.max_attempts", "8"),
    ("queue.password", ""),
    ("queue.url", "sqlite://data/queue.db"),
    ("security.allow_http", "false"),
    ("security.http_hosts", ""),
    ("server.listen", "127.0.0.1:8080"),
    ("server.requests_per_second", "500"),
    ("server.token", ""),
    ("server.trusted_proxies", ""),
    ("server.viewer_token", ""),
    ("telemetry.otlp_url", ""),
    ("worker.concurrency", "32"),
    ("worker.downloads", "64"),
    ("worker.drain", "30s"),
    ("worker.listen", ""),
    ("zoom.account_id", ""),
    ("zoom.api_url", "https://api.zoom.us/v2"),
    ("zoom.budget", "0.8"),
    ("zoom.client_id", ""),
    ("zoom.client_secret", ""),
    ("zoom.download_hosts", "zoom.us,*.zoom.us,zoomgov.com,*.zoomgov.com"),
    ("zoom.fingerprint", "record"),
    ("zoom.limits.heavy", "plan"),
    ("zoom.limits.light", "plan"),
    ("zoom.limits.medium", "plan"),
    ("zoom.oauth_url", "https://zoom.us/oauth/token"),
    ("zoom.plan", "pro"),
    ("zoom.processing_poll", "5m"),
    ("zoom.request_timeout", "60s"),
    ("zoom.retention", "30d"),
    ("zoom.stall_timeout", "30s"),
];

/// Sources put together piece by piece; the file lives as long as this does.
#[derive(Default)]
struct Layers {
    sources: Sources,
    folder: Option<tempfile::TempDir>,
}

impl Layers {
    fn file(mut self, toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recapture.toml");
        std::fs::write(&path, toml).unwrap();
        self.sources.file = Some(path);
        self.folder = Some(folder);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, flag: &str) -> Self {
        self.sources.flags.push(flag.to_owned());
        self
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        Config::load(&self.sources)
    }

    fn config(&self) -> Config {
        self.load().unwrap().config
    }

    fn row(&self, key: &str) -> Row {
        self.load().unwrap().describe().into_iter().find(|row| row.key == key).unwrap()
    }

    fn message(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

fn flag(flag: &str) -> Layers {
    Layers::default().flag(flag)
}

fn env(name: &str, value: &str) -> Layers {
    Layers::default().env(name, value)
}

fn file(toml: &str) -> Layers {
    Layers::default().file(toml)
}

#[test]
fn the_default_file_is_what_the_contract_says() {
    let rows = Layers::default().load().unwrap().describe();
    let shown: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.value.as_str())).collect();
    assert_eq!(shown, CONTRACT);
    assert!(rows.iter().all(|row| row.origin == "default"));
}

#[test]
fn every_key_of_the_default_file_has_a_comment_above_it() {
    let lines: Vec<_> = DEFAULT.lines().collect();
    let is_key = |line: &str| !line.starts_with(['#', '[']) && !line.is_empty();
    let keys: Vec<_> = lines.windows(2).filter(|pair| is_key(pair[1])).collect();
    for pair in &keys {
        assert!(pair[0].starts_with("# "), "no comment above: {}", pair[1]);
    }
    assert_eq!(keys.len(), CONTRACT.len());
}

#[test]
fn the_production_example_is_accepted() {
    let example = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/production.example.toml"));
    // Its secret files are not on this machine.
    let mut layers = env("RECAPTURE_ZOOM__CLIENT_SECRET", "a")
        .env("RECAPTURE_CONTACTS__TOKEN", "b")
        .env("RECAPTURE_EVIDENCE__KEY", &"d".repeat(64))
        .env("RECAPTURE_SERVER__TOKEN", "c");
    layers.sources.file = Some(example);
    let config = layers.config();
    assert!(config.zoom.credentials().is_ok());
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn the_stronger_layer_decides_and_says_so() {
    let mut layers = file("[zoom]\nplan = 'business'\nbudget = 1\n[worker]\nconcurrency = 4\n");
    let path = layers.sources.file.clone().unwrap();
    assert_eq!(layers.row("zoom.plan").value, "business");
    assert_eq!(layers.row("zoom.plan").origin, format!("file {}", path.display()));
    layers = layers.env("RECAPTURE_ZOOM__PLAN", "free");
    assert_eq!(layers.row("zoom.plan").origin, "environment RECAPTURE_ZOOM__PLAN");
    layers = layers.flag("zoom.plan=pro").flag("zoom.plan=free");
    assert_eq!(layers.row("zoom.plan").origin, "flag --set");
    let config = layers.config();
    assert_eq!((config.zoom.plan, config.worker.concurrency), (Plan::Free, 4));
    assert!((config.zoom.budget - 1.0).abs() < f64::EPSILON);
}

#[test]
fn the_environment_can_name_the_file_and_the_flag_is_stronger() {
    let named = file("[worker]\ndrain = '1s'\n");
    let by_env = env("RECAPTURE_CONFIG", named.sources.file.as_ref().unwrap().to_str().unwrap());
    assert_eq!(by_env.config().worker.drain, Duration::from_secs(1));
    let both = by_env.file("[worker]\ndrain = '2s'\n");
    assert_eq!(both.config().worker.drain, Duration::from_secs(2));
    assert_eq!(env("RECAPTURE_CONFIG", "").config().worker.drain, Duration::from_secs(30));
}

#[test]
fn the_environment_speaks_in_text_and_means_types() {
    let config = env("RECAPTURE_ZOOM__LIMITS__LIGHT", "12.5")
        .env("RECAPTURE_ZOOM__DOWNLOAD_HOSTS", "127.0.0.1, *.zoom.us")
        .env("RECAPTURE_EXCLUDE__KINDS", "webinar,breakout_room")
        .env("RECAPTURE_EXCLUDE__HOSTS", "")
        .env("RECAPTURE_AUTOMATIC__ENABLED", "true")
        .env("RECAPTURE_QUEUE__HIGH_WATER", "7")
        .env("RECAPTURE_ZOOM__FINGERPRINT", "require")
        .env("RECAPTURE_TOKEN", "not a setting")
        .env("PATH", "/bin")
        .config();
    assert_eq!(config.zoom.limits.light, Some(12.5));
    assert!(config.zoom.download_hosts[0].matches("127.0.0.1"));
    assert_eq!(config.zoom.download_hosts.len(), 2);
    assert_eq!(config.exclude.kinds, [ExcludedKind::Webinar, ExcludedKind::BreakoutRoom]);
    assert!(config.exclude.hosts.is_empty() && config.automatic.enabled);
    assert_eq!((config.queue.high_water, config.zoom.fingerprint), (7, Fingerprint::Require));
}

#[test]
fn rates_come_from_the_plan_and_the_budget_unless_set() {
    let zoom = flag("zoom.plan=business").flag("zoom.budget=0.5").flag("zoom.limits.heavy=3").config().zoom;
    for (category, rate) in [(Category::Light, 40.0), (Category::Medium, 30.0), (Category::Heavy, 3.0)] {
        assert!((zoom.rate(category) - rate).abs() < 1e-9, "{category:?}");
    }
    assert!((Layers::default().config().zoom.rate(Category::Medium) - 16.0).abs() < 1e-9);
}

#[test]
fn unknown_keys_are_refused_with_what_was_probably_meant() {
    for (layers, message) in [
        (file("[zoom]\nplam = 'pro'\n"), "there is no such key; did you mean zoom.plan?"),
        (file("[zooom]\nplan = 'pro'\n"), "there is no such key; did you mean zoom?"),
        (file("concurrency = 3\n"), "did you mean worker.concurrency?"),
        (file("[worker]\nlease = '3s'\n"), "did you mean queue.lease?"),
        (env("RECAPTURE_ZOOM__PLAN_", "pro"), "did you mean RECAPTURE_ZOOM__PLAN?"),
        (env("RECAPTURE_ZOOM__LIMITS__LIGTH", "1"), "did you mean RECAPTURE_ZOOM__LIMITS__LIGHT?"),
        (flag("zoom.bugdet=1"), "did you mean zoom.budget?"),
        (flag("something.else.entirely=1"), "something.else.entirely (flag --set): there is no such key"),
        (file("zoom = 3\n"), "is a section, not a value"),
        (flag("zoom.limits=3"), "zoom.limits (flag --set): is a section"),
        (flag("zoom.plan"), "has no '='"),
        (file("[zoom.plan]\nx = 1\n"), "zoom.plan (file"),
    ] {
        let told = layers.message();
        assert!(told.contains(message), "{told}");
    }
    assert!(!flag("something.else.entirely=1").message().contains("did you mean"));
}

#[test]
fn bad_values_are_told_with_key_layer_value_and_remedy() {
    for (setting, remedy) in [
        ("zoom.plan=enterprise", "free or pro or business"),
        ("zoom.budget=0", "a share above 0 and at most 1"),
        ("zoom.budget=NaN", "a share above 0 and at most 1"),
        ("zoom.limits.light=-1", "requests per second above 0"),
        ("zoom.limits.light=inf", "requests per second above 0"),
        ("zoom.retention=30", "a whole number and a unit"),
        ("zoom.download_hosts=", "at least one host"),
        ("zoom.download_hosts=https://zoom.us", "without scheme"),
        ("zoom.api_url=http://api.zoom.us/v2", "security.allow_http"),
        ("zoom.api_url=api.zoom.us", "an address such as https://"),
        ("zoom.oauth_url=https://zoom.us/token#x", "without '?'"),
        ("contacts.url=ftp://das", "sqlite:// and a path, postgres://"),
        ("contacts.url=postgres://db", "postgres://user@host:port/database"),
        ("contacts.url=postgres://db/contacts?dbname=x", "no parameters but sslmode"),
        ("contacts.url=postgres://db/contacts?sslmode=prefer", "security.allow_http"),
        ("contacts.url=postgres://db/contacts?sslmode=always", "verify-full, verify-ca, require"),
        ("contacts.url=sqlite://", "the path of a file"),
        ("contacts.api=soap", "rest or verint"),
        ("contacts.verint.query_path=Query", "begins with '/'"),
        ("contacts.verint.key_column=", "the name of a column"),
        ("contacts.verint.row_limit=0", "a whole number from 1"),
        ("contacts.ingest_url=http://platform/ingest", "https://"),
        ("queue.url=amqp://localhost", "sqlite:// and a path, or redis:// and a host"),
        ("queue.url=redis://localhost/x", "a database is a number"),
        ("queue.url=redis+sentinel://localhost", "names a service"),
        ("queue.max_attempts=0", "a whole number from 1 to 1000"),
        ("queue.lease=1ms", "of at least 1s"),
        ("buffer.endpoint=http://minio:9000", "plain http:// is for 127.0.0.1"),
        ("buffer.access_key_id=id", "together with its secret, buffer.secret_access_key"),
        ("buffer.url=gs://bucket/prefix", "a folder, file:///… or s3://bucket/prefix"),
        ("worker.concurrency=many", "a whole number from 1 to 10000"),
        ("automatic.enabled=yes", "true or false"),
        ("server.listen=localhost", "an IP address and a port"),
        ("security.http_hosts=http://das", "hosts such as zoom.us"),
        ("exclude.kinds=party", "meeting or webinar or breakout_room"),
        ("csv.dir=", "the path of a folder"),
        ("log.level=inof", "error, warn, info"),
        ("log.format=xml", "text or json"),
    ] {
        let told = flag(setting).message();
        let (key, value) = setting.split_once('=').unwrap();
        assert!(told.contains(&format!("{key} (flag --set): ")), "{told}");
        // What may be a secret is left out.
        let shown =
            value.split_once("?sslmode").or(value.split_once("?dbname")).map_or(value, |(shown, _)| shown);
        assert!(told.contains(shown) && told.contains(remedy), "{told}");
    }
}

fn postgres(layers: &Layers) -> (String, Option<String>) {
    let contacts = layers.config().contacts;
    let ContactsUrl::Postgres(url) = contacts.url else { panic!("{:?} is no PostgreSQL", contacts.url) };
    (url.to_string(), contacts.password.map(|password| password.expose().to_owned()))
}

#[test]
fn a_database_on_another_machine_has_to_prove_who_it_is() {
    for (address, effective) in [
        ("postgres://db/contacts", "postgres://db/contacts?sslmode=verify-full"),
        ("postgresql://u@10.0.0.1:1/c", "postgresql://u@10.0.0.1:1/c?sslmode=verify-full"),
        ("postgres://db/c?sslmode=require", "postgres://db/c?sslmode=require"),
        ("postgres://127.0.0.1/c", "postgres://127.0.0.1/c"),
        ("postgres://[::1]:5432/c", "postgres://[::1]:5432/c"),
        ("postgres://localhost/c?sslmode=disable", "postgres://localhost/c?sslmode=disable"),
        ("postgres://%2Frun%2Fpostgresql/c", "postgres://%2Frun%2Fpostgresql/c"),
    ] {
        let found = postgres(&flag(&format!("contacts.url={address}")));
        assert_eq!(found, (effective.to_owned(), None));
    }
    let allowed = flag("contacts.url=postgres://db/c?sslmode=disable").flag("security.allow_http=true");
    assert_eq!(postgres(&allowed).0, "postgres://db/c?sslmode=disable");
}

#[test]
fn plain_http_is_for_the_hosts_that_are_named_and_for_no_other() {
    let named = || flag("security.http_hosts=das,*.inside.example");
    for setting in [
        "contacts.url=http://das:8080",
        "contacts.url=http://a.inside.example",
        "contacts.url=postgres://das/c?sslmode=disable",
        "contacts.ingest_url=http://das/ingest",
        "buffer.endpoint=http://das:9000",
        "telemetry.otlp_url=http://das:4318/v1/traces",
    ] {
        named().flag(setting).config();
    }
    for setting in [
        "zoom.api_url=http://api.zoom.us/v2",
        "zoom.oauth_url=http://zoom.us/oauth/token",
        "contacts.url=http://das.example.com",
        "contacts.url=http://inside.example",
        "contacts.url=postgres://db/c?sslmode=disable",
    ] {
        let told = named().flag(setting).message();
        assert!(told.contains("security.http_hosts"), "{told}");
    }
}

#[test]
fn the_password_of_redis_may_stand_in_a_file_and_is_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis");
    std::fs::write(&file, "p@ss/word\n").unwrap();
    let setting = format!("queue.password_file={}", file.display());
    let given = flag("queue.url=redis://cache/1").flag(&setting);
    assert!(given.row("queue.password").value.starts_with("(from file"));
    let config = given.config();
    assert_eq!(config.queue.url, "redis://:p%40ss%2Fword@cache/1");
    let shown = format!("{config:?}");
    assert!(!shown.contains("p@ss") && !shown.contains("p%40ss"), "{shown}");

    let told = flag("queue.url=redis://:first@cache").flag(&setting).message();
    assert!(told.contains("queue.password is given too") && !told.contains("first"), "{told}");
}

#[test]
fn a_database_password_is_taken_from_either_place_and_shown_from_none() {
    let in_url = flag("contacts.url=postgres://u:p%40ss%2F@localhost/c");
    assert_eq!(postgres(&in_url), ("postgres://u@localhost/c".to_owned(), Some("p@ss/".to_owned())));
    assert_eq!(in_url.row("contacts.url").value, "postgres://***@localhost/c");
    assert!(!format!("{:?}", in_url.config()).contains("p@ss"));

    let own_key = flag("contacts.url=postgres://u@localhost/c").flag("contacts.password=p@ss/");
    assert_eq!(postgres(&own_key).1.as_deref(), Some("p@ss/"));
    assert_eq!(own_key.row("contacts.password").value, "***");

    let told = in_url.flag("contacts.password=other").message();
    assert!(
        told.contains("contacts.url (flag --set): holds a password") && !told.contains("p%40ss"),
        "{told}"
    );
    assert!(!told.contains("other"), "{told}");
}

#[test]
fn the_verint_form_needs_a_log_in_and_shows_no_password() {
    let service = || flag("contacts.url=https://das.example.com").flag("contacts.api=verint");
    let told = service().message();
    assert!(told.contains("contacts.api (flag --set): the Verint form needs a log-in"), "{told}");
    let whole = service().flag("contacts.verint.user=recapture").flag("contacts.verint.password=hunter2");
    let ContactsUrl::Verint(verint) = whole.config().contacts.url else { panic!("it is the Verint form") };
    assert_eq!((verint.url.host_str(), verint.user.as_str()), (Some("das.example.com"), "recapture"));
    assert_eq!((verint.key_column.as_str(), verint.row_limit), ("switch_call_id", 2000));
    assert_eq!(whole.row("contacts.verint.password").value, "***");
    assert!(!format!("{:?}", whole.config()).contains("hunter2"));
    // A database is no service: the form of services does not matter to it.
    let database = flag("contacts.api=verint").config().contacts.url;
    assert!(matches!(database, ContactsUrl::Sqlite(_)), "{database:?}");
}

#[test]
fn good_values_are_taken() {
    for setting in [
        "zoom.api_url=http://127.0.0.1:9000/v2",
        "zoom.api_url=http://[::1]:9000/v2",
        "contacts.url=http://localhost:9000",
        "server.listen=[::1]:0",
        "log.level=info,recapture_core::zoom=debug",
        "worker.drain=0s",
    ] {
        flag(setting).config();
    }
    flag("zoom.api_url=http://proxy/v2").flag("security.allow_http=true").config();
    let config = flag("contacts.url=https://das.example.com").config();
    assert!(
        matches!(config.contacts.url, ContactsUrl::Rest(url) if url.host_str() == Some("das.example.com"))
    );
    let buffer = flag("buffer.url=file:///var/lib/recapture").config().buffer;
    assert!(matches!(buffer, Buffer::Folder(folder) if folder == std::path::Path::new("/var/lib/recapture")));
    let s3 = flag("buffer.url=s3://archive/eu")
        .flag("buffer.access_key_id=id")
        .flag("buffer.secret_access_key=s3cret");
    let buffer = s3.flag("buffer.endpoint=http://127.0.0.1:9000").config().buffer;
    assert!(
        matches!(&buffer, Buffer::S3(s3) if s3.bucket == "archive" && s3.prefix == "eu" && s3.access.is_some())
    );
    assert!(!format!("{buffer:?}").contains("s3cret"));
}

#[test]
fn a_value_of_the_wrong_toml_type_is_refused() {
    for toml in [
        "[worker]\nconcurrency = '4'\n",
        "[zoom]\ndownload_hosts = 'zoom.us'\n",
        "[zoom]\nclient_secret = 5\n",
        "[automatic]\nenabled = 'true'\n",
        "[zoom]\nretention = 30\n",
    ] {
        assert_eq!(file(toml).load().unwrap_err().faults.len(), 1, "{toml}");
    }
}

#[test]
fn all_faults_of_all_layers_are_told_at_once() {
    let layers = file("[zoom]\nplan = 'x'\nnothing = 1\n[log]\nformat = 'x'\n")
        .env("RECAPTURE_WORKER__DOWNLOADS", "none")
        .flag("queue.lease=x")
        .flag("log.format=json");
    let faults = layers.load().unwrap_err().faults;
    let told: BTreeMap<_, _> = faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::BadValue { key, origin, .. } | Fault::UnknownKey { key, origin, .. } => {
                Some((key.as_str(), origin.to_string()))
            }
            _ => None,
        })
        .collect();
    let keys: Vec<_> = told.keys().copied().collect();
    // `log.format` is not among them: a stronger layer put it right.
    assert_eq!(keys, ["queue.lease", "worker.downloads", "zoom.nothing", "zoom.plan"]);
    assert_eq!(told["worker.downloads"], "environment RECAPTURE_WORKER__DOWNLOADS");
    assert_eq!(layers.message().lines().count(), 5);
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_name_and_line() {
    let mut missing = Layers::default();
    missing.sources.file = Some("/nowhere/recapture.toml".into());
    assert!(missing.message().contains("file /nowhere/recapture.toml: cannot be read"));

    let told = file("[zoom]\nplan = 'pro'\nclient_secret = 'hunter2\n").message();
    assert!(told.contains("line 3") && !told.contains("hunter2"), "{told}");
}

#[test]
fn secrets_come_from_files_without_their_line_break() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let layers = flag(&format!("contacts.token_file={}", path.display()));
    for content in ["s3cret\n", "s3cret\r\n", "s3cret"] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(layers.config().contacts.token.unwrap().expose(), "s3cret");
        assert_eq!(layers.row("contacts.token").value, format!("(from file {})", path.display()));
    }
    for (content, told) in [("", "not empty"), ("two\nlines\n", "one line of visible ASCII")] {
        std::fs::write(&path, content).unwrap();
        let message = layers.message();
        assert!(message.contains(told) && !message.contains("two"), "{message}");
    }
    std::fs::remove_file(&path).unwrap();
    let message = layers.message();
    let expected = format!("contacts.token_file (flag --set): {} cannot be read", path.display());
    assert!(message.contains(&expected), "{message}");
}

#[test]
fn of_a_secret_and_its_file_the_stronger_layer_decides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "from-file").unwrap();
    let token = |layers: Layers| layers.config().contacts.token.map(|token| token.expose().to_owned());
    let named = format!("[contacts]\ntoken_file = '{}'\n", path.display());

    assert_eq!(token(file(&named).env("RECAPTURE_CONTACTS__TOKEN", "plain")).as_deref(), Some("plain"));
    assert_eq!(token(file(&named).env("RECAPTURE_CONTACTS__TOKEN", "")), None);
    let by_env = env("RECAPTURE_CONTACTS__TOKEN_FILE", path.to_str().unwrap());
    assert_eq!(token(by_env.file("[contacts]\ntoken = 'plain'\n")).as_deref(), Some("from-file"));

    let both = format!("{named}token = 'plain'\n");
    assert!(matches!(file(&both).load().unwrap_err().faults[..], [Fault::SecretTwice { .. }]));
    assert_eq!(token(file(&format!("{named}token = ''\n"))).as_deref(), Some("from-file"));
}

#[test]
fn secrets_show_nowhere() {
    let layers = flag("zoom.client_secret=hunter2").env("RECAPTURE_SERVER__TOKEN", "hunter2");
    let loaded = layers.load().unwrap();
    assert_eq!(layers.row("zoom.client_secret").value, "***");
    assert!(!format!("{:?} {loaded:?}", loaded.describe()).contains("hunter2"));

    let redis = flag("queue.url=redis://user:hunter2@host/1");
    let loaded = redis.load().unwrap();
    assert_eq!(loaded.config.queue.url, "redis://user:hunter2@host/1");
    assert_eq!(redis.row("queue.url").value, "redis://***@host/1");
    assert!(!format!("{:?} {loaded:?}", loaded.describe()).contains("hunter2"));

    for bad in ["server.token=hunter2 x", "contacts.url=https://me:hunter2@das/", "hunter2", "hunted=hunter2"]
    {
        let error = flag(bad).load().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let redis = flag("queue.url=redis://user:hunter2@host/x").message();
    assert!(redis.contains("redis://***@host") && !redis.contains("hunter2"), "{redis}");
}

#[test]
fn a_server_that_others_can_reach_needs_a_token() {
    let open = flag("server.listen=0.0.0.0:8080");
    assert!(matches!(open.load().unwrap_err().faults[..], [Fault::OpenServer { .. }]));
    open.flag("server.token=t0ken").config();
}

#[test]
fn a_viewers_token_needs_another_one_of_operators() {
    let alone = flag("server.viewer_token=l00k");
    assert!(matches!(alone.load().unwrap_err().faults[..], [Fault::ViewerAlone { .. }]));
    let both = alone.flag("server.token=t0ken");
    assert_eq!(both.row("server.viewer_token").value, "***");
    let same = both.flag("server.token=l00k").load().unwrap_err();
    assert!(matches!(same.faults[..], [Fault::ViewerAlone { .. }]) && !same.to_string().contains("l00k"));
}

#[test]
fn missing_credentials_are_named_with_the_ways_to_give_them() {
    let error = flag("zoom.client_id=me").config().zoom.credentials().unwrap_err();
    assert_eq!(error.keys, ["zoom.account_id", "zoom.client_secret"]);
    let told = error.to_string();
    assert!(told.contains("RECAPTURE_ZOOM__CLIENT_SECRET") && told.contains("client_secret_file"), "{told}");
    let whole = flag("zoom.client_id=me").flag("zoom.account_id=us").flag("zoom.client_secret=x");
    assert_eq!(whole.config().zoom.credentials().unwrap().account_id, "us");
}

#[test]
fn the_hash_follows_behaviour_and_not_layers_or_secrets() {
    let hash = |layers: Layers| layers.load().unwrap().effective_hash();
    let plain = hash(Layers::default());
    assert_eq!(plain.len(), 64);
    assert_eq!(hash(flag("zoom.plan=pro")), plain);
    assert_eq!(hash(flag("contacts.token=a")), plain);
    assert_eq!(hash(env("RECAPTURE_ZOOM__BUDGET", "0.80")), plain);
    assert_ne!(hash(flag("zoom.plan=free")), plain);
    assert_eq!(hash(file("[zoom]\nplan = 'free'\n")), hash(flag("zoom.plan=free")));
}

#[test]
fn evidence_keys_are_checked_and_never_shown() {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let public = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let layers = env("RECAPTURE_EVIDENCE__KEY", seed).flag(&format!("evidence.public_key={public}"));
    let config = layers.config();
    assert_eq!(Some(config.evidence.key.unwrap().public()), config.evidence.public_key);
    assert_eq!(layers.row("evidence.key").value, "***");
    assert!(flag("evidence.key=").config().evidence.key.is_none());
    let told = flag(&format!("evidence.key={}", &seed[1..])).message();
    assert!(told.contains("openssl genpkey -algorithm ed25519") && !told.contains(&seed[1..9]), "{told}");
    let told = flag("evidence.public_key=none").message();
    assert!(told.contains("openssl pkey -pubout"), "{told}");
}
