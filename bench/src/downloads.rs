//! What downloading costs: the real program beside `curl --parallel` and `sha256sum`, and beside the least that a program
//! could do, on the same files from the same server in the same minutes.
//!
//! The server and the simulated Zoom are processes of their own, and so is everything that is measured: `/usr/bin/time`
//! tells what a process and its children used. Rounds go round the rows, and each is compared with curl's of its round.

mod files;
mod floor;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Fault;
use crate::machine::{self, LACKING};
use crate::table::spread;

/// As many files at once as the program's own default allows meetings.
const AT_ONCE: usize = 32;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Files, an even number: each meeting has two
    #[arg(long, default_value_t = 200)]
    files: usize,
    /// The size of each, in millions of bytes
    #[arg(long, default_value_t = 50)]
    megabytes: u64,
    /// Rounds of which the median is told
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A tenth of the files, once: whether it runs, and roughly what it tells
    #[arg(long, conflicts_with_all = ["files", "rounds"])]
    short: bool,
    /// Only these rows; the first is what the others are compared with
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "curl,curl-openssl,aria2c,recapture,floor,floor-fsync"
    )]
    rows: Vec<String>,
    /// Where `recapture` and `recapture-simulator` were built; by default beside this program, or the workspace's
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Where to write, with room for twice all files
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// Serves files of so many bytes
    #[command(hide = true)]
    Serve { bytes: u64 },
    /// Fetches, hashes and writes files, and does nothing else
    #[command(hide = true)]
    Floor(floor::Arguments),
}

/// What one row used in one round.
#[derive(Clone, Copy)]
struct Used {
    wall: f64,
    cpu: f64,
    /// The largest of its processes, in MiB.
    memory: f64,
}

pub(crate) fn measure(arguments: Arguments) -> Result<(), Fault> {
    match &arguments.part {
        Some(Part::Serve { bytes }) => return files::serve(*bytes),
        Some(Part::Floor(what)) => return floor::run(what),
        None => {}
    }
    let bench = Bench::start(arguments)?;
    let mut found: Vec<Vec<Used>> = vec![Vec::new(); bench.rows.len()];
    for _ in 0..bench.rounds {
        for (row, found) in bench.rows.iter().zip(&mut found) {
            found.push(bench.round(row)?);
        }
    }
    bench.print(&found);
    Ok(())
}

struct Bench {
    rows: Vec<String>,
    rounds: usize,
    files: usize,
    megabytes: u64,
    programs: PathBuf,
    /// Goes away with this, and all that was written.
    folder: tempfile::TempDir,
    address: String,
    zoom: Value,
    _servers: [Server; 2],
}

/// A process that ends with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts it, and gives the line that it prints once it can be asked.
    fn start(command: &mut Command) -> Result<(Self, String), Fault> {
        use std::io::BufRead;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let server = Self(child);
        let mut line = String::new();
        std::io::BufReader::new(stdout).read_line(&mut line)?;
        Ok((server, line.trim().to_owned()))
    }
}

