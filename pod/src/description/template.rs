//! Templates: texts that see the cluster. The language is Jinja's.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Slot};
use minijinja::{Environment as Engine, Error, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value, json};

use crate::cluster::{Address, Cluster, Pods, addresses, seq_of};
use crate::environment::Variables;

/// Steps that one template may take. A list of thousands of pods is far below.
const FUEL: u64 = 10_000_000;

/// Variable that tells whose network the pod uses: `machine` or `container`.
pub const NETWORK: &str = "OCHO_POD_NETWORK";

/// What templates see.
#[derive(Debug, Clone)]
pub struct Scene {
    cluster: Arc<Cluster>,
    variables: Arc<Variables>,
    /// A scene that was made up to try a template: every port is exposed in it.
    pretend: bool,
}

/// Why a template gives no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl From<Error> for TemplateError {
    fn from(error: Error) -> Self {
        let line =
            error.line().filter(|line| *line > 1).map_or_else(String::new, |line| format!(" (line {line} of the template)"));
        let detail = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
        Self(format!("{detail}{line}"))
    }
}

/// Reads a template without filling it in.
pub(super) fn check_syntax(text: &str) -> Result<(), TemplateError> {
    engine().template_from_str(text).map(drop).map_err(TemplateError::from)
}

/// Jinja for configuration files: a line that holds only a block leaves no empty line, and the last newline stays.
fn engine() -> Engine<'static> {
    let mut engine = Engine::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    engine.set_syntax(syntax.expect("the usual delimiters are fine"));
    engine.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    engine.set_fuel(Some(FUEL));
    engine
}

impl Scene {
    /// What a pod of `cluster` sees.
    #[must_use]
    pub fn new(cluster: Cluster, variables: Arc<Variables>) -> Self {
        Self { cluster: Arc::new(cluster), variables, pretend: false }
    }

    /// A made-up cluster, to try templates before there is one.
    #[must_use]
    pub fn pretend(cluster: Cluster, variables: Arc<Variables>) -> Self {
        Self { cluster: Arc::new(cluster), variables, pretend: true }
    }

    /// Fills a text in.
    ///
    /// # Errors
    /// Where it uses something that is not there.
    pub fn fill_in(&self, text: &str) -> Result<String, TemplateError> {
        let mut engine = engine();
        self.add_functions(&mut engine);
        Ok(engine.render_str(text, Slot::from(Serde(self.values())))?)
    }

    fn values(&self) -> Value {
        let cluster = &self.cluster;
        let own = cluster.pods.get(&cluster.key);
        let text = |name: &str| own.and_then(|own| own.get(name)).cloned().unwrap_or(Value::Null);
        let pods = listed(&cluster.pods, cluster);
        let me = pods.iter().find(|pod| pod["me"] == true).cloned().unwrap_or_default();
        let dependencies: Map<String, Value> =
            cluster.dependencies.iter().map(|(name, pods)| (name.clone(), listed(pods, cluster).into())).collect();
        let settings = self.variables.get("pod").and_then(|settings| serde_json::from_str(settings).ok()).unwrap_or(Value::Null);
        json!({
            "key": cluster.key,
            "seq": cluster.seq,
            "index": cluster.index(),
            "rank": cluster.rank(),
            "size": cluster.size(),
            "leader": cluster.leader.as_ref() == Some(&cluster.key),
            "cluster": text("cluster"),
            "namespace": text("namespace"),
            "zk": text("zk"),
            "me": me,
            "pods": pods,
            "dependencies": dependencies,
            "env": *self.variables,
            "settings": settings,
        })
    }

    fn add_functions(&self, engine: &mut Engine<'_>) {
        for (name, address) in [("addresses", Address::Internal), ("public_addresses", Address::Public)] {
            let scene = self.clone();
            engine.add_function(name, move |dependency: &str, port: u16| scene.addresses(dependency, port, address));
        }
        let scene = self.clone();
        engine.add_function("peers", move |port: u16| scene.reach("this cluster", &scene.cluster.pods, port, Address::Internal));
        let scene = self.clone();
        engine.add_function("port", move |port: u16| scene.own_port(port));
        let scene = self.clone();
        engine.add_function("listen", move |port: u16| match scene.variables.get(NETWORK).map(String::as_str) {
            Some("container") => Ok(u64::from(port)),
            _ => scene.own_port(port),
        });
    }

    fn addresses(&self, dependency: &str, port: u16, address: Address) -> Result<Vec<String>, Error> {
        let pods = self.cluster.dependencies.get(dependency);
        let unknown = || Error::new(ErrorKind::InvalidOperation, format!("`{dependency}` is not in depends_on"));
        self.reach(dependency, pods.ok_or_else(unknown)?, port, address)
    }

    fn reach(&self, name: &str, pods: &Pods, port: u16, address: Address) -> Result<Vec<String>, Error> {
        if self.pretend {
            return Ok(pods.values().enumerate().map(|(nth, _)| format!("192.0.2.{}:{port}", nth + 1)).collect());
        }
        addresses(name, pods, port, address).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
    }

