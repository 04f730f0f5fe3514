//! Applications as tools of different ages write them: look-alikes of what is in use.

use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, text};

/// Posts an application without instances and returns it as it is shown afterwards.
async fn shown(cluster: &Cluster, mut app: Value) -> Value {
    app["instances"] = json!(0);
    let id = text(&app["id"]).trim_start_matches('/').to_owned();
    let (status, body) = cluster.send(Method::POST, "/v2/apps", Some(app)).await;
    assert_eq!(status, 201, "{body}");
    cluster.settled().await;
    cluster.app(&format!("/{id}")).await
}

#[tokio::test]
async fn ochothons_post_and_the_way_back() {
    let cluster = Cluster::start(&[]).await;
    let app = json!({
        "id": "ochopod.test.web-2015-06-01-10-20-30", "cpu": 1, "acceptedResourceRoles": ["slave_public"],
        "env": {"ochopod_cluster": "web", "ochopod_debug": "true", "ochopod_application": "x", "pod": "{\"a\": 1}"},
        "container": {
            "type": "DOCKER",
            "docker": {"forcePullImage": true, "image": "team/web:1.0", "network": "BRIDGE",
                "portMappings": [{"containerPort": 8080, "protocol": "tcp"}, {"containerPort": 9000, "hostPort": 9000, "protocol": "udp"}]},
            "volumes": [{"containerPath": "/etc/mesos", "hostPath": "/etc/mesos", "mode": "RO"}],
        },
    });
    let first = shown(&cluster, app).await;
    assert_eq!(first["acceptedResourceRoles"], json!(["slave_public"]));
    assert_eq!(first["networks"], json!([{"mode": "container/bridge"}]));
    let mapping = &first["container"]["portMappings"][1];
    assert_eq!((&mapping["hostPort"], &mapping["protocol"]), (&json!(9000), &json!("udp")));

    // A new tag: read the newest version, change the image, send the container back.
    let id = "/v2/apps/ochopod.test.web-2015-06-01-10-20-30";
    let versions = cluster.get(&format!("{id}/versions")).await;
    let mut container = cluster.get(&format!("{id}/versions/{}", text(&versions["versions"][0]))).await["container"].clone();
    container["docker"]["image"] = json!("team/web:2.0");
    let (status, _) = cluster.send(Method::PUT, id, Some(json!({"container": container}))).await;
    assert_eq!(status, 200);
    cluster.settled().await;
    let second = cluster.app("/ochopod.test.web-2015-06-01-10-20-30").await;
    assert_eq!(second["container"], container);
    assert_eq!(second["networks"], first["networks"]);
    assert_eq!(cluster.get(&format!("{id}/versions")).await["versions"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn balancers_and_their_tags() {
    let cluster = Cluster::start(&[]).await;
    let app = json!({
        "id": "shop-0", "args": ["python", "shop.py"], "cpus": 0.1, "mem": 64.0, "ports": [0], "backoffSeconds": 1.0,
        "env": {"SERVICE_8000_NAME": "shop", "SERVICE_8000_CHECK_HTTP": "/ping",
            "SERVICE_TAGS": "haproxy,webapp,weight=1,haproxy_route=/shop haproxy_httpchk=GET /,urlprefix-/x"},
        "container": {"type": "DOCKER", "docker": {"image": "local/shop", "network": "BRIDGE",
            "portMappings": [{"containerPort": 8000, "hostPort": 0, "protocol": "tcp"}]}, "volumes": []},
        "healthChecks": [
            {"protocol": "HTTP", "portIndex": 0, "path": "/ping", "gracePeriodSeconds": 5, "intervalSeconds": 20, "maxConsecutiveFailures": 3},
            {"protocol": "TCP", "portIndex": 0}],
        "upgradeStrategy": {"minimumHealthCapacity": 1},
    });
    let app = shown(&cluster, app).await;
    assert_eq!(app["healthChecks"].as_array().map(Vec::len), Some(2));
    assert_eq!(app["upgradeStrategy"], json!({"maximumOverCapacity": 1.0, "minimumHealthCapacity": 1.0}));
    assert_eq!(app["backoffSeconds"], 1);

    let newer = json!({
        "id": "/newer", "user": "www-data", "cmd": "true", "networks": [{"mode": "container/bridge"}],
        "container": {"type": "DOCKER", "docker": {"image": "local/newer"}, "portMappings": [
            {"containerPort": 80, "hostPort": 0, "servicePort": 10500, "name": "http", "labels": {"VIP_0": "/newer:80"}}]},
        "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0}],
        "labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "shop.example"}, "acceptedResourceRoles": ["*"],
        "killSelection": "oldest_first", "unreachableStrategy": "disabled",
    });
    let app = shown(&cluster, newer).await;
    assert_eq!(app["container"]["portMappings"][0]["servicePort"], 10500);
    assert_eq!(app["unreachableStrategy"], "disabled");
}

#[tokio::test]
async fn deployment_plans_of_scripts() {
    let cluster = Cluster::start(&[]).await;
    let plan = json!({
        "id": "search-api", "cmd": null, "cpus": 1, "mem": 512, "disk": 0, "storeUrls": [], "uris": [], "executor": "", "user": null,
        "constraints": [["hostname", "GROUP_BY"]], "dependencies": [], "requirePorts": false, "backoffFactor": 1.15,
        "env": {"JAVA_XMX": "512m", "RETRIES": 3, "VERBOSE": true, "SERVICE_8080_TAGS": "http,haproxy"},
        "container": {"type": "DOCKER", "volumes": [{"hostPath": "/var/log", "containerPath": "/log", "mode": "RW"}],
            "docker": {"image": "registry.example/search:1.2.3", "network": "BRIDGE", "privileged": false, "parameters": [],
                "portMappings": [{"containerPort": 8080, "hostPort": 0, "protocol": "tcp"}, {"containerPort": 8009, "hostPort": 0}]}},
        "healthChecks": null, "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.5}, "labels": {},
    });
    let app = shown(&cluster, plan).await;
    assert_eq!((&app["env"]["RETRIES"], &app["env"]["VERBOSE"]), (&json!("3"), &json!("true")));
    assert_eq!(app["constraints"], json!([["hostname", "GROUP_BY"]]));
    assert_eq!(app["cmd"], Value::Null);

    let plain = json!({"id": "plain", "cmd": "python -m SimpleHTTPServer $PORT0", "ports": [0, 0], "healthChecks": []});
    let app = shown(&cluster, plain).await;
    let ports: Vec<u64> =
        app["portDefinitions"].as_array().expect("two").iter().filter_map(|port| port["port"].as_u64()).collect();
    assert!(ports.len() == 2 && ports.iter().all(|port| (10_000..=20_000).contains(port)) && ports[0] != ports[1], "{ports:?}");
}

#[tokio::test]
async fn old_forms_that_contradict_themselves() {
    let cluster = Cluster::start(&[]).await;
    let docker = |more: Value| {
        let mut docker = json!({"image": "a"});
        for (name, value) in more.as_object().cloned().unwrap_or_default() {
            docker[name] = value;
        }
        json!({"type": "DOCKER", "docker": docker})
    };
    for (members, path, error) in [
        (
            json!({"container": docker(json!({"network": "NONE"}))}),
            "/container/docker/network",
            "the network NONE is not supported",
        ),
        (json!({"ipAddress": {}, "ports": [1], "cmd": "a"}), "/", "cannot specify both an IP address and port"),
        (
            json!({"ipAddress": {}, "networks": [{"mode": "host"}], "cmd": "a"}),
            "/",
            "must not specify both networks and ipAddress",
        ),
        (json!({"ports": [7, 7], "cmd": "a"}), "/ports", "ports must be unique"),
        (
            json!({"ipAddress": {"discovery": {"ports": [{"number": 80, "name": "http"}]}}, "container": docker(json!({}))}),
            "/",
            "ipAddress/discovery is not allowed for Docker containers",
        ),
        (
            json!({"networks": [{"mode": "container", "name": "a"}, {"mode": "container/bridge"}], "cmd": "a"}),
            "/networks",
            "May specify a single host network, single bridge network, or else 1-to-n container networks",
        ),
        (json!({"cmd": "a", "acceptedResourceRoles": []}), "/acceptedResourceRoles", "must not be empty"),
    ] {
        let mut app = members;
        app["id"] = json!("/bad");
        let (status, body) = cluster.send(Method::POST, "/v2/apps", Some(app.clone())).await;
        assert_eq!((status, text(&body["message"])), (422, "Object is not valid"), "{app} {body}");
        let details = body["details"].as_array().expect("a list");
        assert!(
            details
                .iter()
                .any(|detail| detail["path"] == path && detail["errors"].as_array().is_some_and(|e| e.contains(&json!(error)))),
            "{app} {body}"
        );
    }
}
