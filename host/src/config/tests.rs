//! Options from all places, and which of them wins.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::CommandFactory as _;
use tempfile::TempDir;

use super::values::is_option;
use super::*;

/// A machine with its files and variables, and a configuration file.
struct Machine {
    folder: TempDir,
    around: Surroundings,
}

impl Machine {
    fn new(variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        let around = Surroundings { variables, root: folder.path().join("root") };
        Self { folder, around }
    }

    fn file(mut self, text: &str) -> Self {
        std::fs::write(self.path(), text).unwrap();
        self.around.variables.insert("OCHOD_CONFIG".to_owned(), self.path().into());
        self
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ochod.toml")
    }

    fn put(self, path: &str, text: &str) -> Self {
        let file = self.folder.path().join("root").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self
    }

    fn resolve(&self, line: &str) -> Result<Resolved, String> {
        let line: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let here = format!("{}/", self.folder.path().display());
        resolve(&line, &self.around).map_err(|error| error.to_string().replace(&here, ""))
    }

    /// `name = values (origin)` of one option.
    #[track_caller]
    fn shows(&self, line: &str, name: &str) -> String {
        let report = self.resolve(line).unwrap().report.unwrap();
        let here = format!("{}/", self.folder.path().display());
        let setting = report.settings.iter().find(|setting| setting.name == name).unwrap();
        format!("{} ({})", setting.values.join(" "), setting.origin.to_string().replace(&here, ""))
    }

    fn config(&self, line: &str) -> Result<String, String> {
        let Command::Config(args) = self.resolve(&format!("ochod config {line}"))?.command else { panic!("{line}") };
        let here = format!("{}/", self.folder.path().display());
        let said = run_config(&args, &self.around).map_err(|error| error.to_string());
        said.map(|text| text.replace(&here, "")).map_err(|text| text.replace(&here, ""))
    }
}

#[test]
fn every_option_has_a_variable_of_its_name() {
    for command in Cli::command().get_subcommands().filter(|command| file::COMMANDS.contains(&command.get_name())) {
        for arg in command.get_arguments().filter(|arg| is_option(arg)) {
            let wanted = format!("OCHOD_{}", arg.get_long().unwrap().replace('-', "_").to_uppercase());
            assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(wanted.as_str()), "{}", command.get_name());
        }
    }
}

#[test]
fn the_nearest_place_wins() {
    let serve = "ochod serve --marathon m --zookeeper z";
    let machine = Machine::new(&[]);
    assert_eq!(machine.shows(serve, "token"), " (default)");
    assert_eq!(machine.shows(serve, "cpu-limit"), "30 (default)");
    let machine = Machine::new(&[]).file("cpu-limit = 5\ntoken = \"f\"\n");
    assert_eq!(machine.shows(serve, "cpu-limit"), "5 (ochod.toml:1)");
    assert_eq!(machine.shows(serve, "token"), "*** (ochod.toml:2)");
    let machine = Machine::new(&[("ochothon_token", "a")]).file("token = \"f\"\n");
    assert_eq!(machine.shows(serve, "token"), "*** (environment ochothon_token)");
    let machine = Machine::new(&[("ochothon_token", "a"), ("ochopod_token", "b")]);
    assert_eq!(machine.shows(serve, "token"), "*** (environment ochopod_token)");
    let machine = Machine::new(&[("OCHOD_TOKEN", "c"), ("ochopod_token", "b")]);
    assert_eq!(machine.shows(serve, "token"), "*** (environment OCHOD_TOKEN)");
    assert_eq!(machine.shows(&format!("{serve} --token d"), "token"), "*** (flag)");
    // What a template leaves empty is not set.
    let machine = Machine::new(&[("OCHOD_TOKEN", ""), ("ochopod_token", "")]);
    assert_eq!(machine.shows(serve, "token"), " (default)");
}