    /// The machine's port that leads to one of this pod's ports.
    fn own_port(&self, port: u16) -> Result<u64, Error> {
        let own = self.cluster.pods.get(&self.cluster.key);
        let mapped = own.and_then(|own| own.get("ports")?.get(port.to_string())?.as_u64());
        let mapped = mapped.or(self.pretend.then_some(u64::from(port)));
        mapped.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("this pod does not expose port {port}")))
    }
}

/// Pods as templates see them, sorted by number.
fn listed(pods: &Pods, cluster: &Cluster) -> Vec<Value> {
    let mut listed: Vec<_> = pods.iter().collect();
    listed.sort_by_key(|(_, pod)| seq_of(pod));
    let ranks: BTreeMap<&String, usize> = listed.iter().enumerate().map(|(rank, (key, _))| (*key, rank)).collect();
    let indices: BTreeMap<&String, usize> = pods.keys().enumerate().map(|(index, key)| (key, index)).collect();
    let seen = |(key, pod): &(&String, &Map<String, Value>)| {
        let mut seen = (*pod).clone();
        let more: [(&str, Value); 5] = [
            ("key", Value::from(key.as_str())),
            ("rank", ranks[key].into()),
            ("index", indices[key].into()),
            ("me", (**key == cluster.key).into()),
            ("leader", (cluster.leader.as_ref() == Some(*key)).into()),
        ];
        seen.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(seen)
    };
    listed.iter().map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Scene {
        let pod =
            |seq: u32, ip: &str| json!({"seq": seq, "ip": ip, "public": "", "cluster": "web", "ports": {"80": 31000 + seq}});
        let body = json!({"key": "b", "leader": "a", "pods": {"a": pod(9, "h9"), "b": pod(2, "h2")},
            "dependencies": {"db": {"x": pod(5, "h5"), "y": pod(4, "h4")}, "none": {}}});
        let variables = [("pod", r#"{"title": "T"}"#), ("HOME", "/h")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        Scene::new(Cluster::read(&body).unwrap(), Arc::new(variables.into()))
    }

    #[track_caller]
    fn check(text: &str, filled: &str) {
        let shown = scene().fill_in(text).unwrap_or_else(|error| error.to_string());
        assert_eq!(shown, filled);
    }

    #[test]
    fn what_templates_see() {
        check(
            "{{ index }} {{ rank }} {{ seq }} of {{ size }} in {{ cluster }}, leads: {{ leader }}",
            "1 0 2 of 2 in web, leads: False",
        );
        check(
            "{% for pod in pods %}{{ pod.seq }}={{ pod.ip }}{{ '*' if pod.me }}{{ '!' if pod.leader }} {% endfor %}",
            "2=h2* 9=h9! ",
        );
        check("{{ addresses('db', 80) | join(',') }}", "h4:31004,h5:31005");
        check("{{ peers(80) | join(' ') }} {{ port(80) }}", "h2:31002 h9:31009 31002");
        check("{{ addresses('none', 80) | length }} {{ dependencies.db[0].ports['80'] }}", "0 31004");
        check("{{ settings.title }} {{ env.HOME }} {{ me.ip }}", "T /h h2");
        check("{% if settings.other %}x{% endif %}.", ".");
    }

    #[test]
    fn a_process_listens_where_its_network_wants_it() {
        check("{{ listen(80) }}", "31002");
        let mut variables = Variables::new();
        variables.insert(NETWORK.to_owned(), "container".to_owned());
        let inside = Scene { variables: Arc::new(variables), ..scene() };
        assert_eq!(inside.fill_in("{{ listen(80) }} {{ listen(9) }}").unwrap(), "80 9");
    }

    #[test]
    fn lines_with_blocks_leave_nothing_behind() {
        check("a\n  {% for pod in pods %}\n{{ pod.seq }}\n  {% endfor %}\nb\n", "a\n2\n9\nb\n");
    }

    #[test]
    fn what_is_not_there_is_told() {
        check("{{ nothing }}", "undefined value");
        check("a\n{{ addresses('other', 80) }}", "invalid operation: `other` is not in depends_on (line 2 of the template)");
        check("{{ addresses('db', 81) }}", "invalid operation: pod #4 of `db` does not expose port 81");
        check("{{ port(81) }}", "invalid operation: this pod does not expose port 81");
        assert_eq!(
            check_syntax("a\n{% if %}").unwrap_err().to_string(),
            "syntax error: unexpected end of block (line 2 of the template)"
        );
    }

    #[test]
    fn a_template_cannot_run_for_ever() {
        let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        check(loops, "engine ran out of fuel");
    }

    #[test]
    fn a_pretended_cluster_exposes_every_port() {
        let scene = Scene { pretend: true, ..scene() };
        assert_eq!(scene.fill_in("{{ addresses('db', 7) | join(',') }} {{ port(9) }}").unwrap(), "192.0.2.1:7,192.0.2.2:7 9");
    }
}
