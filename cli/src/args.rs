//! The arguments of `ocho`, and its help.

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  the run failed, or the command cannot be sent as it is
  2  the arguments or the environment are not right
  3  the host did not answer, or not as a portal does
  4  this machine failed: its disk, its terminal";

const TOP_EXAMPLES: &str = "\
Examples:
  ocho cli my-cluster                      talk to a host at a prompt
  ocho cli my-cluster grep '*web*'         run one command
  ocho cli my-cluster deploy web.yml -p 3  send a file with it
  ocho init web                            begin a pod of your own
  ocho plugin new hello                    begin a tool of your own";

const RUN_EXAMPLES: &str = "\
Examples:
  ocho run --host my-cluster ./jobs deploy test         two jobs, one after the other
  ocho run --follow ./jobs deploy -v namespace:prod     the log as it comes; the host from $OCHOPOD_PROXY

Environment:
  OCHOPOD_PROXY  the host
  OCHOPOD_TOKEN  the secret that signs the bundle";

const RUNS_EXAMPLES: &str = "\
Examples:
  ocho runs --host my-cluster            what runs, and what ran last
  ocho runs show 7Q2M                    one of them, with what it printed; the last letters of its id are enough
  ocho runs follow 7Q2M                  the same as it happens, and its outcome as the exit code
  ocho runs cancel 7Q2M                  end it

Environment:
  OCHOPOD_PROXY  the host
  OCHOPOD_TOKEN  the secret that signs the request";

const ENCRYPT_EXAMPLES: &str = "\
Examples:
  SERVO_TOKEN=... ocho encrypt password.yml
  openssl enc -d -aes-256-cbc -base64 -md sha256 -k \"$SERVO_TOKEN\" -in password.yml.aes    reads it again";

const CLI_EXAMPLES: &str = "\
Examples:
  ocho cli my-cluster                                 a prompt; `exit`, Ctrl-C or Ctrl-D leaves it
  ocho cli my-cluster ls -j                           one command with its switches
  ocho cli my-cluster:9001 deploy web.yml -n test     `web.yml` is sent with the command
  ocho cli my-cluster exec web --force run ./scripts  a folder is sent as `scripts.tgz`
  ocho cli my-cluster < commands.txt                  one command a line, up to the end of the file
  OCHOPOD_PROXY=my-cluster ocho cli ls                the host from the environment

Files:
  `deploy` sends the definitions and the files after `-o`, `exec` the words after the name of the
  pod's tool. For tools beyond the standard thirteen a file is spelled as a path: ./ ../ / ~/

Environment:
  OCHOPOD_PROXY  the host; all arguments are the command then
  OCHOPOD_TOKEN  the secret that signs the commands
  NO_COLOR       no colours, not even on a terminal";

const INIT_EXAMPLES: &str = "\
Examples:
  ocho init web                                     asks for a name and an image
  ocho init web --name shop --image me/shop:1.0     asks nothing
  ochod up --images ochopod-marathon-shop/images    and then, at another terminal:
  ocho cli localhost deploy ochopod-marathon-shop/shop.yml";

const VERSION_EXAMPLES: &str = "\
Examples:
  ocho version                      of this program
  ocho version my-cluster           and of the host, with the contract that its tools are built against
  ocho version --json my-cluster    for programs";

/// Operate clusters of pods through their host
#[derive(Debug, Parser)]
#[command(name = "ocho", version, after_help = format!("{TOP_EXAMPLES}\n\n{EXIT_CODES}"), max_term_width = 120)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Cli(CliArguments),
    Run(RunArguments),
    Runs(RunsArguments),
    Encrypt(EncryptArguments),
    Init(InitArguments),
    Plugin(crate::plugin::PluginArguments),
    Version(VersionArguments),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  ocho completions bash > ~/.local/share/bash-completion/completions/ocho")]
    Completions {
        /// The shell to complete for
        shell: Shell,
    },
}

/// Run commands on a host, one by one at a prompt, or a single one
#[derive(Debug, Args)]
#[command(override_usage = "ocho cli [OPTIONS] [HOST] [COMMAND]...", after_help = format!("{CLI_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct CliArguments {
    /// Print one JSON object for each command: version, ok, exit_code, elapsed_ms, out, err, run
    #[arg(long)]
    pub(crate) json: bool,
    /// Speak the protocol of the original's portal: `/shell`, and a signature over the command line alone
    #[arg(long, env = "OCHO_COMPAT", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    pub(crate) compat: bool,
    /// `<name or address>[:<port>]` of the host, then the command: everything after the host is its own
    #[arg(trailing_var_arg = true, value_name = "HOST [COMMAND]")]
    pub(crate) words: Vec<std::ffi::OsString>,
}

