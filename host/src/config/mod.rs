//! The daemon's configuration, read completely before a port opens.
//!
//! Each option of a command has one name. As a flag it is `--cpu-limit 30`, in the environment `OCHOD_CPU_LIMIT=30`, in the file
//! `cpu-limit = 30`, below `[up]`, `[serve]` or `[cluster]` where it is for that command alone. What is nearer wins: the flag,
//! then `OCHOD_...`, then the names that the seeds' environment has ([`seeds`]), then the file, then what the machine says
//! (`/etc/mesos/zk`), then the default.
//!
//! **To add an option**, write one more field in [`options`]: with `#[arg(long, env = "OCHOD_<NAME>")]`, and with `conflicts_with`
//! where it excludes another one (then the nearer of the two wins). A list is a `Vec` with a `value_delimiter`, a secret has
//! `hide_env_values`, a path of the file is taken relative to the file. The file, `config check` and `config show` learn of it by
//! themselves. **What no flag can express**, such as limits for each tool, is a section of the file: a field of
//! [`sections::Sections`], which the commands find as `HostArgs::sections`.

mod check;
mod command;
mod error;
mod file;
pub mod options;
mod report;
mod resolve;
pub mod sections;
pub mod seeds;
mod values;

#[cfg(test)]
mod tests;

pub use check::{check_folder, is_loopback};
pub use command::{ConfigArgs, run_config};
pub use error::{ConfigError, Problem};
pub(crate) use options::seconds;
pub use options::{Cli, ClusterArgs, ClusterPlaces, Command, Face, HostArgs, ServeArgs, UpArgs};
pub use report::{Origin, Report, Setting};
pub use resolve::{Refused, Resolved, Surroundings, resolve};
