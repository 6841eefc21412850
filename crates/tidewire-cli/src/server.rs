//! `tidewire server`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidewire_server::{Binary, Installer, Origin, Server, ServerError};
use tokio::time::interval;

use crate::{
    error::{CliError, SHORT},
    output::{Output, note},
    signals::Asked,
};

/// How often it is seen that the server still lives.
const LOOK: Duration = Duration::from_millis(100);

/// Run, fetch or find the nats-server that Tidewire manages
///
/// It is the first of: what `$TIDEWIRE_NATS_SERVER` names, one on the PATH, the one in the cache, and for `run` and
/// `install` a download that is checked by its hash.
#[derive(Clone, Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct ServerArgs {
    #[command(subcommand)]
    verb: ServerVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum ServerVerb {
    /// Run a server with JetStream on 127.0.0.1 until Ctrl-C; fetch it first where there is none
    Run(RunArgs),
    /// Make sure that the pinned version is in the cache
    Install(WhereArgs),
    /// Say where the server is that would run, and exit with 1 where there is none
    Path(WhereArgs),
}

#[derive(Clone, Debug, Args)]
struct RunArgs {
    /// The port for clients; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = 4222)]
    port: u16,
    /// Keep the data in this folder; otherwise they are gone when the server ends
    #[arg(long, value_name = "FOLDER")]
    store_dir: Option<PathBuf>,
    /// Sync every write to the disk before it is acknowledged: slower, and safe in a power failure
    #[arg(long)]
    sync_always: bool,
}

#[derive(Clone, Debug, Args)]
struct WhereArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn server(args: ServerArgs, out: Output) -> Result<ExitCode, CliError> {
    match args.verb {
        ServerVerb::Run(args) => run(args, &out).await,
        ServerVerb::Install(args) => tell(
            &Installer::from_env().install().map_err(CliError::Server)?,
            &args,
            &out,
        ),
        ServerVerb::Path(args) => match Binary::find() {
            Ok(binary) => tell(&binary, &args, &out),
            Err(error) => {
                // Where one is named that does not do, another in the cache would not be looked at.
                let also = match error {
                    ServerError::NotFound { .. } => "\n`tidewire server install` fetches one",
                    _ => "",
                };
                note(format!("{error}{also}"));
                Ok(ExitCode::FAILURE)
            }
        },
    }
}

fn tell(binary: &Binary, args: &WhereArgs, out: &Output) -> Result<ExitCode, CliError> {
    let path = binary.path().display().to_string();
    if args.json {
        let origin = match binary.origin() {
            Origin::Named => "named",
            Origin::SearchPath => "path",
            Origin::Cache => "cache",
            Origin::Archive => "archive",
            Origin::Python => "python",
            _ => "other",
        };
        let told: Value = json!({ "path": path, "version": binary.version(), "origin": origin });
        out.json_line(&told)?;
    } else {
        out.line(path)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(args: RunArgs, out: &Output) -> Result<ExitCode, CliError> {
    // Before the server: whoever ends this command while it starts means it.
    let mut asked_to_end = Asked::listen().map_err(|source| CliError::System {
        what: "listen to signals",
        source,
        remedy: SHORT,
    })?;
    let kept = args.store_dir.clone();
    let mut builder = Server::builder().port(args.port).sync_always(args.sync_always);
    if let Some(folder) = args.store_dir {
        builder = builder.store_dir(folder);
    }
    let mut server = builder.start().map_err(CliError::Server)?;
    out.line(format_args!(
        "nats-server {} on {}",
        server.binary().version(),
        server.url()
    ))?;
    let fate = if kept.is_some() {
        "kept"
    } else {
        "removed at the end"
    };
    out.line(format_args!(
        "JetStream's data in {}, {fate}",
        server.store_dir().display()
    ))?;
    out.line("Ctrl-C ends it")?;
    let mut look = interval(LOOK);
    loop {
        tokio::select! {
            () = asked_to_end.asked() => break,
            _ = look.tick() => {
                if !server.is_running() {
                    let log = server.log().map_err(CliError::Server)?;
                    return Err(CliError::Fault(format!("nats-server has ended by itself; mend what its log says:\n{}", log.trim_end())));
                }
            }
        }
    }
    server.stop().map_err(CliError::Server)?;
    out.line("ended")?;
    Ok(ExitCode::SUCCESS)
}
