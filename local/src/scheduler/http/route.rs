//! From a path to what it names. Ids may contain slashes, so this is not a list of patterns.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::scheduler::model::id::PathId;

/// What a request is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Route {
    Home,
    Ping,
    Metrics,
    Prometheus,
    Config,
    Logging,
    Info,
    Leader,
    Events,
    Plugins,
    PluginCall(String),
    EventSubscriptions,
    Pods,
    PodsStatus,
    Pod(String),
    Apps,
    App(PathId),
    /// All applications below a group.
    AppsBelow(PathId),
    AppRestart(PathId),
    AppVersions(PathId),
    AppVersion(PathId, String),
    AppTasks(PathId),
    /// The tasks of all applications below a group.
    TasksBelow(PathId),
    AppTask(PathId, String),
    Tasks,
    TasksDelete,
    Deployments,
    Deployment(String),
    Group(PathId),
    GroupApps(PathId),
    GroupVersions(PathId),
    GroupVersion(PathId, String),
    Queue,
    QueueDelay(PathId),
}

impl Route {
    /// Reads a path. `None` when it names nothing.
    pub(crate) fn parse(method: &Method, path: &str) -> Option<Self> {
        let decoded: Vec<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8().ok().map(String::from))
            .collect::<Option<_>>()?;
        // An escaped slash is a slash: clients encode whole ids.
        let segments: Vec<&str> = decoded.iter().flat_map(|segment| segment.split('/')).filter(|s| !s.is_empty()).collect();
        match segments.as_slice() {
            [] => Some(Self::Home),
            ["ping"] => Some(Self::Ping),
            ["metrics"] => Some(Self::Metrics),
            ["metrics", "prometheus"] => Some(Self::Prometheus),
            ["config"] => Some(Self::Config),
            ["logging"] => Some(Self::Logging),
            ["v2", "info"] => Some(Self::Info),
            ["v2", "leader"] => Some(Self::Leader),
            ["v2", "events"] => Some(Self::Events),
            ["v2", "eventSubscriptions"] => Some(Self::EventSubscriptions),
            ["v2", "plugins"] => Some(Self::Plugins),
            ["v2", "plugins", id, ..] => Some(Self::PluginCall((*id).to_owned())),
            ["v2", "pods"] => Some(Self::Pods),
            ["v2", "pods", "::status"] => Some(Self::PodsStatus),
            // What stands behind the id asks for a part of the pod: `::status`, `::versions`.
            ["v2", "pods", id @ ..] => {
                let id = id.join("/");
                Some(Self::Pod(format!("/{}", id.split_once("::").map_or(id.as_str(), |(id, _)| id))))
            }
            ["v2", "tasks"] => Some(Self::Tasks),
            ["v2", "tasks", "delete"] => Some(Self::TasksDelete),
            ["v2", "deployments"] => Some(Self::Deployments),
            ["v2", "deployments", id] => Some(Self::Deployment((*id).to_owned())),
            ["v2", "queue"] => Some(Self::Queue),
            ["v2", "queue", id @ .., "delay"] if !id.is_empty() => Some(Self::QueueDelay(path_of(id))),
            ["v2", "apps", rest @ ..] => Some(Self::app(method, rest)),
            ["v2", "groups", rest @ ..] => Some(Self::group(rest)),
            _ => None,
        }
    }

    fn app(method: &Method, rest: &[&str]) -> Self {
        match rest {
            [] => Self::Apps,
            [group @ .., "*"] => Self::AppsBelow(path_of(group)),
            [group @ .., "*", "tasks"] => Self::TasksBelow(path_of(group)),
            [id @ .., "restart"] if !id.is_empty() && method == Method::POST => Self::AppRestart(path_of(id)),
            [id @ .., "tasks"] if !id.is_empty() => Self::AppTasks(path_of(id)),
            [id @ .., "tasks", task] if !id.is_empty() => Self::AppTask(path_of(id), (*task).to_owned()),
            [id @ .., "versions"] if !id.is_empty() => Self::AppVersions(path_of(id)),
            [id @ .., "versions", version] if !id.is_empty() => Self::AppVersion(path_of(id), (*version).to_owned()),
            id => Self::App(path_of(id)),
        }
    }

    fn group(rest: &[&str]) -> Self {
        match rest {
            [id @ .., "apps"] => Self::GroupApps(path_of(id)),
            [id @ .., "versions"] => Self::GroupVersions(path_of(id)),
            [id @ .., "versions", version] => Self::GroupVersion(path_of(id), (*version).to_owned()),
            id => Self::Group(path_of(id)),
        }
    }

    /// Whether a body has to be JSON by its content type.
    pub(crate) fn wants_json(&self) -> bool {
        !matches!(self, Self::Group(_) | Self::GroupApps(_) | Self::GroupVersions(_) | Self::GroupVersion(..))
    }
}

fn path_of(segments: &[&str]) -> PathId {
    PathId::absolute(&segments.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(method: Method, path: &str, want: Option<Route>) {
        assert_eq!(Route::parse(&method, path), want, "{path}");
    }

    fn id(text: &str) -> PathId {
        PathId::absolute(text)
    }

    #[test]
    fn paths() {
        let get = || Method::GET;
        check(get(), "/v2/apps/", Some(Route::Apps));
        check(get(), "/v2/apps//a/b", Some(Route::App(id("/a/b"))));
        check(get(), "/v2/apps/a%2Fb", Some(Route::App(id("/a/b"))));
        check(get(), "/v2/apps/a/*", Some(Route::AppsBelow(id("/a"))));
        check(get(), "/v2/apps/*", Some(Route::AppsBelow(id("/"))));
        check(get(), "/v2/apps/a/b/tasks", Some(Route::AppTasks(id("/a/b"))));
        check(Method::DELETE, "/v2/apps/a/tasks/a.1", Some(Route::AppTask(id("/a"), "a.1".into())));
        check(get(), "/v2/apps/a/versions/x", Some(Route::AppVersion(id("/a"), "x".into())));
        check(Method::POST, "/v2/apps/a/restart", Some(Route::AppRestart(id("/a"))));
        check(Method::DELETE, "/v2/apps/a/restart", Some(Route::App(id("/a/restart"))));
        check(get(), "/v2/groups", Some(Route::Group(id("/"))));
        check(get(), "/v2/groups/versions", Some(Route::GroupVersions(id("/"))));
        check(get(), "/v2/groups/a/b/apps", Some(Route::GroupApps(id("/a/b"))));
        check(Method::DELETE, "/v2/queue/a/b/delay", Some(Route::QueueDelay(id("/a/b"))));
        check(get(), "/v2/pods/a/b::versions/x", Some(Route::Pod("/a/b".into())));
        check(get(), "/v2/nothing", None);
        check(get(), "/v2/apps/%ff", None);
    }

    proptest! {
        #[test]
        fn any_path_is_an_answer_not_a_panic(path in "/(v2/)?(apps|groups|queue|pods)?[/a-z0-9.*%:-]*") {
            let _ = Route::parse(&Method::GET, &path);
        }
    }
}