#[test]
fn the_values_arrive() {
    let machine = Machine::new(&[("OCHOD_OPEN", "1"), ("OCHOD_GRANT", "a=pods/exec;b=")]).file(
        "portal = \"0.0.0.0:9000\"\nruns = 7\njob-http = [\"a:80\", \"b\"]\npublish-token = true\nrequire-signature-256 = false\n\
         tools = \"my tools\"\ncpu-limit = 0.5\n[serve]\nmarathon = [\"m1\", \"m2:81\"]\nzookeeper = [\"z1\", \"z2:2182\"]\n",
    );
    let Command::Serve(args) = machine.resolve("ochod serve").unwrap().command else { panic!() };
    assert_eq!(args.marathon, ["m1", "m2:81"]);
    assert_eq!(args.zookeeper.to_string(), "z1:2181,z2:2182");
    let host = args.host;
    assert!(host.open && host.publish_token && !host.require_signature_256);
    assert_eq!((host.portal.to_string().as_str(), host.runs, host.servo_args.job_http.len()), ("0.0.0.0:9000", 7, 2));
    assert_eq!(host.grant.len(), 2);
    assert_eq!(host.tools, Some(machine.folder.path().join("my tools")));
    assert_eq!(host.cpu_limit.as_millis(), 500);
    let Command::Up(args) = machine.resolve("ochod up --runs 3").unwrap().command else { panic!() };
    assert_eq!((args.cluster.marathon.port(), args.host.runs), (8080, 3));
}

#[test]
fn a_variable_that_is_off_beats_a_file_that_is_on() {
    let machine = Machine::new(&[("OCHOD_OPEN", "off")]).file("open = true\n");
    assert_eq!(machine.shows("ochod up", "open"), "false (environment OCHOD_OPEN)");
    assert_eq!(machine.shows("ochod up --open", "open"), "true (flag)");
    let error = Machine::new(&[("OCHOD_OPEN", "maybe")]).resolve("ochod up").unwrap_err();
    assert_eq!(error, "$OCHOD_OPEN: `maybe` is neither `true` nor `false`");
}

#[test]
fn of_options_that_exclude_each_other_the_nearer_wins() {
    let machine = Machine::new(&[("OCHOD_TOKEN", "env")]).file("token-file = \"t\"\n");
    assert_eq!(machine.shows("ochod up", "token-file"), " (default)");
    assert_eq!(machine.shows("ochod up --token-file x", "token"), " (default)");
    let error = Machine::new(&[]).file("token-file = \"t\"\ntoken = \"x\"\n").resolve("ochod up").unwrap_err();
    assert_eq!(error, "`token` and `token-file` exclude each other; set one of them");
    let machine =
        Machine::new(&[("OCHOD_MARATHON_TOKEN", "t")]).file("[serve]\nmarathon-credentials = \"a:b\"\nzookeeper = \"z\"\n");
    let Command::Serve(args) = machine.resolve("ochod serve").unwrap().command else { panic!() };
    assert_eq!(args.marathon_config().credentials, Some(crate::marathon::Credentials::Bearer("t".to_owned())));
    assert_eq!(args.marathon_config().shown(), "master.mesos");
}

#[test]
fn the_seeds_know_their_places() {
    let seeds = [("MARATHON_MASTER", "a:8080,b:8080"), ("ochopod_zk", "zk://z1:2181,z2:2181/mesos")];
    let machine = Machine::new(&seeds).put("etc/mesos/zk", "zk://other:2181/mesos\n");
    assert_eq!(machine.shows("ochod serve", "marathon"), "a:8080 b:8080 (environment MARATHON_MASTER)");
    assert_eq!(machine.shows("ochod serve", "zookeeper"), "zk://z1:2181,z2:2181/mesos (environment ochopod_zk)");
    // They are not for the embedded cluster.
    assert_eq!(machine.shows("ochod up", "zookeeper"), "127.0.0.1:2181 (default)");
    let machine = Machine::new(&[]).put("etc/mesos/zk", "zk://other:2181/mesos\n");
    assert_eq!(machine.shows("ochod serve", "zookeeper"), "zk://other:2181/mesos (/etc/mesos/zk)");
    let machine = machine.put("opt/mesosphere/etc/mesos-slave", "A=1\nMESOS_MASTER=zk://dcos:2181/mesos\n");
    let origin = "(/opt/mesosphere/etc/mesos-slave)";
    assert_eq!(machine.shows("ochod serve", "zookeeper"), format!("zk://dcos:2181/mesos {origin}"));
    let error = Machine::new(&[]).resolve("ochod serve").unwrap_err();
    assert!(error.contains("not provided") && error.contains("--zookeeper"), "{error}");
}