impl Bench {
    fn start(arguments: Arguments) -> Result<Self, Fault> {
        let Arguments { files, megabytes, rounds, short, rows, programs, folder, .. } = arguments;
        let (files, rounds) = if short { (20, 1) } else { (files.next_multiple_of(2), rounds.max(1)) };
        let programs = programs.map_or_else(built, Ok)?.canonicalize()?;
        let folder = match folder {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        let bytes = megabytes * 1_000_000;
        let mut serve = Command::new(std::env::current_exe()?);
        let (server, port) = Server::start(serve.args(["downloads", "serve", &bytes.to_string()]))?;
        let address = format!("http://127.0.0.1:{port}");
        let file = |kind| json!({ "file_type": kind, "min_size": bytes, "max_size": bytes });
        let scenario = json!({
            "meetings": files / 2, "files": [file("MP4"), file("M4A")],
            "captured": 0, "incomplete": 0, "external": 0, "breakout_rooms": 0, "webinars": 0, "recurring": 0,
            "attachments": 0, "fingerprint_limit": 0,
            "from": "2026-10-01T00:00:00Z", "to": "2026-10-06T00:00:00Z",
            "downloads": { "direct": true, "origin": address },
        });
        let path = folder.path().join("scenario.json");
        std::fs::write(&path, scenario.to_string())?;
        let mut simulate = Command::new(programs.join("recapture-simulator"));
        let (simulator, zoom) =
            Server::start(simulate.args(["--listen", "127.0.0.1:0", "--scenario"]).arg(path))?;
        let zoom = serde_json::from_str(&zoom)?;
        let (rows, lacking): (Vec<String>, Vec<String>) =
            rows.into_iter().partition(|row| row != "aria2c" || machine::version("aria2c") != LACKING);
        if !lacking.is_empty() {
            eprintln!("not installed, and left out: {}", lacking.join(", "));
        }
        Ok(Self {
            rows,
            rounds,
            files,
            megabytes,
            programs,
            folder,
            address,
            zoom,
            _servers: [server, simulator],
        })
    }

    /// One row, in a folder of its own that is gone afterwards.
    fn round(&self, row: &str) -> Result<Used, Fault> {
        let folder = self.folder.path().join("round");
        std::fs::create_dir(&folder)?;
        // What the row before left to the disk is not this one's to wait for.
        succeed(Command::new("sync").arg("-f").arg(&folder))?;
        let used = match row {
            "curl" => self.curl(&folder, "sha256sum"),
            "curl-openssl" => self.curl(&folder, "openssl dgst -sha256"),
            "aria2c" => self.aria2c(&folder),
            "recapture" => self.recapture(&folder),
            "floor" => self.floor(&folder, &[]),
            "floor-fsync" => self.floor(&folder, &["--fsync"]),
            "ranges-4" => self.floor(&folder, &["--fsync", "--ranges", "4"]),
            other => Err(format!("there is no row {other:?}").into()),
        };
        std::fs::remove_dir_all(&folder)?;
        used
    }

    fn curl(&self, folder: &Path, hash: &str) -> Result<Used, Fault> {
        let list: String = (0..self.files)
            .map(|number| format!("url = \"{0}/{number}\"\noutput = \"{number}.mp4\"\n", self.address))
            .collect();
        std::fs::write(folder.join("list"), list)?;
        let script = format!(
            "curl --silent --show-error --fail --parallel --parallel-max {AT_ONCE} --config list && \
             {hash} *.mp4 > sums"
        );
        let used = timed(folder, "sh", &["-c", &script])?;
        let sums = std::fs::read_to_string(folder.join("sums"))?.lines().count();
        if sums == self.files { Ok(used) } else { Err(format!("curl brought {sums} files").into()) }
    }

    fn aria2c(&self, folder: &Path) -> Result<Used, Fault> {
        let list: String = (0..self.files)
            .map(|number| format!("{0}/{number}\n out={number}.mp4\n", self.address))
            .collect();
        std::fs::write(folder.join("list"), list)?;
        let script = format!(
            "aria2c --quiet --max-concurrent-downloads={AT_ONCE} --file-allocation=none --input-file=list && \
             openssl dgst -sha256 *.mp4 > sums"
        );
        let used = timed(folder, "sh", &["-c", &script])?;
        let sums = std::fs::read_to_string(folder.join("sums"))?.lines().count();
        if sums == self.files { Ok(used) } else { Err(format!("aria2c brought {sums} files").into()) }
    }

    fn floor(&self, folder: &Path, more: &[&str]) -> Result<Used, Fault> {
        let program = std::env::current_exe()?.display().to_string();
        let (files, bytes) = (self.files.to_string(), (self.megabytes * 1_000_000).to_string());
        let arguments = [&["downloads", "floor", &self.address, &files, &bytes], more].concat();
        timed(folder, &program, &arguments)
    }

    /// A recovery as anybody runs it: queue and contacts in SQLite, the buffer in a folder.
    fn recapture(&self, folder: &Path) -> Result<Used, Fault> {
        let text = |key: &str| self.zoom[key].to_string();
        let settings = format!(
            "zoom.api_url = {}\nzoom.oauth_url = {}\nzoom.account_id = {}\nzoom.client_id = {}\n\
             zoom.client_secret = {}\nzoom.download_hosts = [\"127.0.0.1\"]\nzoom.retention = \"3650d\"\n\
             zoom.limits.light = 10000\nzoom.limits.medium = 10000\nzoom.limits.heavy = 10000\n\
             worker.concurrency = {AT_ONCE}\n",
            text("api_url"),
            text("oauth_url"),
            text("account_id"),
            text("client_id"),
            text("client_secret"),
        );
        std::fs::write(folder.join("recapture.toml"), settings)?;
        let program = self.programs.join("recapture").display().to_string();
        let period = ["--from", "2026-10-01", "--to", "2026-10-06", "--by", "bench", "--json"];
        let arguments = [&["--config", "recapture.toml", "recover"], &period[..]].concat();
        let used = timed(folder, &program, &arguments)?;
        let run: Value = serde_json::from_slice(&std::fs::read(folder.join("stdout"))?)?;
        let (files, bytes) = (&run["counts"]["files"], &run["counts"]["bytes"]);
        if *files != self.files || *bytes != self.files as u64 * self.megabytes * 1_000_000 {
            return Err(format!("recapture brought {files} files of {bytes} bytes").into());
        }
        Ok(used)
    }

    #[allow(clippy::print_stdout, reason = "the table is the output")]
    fn print(&self, found: &[Vec<Used>]) {
        let versions = ["curl", "aria2c", "sha256sum", "openssl"].map(machine::version);
        println!("{} {}.\n", machine::describe(), versions.join("; "));
        println!(
            "| {} files of {} MB | wall, s | CPU, s | peak memory, MiB | × wall | × CPU |",
            self.files, self.megabytes
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: |");
        for (row, rounds) in self.rows.iter().zip(found) {
            let all = |of: fn(&Used) -> f64, digits| spread(rounds.iter().map(of).collect(), digits);
            let ratio = |of: fn(&Used) -> f64| {
                spread(rounds.iter().zip(&found[0]).map(|(this, first)| of(this) / of(first)).collect(), 2)
            };
            println!(
                "| {} | {} | {} | {} | {} | {} |",
                title(row),
                all(|used| used.wall, 2),
                all(|used| used.cpu, 2),
                all(|used| used.memory, 0),
                ratio(|used| used.wall),
                ratio(|used| used.cpu),
            );
        }
    }
}

fn title(row: &str) -> &str {
    match row {
        "curl" => "curl --parallel, then sha256sum; no fsync",
        "curl-openssl" => "the same with openssl dgst -sha256, which uses the processor's instructions",
        "aria2c" => "aria2c, then openssl dgst -sha256; no fsync",
        "recapture" => "**recapture recover**",
        "floor" => "fetch, hash and write, and nothing else",
        "floor-fsync" => "the same with an fsync a file",
        "ranges-4" => "the same by four ranges at once, hashed afterwards",
        other => other,
    }
}

/// Where both programs are: beside this one, or in the workspace's own target folder.
fn built() -> Result<PathBuf, Fault> {
    let beside = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release");
    let has_both =
        |place: &PathBuf| place.join("recapture").exists() && place.join("recapture-simulator").exists();
    [beside, workspace].into_iter().find(has_both).ok_or_else(|| {
        "recapture and recapture-simulator are not built: cargo build --release --workspace --bins".into()
    })
}

/// Runs a program to its end, and tells what it and its children used.
fn timed(folder: &Path, program: &str, arguments: &[&str]) -> Result<Used, Fault> {
    let mut command = Command::new("/usr/bin/time");
    command.args(["--format", "%e %U %S %M", "--output", "used", program]).args(arguments);
    let stdout = std::fs::File::create(folder.join("stdout"))?;
    let stderr = std::fs::File::create(folder.join("stderr"))?;
    let ended = command.current_dir(folder).stdin(Stdio::null()).stdout(stdout).stderr(stderr).status();
    let ended = ended.map_err(|error| format!("/usr/bin/time: {error} (Debian: apt install time)"))?;
    if !ended.success() {
        let said = std::fs::read_to_string(folder.join("stderr"))?;
        return Err(format!("{program}: {ended}: {said}").into());
    }
    let used = std::fs::read_to_string(folder.join("used"))?;
    let figures: Vec<f64> = used.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [wall, user, system, kib] = figures[..] else { return Err(format!("time says {used:?}").into()) };
    Ok(Used { wall, cpu: user + system, memory: kib / 1024.0 })
}

fn succeed(command: &mut Command) -> Result<(), Fault> {
    let ended = command.status()?;
    if ended.success() { Ok(()) } else { Err(format!("{command:?}: {ended}").into()) }
}
