//! Does the Kingdee stand-in speak the vendor's protocol? The vendor's own, unmodified Python SDK is the judge.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use tongbao_sandbox::{Sandbox, SandboxConfig};

/// A ready virtual environment with `sandbox_kingdee_sdk/requirements.txt` installed; without it one is made.
const VENV: &str = "TONGBAO_TEST_VENV";

/// Longest time for one program; fetching the SDK takes the most of it.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendors_python_sdk_is_satisfied() {
    let folder = tempfile::tempdir().unwrap();
    let python = python(folder.path()).await.unwrap_or_else(|why| panic!("{why}"));
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let checked = run(&python, [here("check.py").as_os_str(), OsStr::new(&sandbox.url())]).await;
    sandbox.shutdown().await;
    checked.unwrap_or_else(|why| panic!("{why}"));
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sandbox_kingdee_sdk").join(name)
}

/// An interpreter that has the SDK.
async fn python(folder: &Path) -> Result<PathBuf, String> {
    if let Some(ready) = std::env::var_os(VENV) {
        return Ok(Path::new(&ready).join("bin/python"));
    }
    let missing = |why: String| {
        format!("python3 with venv and pip is needed; `tests/run` installs what is missing.\n{why}")
    };
    run(Path::new("python3"), [OsStr::new("-m"), OsStr::new("venv"), folder.as_os_str()])
        .await
        .map_err(missing)?;
    let python = folder.join("bin/python");
    let requirements = here("requirements.txt");
    let install = ["-m", "pip", "install", "--quiet", "--require-hashes", "-r"].map(OsStr::new);
    run(&python, install.into_iter().chain([requirements.as_os_str()]))
        .await
        .map_err(|why| format!("the vendor's SDK could not be installed:\n{why}"))?;
    Ok(python)
}

/// Runs a program to its end; everything it printed when it failed.
async fn run<'a>(program: &Path, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    let shown = program.display();
    let output = Command::new(program)
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUTF8", "1")
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(PATIENCE, output).await {
        Err(_) => Err(format!("{shown} did not end within {} seconds", PATIENCE.as_secs())),
        Ok(Err(error)) => Err(format!("{shown} could not be started: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => Err(format!(
            "{shown} ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