#[test]
fn a_task_of_mesos_knows_its_machine() {
    let task = [("HOST", "127.0.0.1"), ("PORT_9000", "31005"), ("ochopod_zk", "z"), ("MESOS_TASK_ID", "t")];
    let machine = Machine::new(&task);
    assert_eq!(machine.shows("ochod serve", "advertise"), "127.0.0.1 (environment HOST)");
    assert_eq!(machine.shows("ochod serve", "portal"), "127.0.0.1:31005 (environment PORT_9000)");
    assert_eq!(machine.shows("ochod serve --portal 127.0.0.1:1", "portal"), "127.0.0.1:1 (flag)");
    // In a network of its own a container does not have the machine's address.
    let machine = Machine::new(&[("HOST", "192.0.2.1"), ("PORT_9000", "31005"), ("ochopod_zk", "z"), ("MESOS_TASK_ID", "t")]);
    assert_eq!(machine.shows("ochod serve", "portal"), "127.0.0.1:9000 (default)");
    assert_eq!(machine.shows("ochod serve", "advertise"), "192.0.2.1 (environment HOST)");
    // Elsewhere shells have a $HOST of their own.
    assert_eq!(Machine::new(&task[..3]).shows("ochod serve", "advertise"), " (default)");
    let error = Machine::new(&[("OCHOD_ADVERTISE", "no name")]).resolve("ochod up").unwrap_err();
    assert!(error.starts_with("$OCHOD_ADVERTISE: invalid value 'no name' for '--advertise <IP>': "), "{error}");
}

#[test]
fn mistakes_in_the_file_are_told_with_their_line() {
    for (text, why) in [
        ("\nportl = \"x\"\n", "ochod.toml:2: unknown key `portl`; did you mean `portal`?"),
        ("qqq = 1\n", "ochod.toml:1: unknown key `qqq`; `ochod serve --help` lists the options"),
        ("[serve]\nimages = \"x\"\n", "ochod.toml:2: `images` is no option of [serve]; it belongs to [up] and [cluster]"),
        ("runs = 0\n", "ochod.toml:1: invalid value '0' for '--runs <N>': 0 is not in 1..=2000"),
        ("runs = [1]\n", "ochod.toml:1: `runs` takes one value, not a list"),
        ("open = \"yes\"\n", "ochod.toml:1: `open` takes `true` or `false`"),
        ("tools = true\n", "ochod.toml:1: `tools` takes a text or a number, not `true`"),
        ("portal = 2020-01-01\n", "ochod.toml:1: `portal` is a date; it takes a text, a number or a list"),
        ("[portal]\nx = 1\n", "ochod.toml:1: `portal` is a section; it takes a text, a number or a list"),
        (
            "job-http = [[1]]\n",
            "ochod.toml:1: `job-http` is a list of something else than texts and numbers; it takes a text, a number or a list",
        ),
        ("x = [\n", "ochod.toml:"),
        ("runs = 1\nruns = 2\n", "ochod.toml:2: duplicate key"),
        ("[tool.x]\ngrant = []\n", "ochod.toml:2: unknown field `grant`, expected "),
        ("[tool.x]\ngrants = [\"pods\"]\n", "ochod.toml:2: `pods` is not an interface that can be granted"),
        ("[tool.X]\n", "ochod.toml:1: "),
        ("a = 1\nb = 2\n", "ochod.toml:1: unknown key `a`; `ochod serve --help` lists the options\nochod.toml:2: "),
    ] {
        let error = Machine::new(&[]).file(text).resolve("ochod up").unwrap_err();
        assert!(error.starts_with(why), "{text}: {error}");
    }
    let error = Machine::new(&[]).resolve("ochod up --config /missing/x.toml").unwrap_err();
    assert!(error.starts_with("cannot use `/missing/x.toml` for --config: "), "{error}");
}

