//! A headless browser without a network, which renders pages.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Programs of Chromium and Chrome.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const REMEDY: &str = "install one: apt-get install chromium";
const WITHIN: Duration = Duration::from_mins(1);

/// A browser on this machine, with its own profile.
#[derive(Debug)]
pub struct Browser {
    program: PathBuf,
    folder: PathBuf,
}

/// The colour scheme that the browser reports as its user's preference.
#[derive(Clone, Copy, Debug)]
pub enum Scheme {
    /// Dark text on a light background.
    Light,
    /// Light text on a dark background.
    Dark,
}

impl Browser {
    /// Finds an installed browser; its profile is in `folder`. If there is none, this is an error if `CI` is set; otherwise it returns `None` and
    /// prints a line that `cargo xtask test` shows.
    pub fn find(folder: PathBuf) -> Result<Option<Self>> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let found =
            NAMES.iter().flat_map(|name| places.iter().map(move |place| place.join(name))).find(|it| it.is_file());
        let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        ensure!(found.is_some() || !is_ci, "there is no browser ({}); {REMEDY}", NAMES.join(", "));
        if found.is_none() {
            println!("proof: NOT shown in a browser, because there is none: {REMEDY}");
        }
        std::fs::create_dir_all(&folder)?;
        Ok(found.map(|program| Self { program, folder }))
    }

    /// The document after the page has loaded. It is an error if the page requests anything else or logs a message.
    pub async fn document(&self, page: &Path) -> Result<String> {
        let (document, log) = self.run(page, &["--dump-dom", "--enable-logging=stderr"]).await?;
        let complaint = log.lines().find(|line| line.contains("CONSOLE"));
        ensure!(complaint.is_none(), "the browser complains: {}", complaint.unwrap_or_default());
        Ok(document)
    }

    /// Renders the page at this width, stores the picture beside it, and returns the colour of its upper left corner, which is the background's.
    pub async fn background(&self, page: &Path, scheme: Scheme, width: u32) -> Result<[u8; 3]> {
        let (name, setting) = match scheme {
            Scheme::Light => ("light", "preferredColorScheme=1"),
            Scheme::Dark => ("dark", "preferredColorScheme=0"),
        };
        let picture = page.with_extension(format!("{name}.{width}.png"));
        let flags = [
            format!("--screenshot={}", picture.display()),
            format!("--window-size={width},2400"),
            format!("--blink-settings={setting}"),
        ];
        self.run(page, &flags.each_ref().map(String::as_str)).await?;
        first_pixel(&std::fs::read(&picture).context("the browser has stored no picture")?)
    }

    async fn run(&self, page: &Path, flags: &[&str]) -> Result<(String, String)> {
        let mut command = tokio::process::Command::new(&self.program);
        // Root can run it only without a sandbox. No host name resolves, so that a page cannot request anything.
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
        ]);
        command.arg("--host-resolver-rules=MAP * ~NOTFOUND").arg(format!("--user-data-dir={}", self.folder.display()));
        command.args(flags).arg(format!("file://{}", page.display())).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(WITHIN, command.output()).await.context("the browser has not ended")??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(output.status.success(), "the browser ended with {}: {}", output.status, text(&output.stderr));
        Ok((text(&output.stdout), text(&output.stderr)))
    }
}

/// The first pixel of a PNG, which no filter changes.
fn first_pixel(png: &[u8]) -> Result<[u8; 3]> {
    let mut rest = png.get(8..).context("no PNG")?;
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if &head[4..] == b"IDAT" {
            let mut start = [0; 4];
            flate2::read::ZlibDecoder::new(tail).read_exact(&mut start).context("no pixels")?;
            return Ok([start[1], start[2], start[3]]);
        }
        rest = tail.get(length + 4..).context("the PNG is incomplete")?;
    }
    bail!("a PNG without pixels")
}
