//! Programs that a row consists of: started, waited for until they say that they are ready, asked to end.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, Command};

use crate::Fault;

/// A program under way. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts a program and waits until its lines held the words so often; gives the last such line.
    pub(crate) async fn start(
        mut command: Command,
        from: Output,
        words: &str,
        times: usize,
    ) -> Result<(Self, String), Fault> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).kill_on_drop(true);
        let (child, line) = match from {
            Output::Stdout => {
                let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
                let pipe = child.stdout.take().ok_or("no output")?;
                (child, said(BufReader::new(pipe).lines(), words, times).await)
            }
            Output::Stderr => {
                let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
                let pipe = child.stderr.take().ok_or("no output")?;
                (child, said(BufReader::new(pipe).lines(), words, times).await)
            }
        };
        Ok((Self { child, name: name.clone() }, line.map_err(|error| format!("{name}: {error}"))?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Asks it to end, and waits until it has: only then is known what it used.
    pub(crate) async fn end(mut self) -> Result<(), Fault> {
        let id = self.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().await?;
        self.child.wait().await?;
        Ok(())
    }

    /// The same, for one whose use does not count.
    pub(crate) async fn kill(mut self) -> Result<(), Fault> {
        self.child.kill().await.map_err(|error| format!("{} cannot be killed: {error}", self.name).into())
    }
}

/// Where a program says that it is ready.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

async fn said<R>(mut lines: Lines<BufReader<R>>, words: &str, mut times: usize) -> Result<String, Fault>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let mut before = String::new();
    loop {
        let Some(line) = lines.next_line().await? else {
            return Err(format!("it ended without saying '{words}', but: {before}").into());
        };
        match line.matches(words).count() {
            0 => writeln!(before, "{line}")?,
            // Processes that share a pipe may say it on the same line.
            said => times = times.saturating_sub(said),
        }
        if times == 0 {
            // Emptied, or the program would stop at a full pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(line);
        }
    }
}

/// The programs of this project, from a release build beside what cargo builds for this one.
pub(crate) struct Programs {
    folder: PathBuf,
    /// Where a worker writes what it spent at which stage; it is this program then.
    report: Option<PathBuf>,
}

impl Programs {
    /// Builds them, unless they are built already.
    pub(crate) async fn release(built: bool) -> Result<Self, Fault> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let programs = Self { folder: target.join("release"), report: None };
        if built {
            let beside = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
            let is_here = beside.join("recapture").exists();
            return Ok(if is_here { Self { folder: beside, report: None } } else { programs });
        }
        let building = Command::new("cargo")
            .args(["build", "--release", "--locked", "--workspace", "--bins"])
            .current_dir(&root)
            .env("CARGO_TARGET_DIR", &target)
            .status()
            .await?;
        if building.success() { Ok(programs) } else { Err("what is measured could not be built".into()) }
    }

    /// With workers that write there what they spent at which stage.
    pub(crate) fn timed(self, report: PathBuf) -> Self {
        Self { report: Some(report), ..self }
    }

    pub(crate) fn worker(&self, configuration: &Path) -> Result<Command, Fault> {
        let mut command = match &self.report {
            None => self.command("recapture-worker"),
            Some(report) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("timed-worker").arg("--report").arg(report).env_clear();
                command
            }
        };
        command.arg("--config").arg(configuration);
        Ok(command)
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.env_clear();
        command
    }
}