#[test]
fn a_file_is_looked_for_in_its_places() {
    let machine = Machine::new(&[("HOME", "/nowhere")]).put("etc/ocho/ochod.toml", "runs = 5\n");
    assert_eq!(machine.shows("ochod up", "runs"), "5 (root/etc/ocho/ochod.toml:1)");
    assert_eq!(machine.shows("ochod up --config /dev/null", "runs"), "64 (default)");
    let home = machine.folder.path().join("home");
    std::fs::create_dir_all(home.join(".config/ocho")).unwrap();
    std::fs::write(home.join(".config/ocho/ochod.toml"), "runs = 6\n").unwrap();
    let mut machine = machine;
    machine.around.variables.insert("HOME".to_owned(), home.into());
    assert_eq!(machine.shows("ochod up", "runs"), "6 (home/.config/ocho/ochod.toml:1)");
}

#[test]
fn grants_of_the_file_are_the_tools() {
    let machine = Machine::new(&[]).file("[tool.a]\ngrants = [\"pods/exec\"]\n[tool.b]\ngrants = []\n");
    let Command::Up(args) = machine.resolve("ochod up --grant b=pods/observe").unwrap().command else { panic!() };
    let shown: Vec<String> = args.host.grants().iter().map(|(tool, grants)| format!("{tool}: {grants}")).collect();
    assert_eq!(shown, ["a: pods/exec", "b: ", "b: pods/observe"]);
}

#[test]
fn what_is_shown_can_be_read_back() {
    let machine = Machine::new(&[("OCHOD_SERVO_TOKEN", "hidden")]).file(
        "portal = \"127.0.0.1:1\"\njob-http = [\"a:80\"]\n[serve]\nmarathon = [\"http://me:s3cret@m\"]\nzookeeper = \"z\"\n",
    );
    let shown = machine.config("show serve --runs 9").unwrap();
    assert!(!shown.contains("hidden") && !shown.contains("s3cret"), "{shown}");
    for line in ["# ochod serve, with ochod.toml", "runs = 9", "# servo-token = ***", "marathon = [\"http://***@m\"]"] {
        assert!(shown.lines().any(|shown| shown.split("  # ").next().unwrap().trim_end() == line), "{line}: {shown}");
    }
    let again = Machine::new(&[("OCHOD_SERVO_TOKEN", "hidden")]).file(&shown).config("show serve").unwrap();
    let values =
        |text: &str| text.lines().skip(1).map(|line| line.split("  # ").next().unwrap().trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(values(&again), values(&shown));
    let json: serde_json::Value = serde_json::from_str(&machine.config("show --json").unwrap()).unwrap();
    assert_eq!((&json["version"], &json["command"]), (&1.into(), &"up".into()));
}

#[test]
fn a_file_is_checked_for_each_command() {
    let checked = Machine::new(&[]).file("marathon = \"m1,m2\"\n").config("check").unwrap();
    assert!(checked.starts_with("ochod.toml: good for serve\nnot for up: ochod.toml:1: invalid value 'm1,m2' for "), "{checked}");
    assert_eq!(Machine::new(&[]).file("").config("check").unwrap(), "ochod.toml: good for up, serve, cluster\n");
    let error = Machine::new(&[]).file("portal = \"x\"\n[cluster]\nmarathon = \"y\"\n").config("check").unwrap_err();
    assert_eq!(error.lines().count(), 2, "{error}");
    let none = Machine::new(&[]).config("check").unwrap();
    assert_eq!(none, "there is no configuration file; every option has its default\n");
    let secret = Machine::new(&[]).file("token = \"x\"\n").config("check").unwrap();
    assert!(secret.ends_with("it holds a secret and others may read it; chmod it to 600\n"), "{secret}");
}

proptest::proptest! {
    #[test]
    fn any_file_is_an_answer_not_a_panic(text in "[a-z\\[\\]=\"'.,{}0-9\n -]{0,60}|.{0,60}") {
        let _ = Machine::new(&[]).file(&text).resolve("ochod up");
    }
}