/// Send a folder of jobs to the servo and wait for the outcome
#[derive(Debug, Args)]
#[command(after_help = format!("{RUN_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct RunArguments {
    /// `<name or address>[:<port>]` of the host's portal
    #[arg(long, env = "OCHOPOD_PROXY", value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Show the log as it comes, not at the end
    #[arg(long)]
    pub(crate) follow: bool,
    /// Variables for the jobs, which find them in upper case in their environment
    #[arg(short = 'v', long, value_name = "KEY:VALUE", value_parser = variable)]
    pub(crate) variables: Vec<(String, String)>,
    /// The folder that holds the jobs, or a `.tgz` of it
    pub(crate) folder: std::path::PathBuf,
    /// The jobs to run, in this order: `deploy` is `deploy.wasm` in the folder
    #[arg(required = true, value_parser = job_name)]
    pub(crate) jobs: Vec<String>,
}

/// Look at the runs of a host, under way and over
#[derive(Debug, Args)]
#[command(after_help = format!("{RUNS_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct RunsArguments {
    /// `<name or address>[:<port>]` of the host's portal
    #[arg(long, env = "OCHOPOD_PROXY", value_name = "HOST", global = true)]
    pub(crate) host: Option<String>,
    /// Print JSON, as the host tells it
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do: `list` if not given
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum RunsCommand {
    /// List the runs under way, then the newest of those that ended
    List {
        /// How many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show a run and what it printed
    Show {
        /// Its id, or the last letters of it
        run: String,
    },
    /// Print what a run prints until it ends, and end as it does; leaving does not end it
    Follow {
        /// Its id, or the last letters of it
        run: String,
    },
    /// End a run
    Cancel {
        /// Its id, or the last letters of it
        run: String,
    },
}

/// Encrypt a file for the jobs of a servo: they find `secret.yml` where the folder holds `secret.yml.aes`
#[derive(Debug, Args)]
#[command(after_help = format!("{ENCRYPT_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct EncryptArguments {
    /// The servo's token, as `poll *servo` shows it; better in the environment, where no process list shows it
    #[arg(long, env = "SERVO_TOKEN", value_name = "SECRET", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Derive the key as OpenSSL did before 1.1.0, for servos of the original
    #[arg(long)]
    pub(crate) md5: bool,
    /// The file to write [default: <FILE>.aes]
    #[arg(long, value_name = "FILE")]
    pub(crate) into: Option<std::path::PathBuf>,
    /// The file to encrypt
    pub(crate) file: std::path::PathBuf,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("`{text}` does not read as KEY:VALUE"))?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let is_value = !value.chars().any(char::is_control);
    if is_name && is_value {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err("a key has letters, digits, `-` and `_`; a value has one line".to_owned())
    }
}

fn job_name(text: &str) -> Result<String, String> {
    if text.contains(':') {
        Err("a job is a file at the top of the folder; each variable has a `-v` of its own".to_owned())
    } else if text.is_empty() || text.contains(['/', '+']) {
        Err("a job is a file at the top of the folder".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Begin a pod: an image's folder and the definition that deploys it
#[derive(Debug, Args)]
#[command(after_help = format!("{INIT_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct InitArguments {
    /// The template: `default` (a process) or `web` (a web server)
    #[arg(default_value = "default")]
    pub(crate) kind: String,
    /// A short identifier, which names the cluster; asked for if it is not given
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The Docker image; asked for, or as the identifier if that is given
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// The folder to write [default: ochopod-marathon-<NAME>]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) into: Option<std::path::PathBuf>,
}

/// Print the version, and that of a host
#[derive(Debug, Args)]
#[command(after_help = format!("{VERSION_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct VersionArguments {
    /// Ask this host too; without it the one in $OCHOPOD_PROXY, if set
    pub(crate) host: Option<std::ffi::OsString>,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The help of `ocho cli`, as `ocho cli help` prints it.
pub(crate) fn cli_help() -> String {
    let mut ocho = Arguments::command();
    ocho.build();
    let cli = ocho.find_subcommand_mut("cli").expect("`cli` is a command of ours");
    cli.render_help().to_string().trim_end().to_owned()
}
