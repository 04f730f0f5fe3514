//! `deploy`: what it posts, what it waits for, and what becomes of a deployment that does not come up.

use std::thread;
use std::time::Duration;

use ocho_tests::marathon::Answer;
use ocho_tests::{PodScript, wait};
use serde_json::{Value, json};

use crate::world::World;

/// The whole example, an override for it, and the app that is to come of both, without its id.
const REDIS: &str = include_str!("../../fixtures/deploy/redis.yml");
const OVER: &str = include_str!("../../fixtures/deploy/over.yml");
const APP: &str = include_str!("../../fixtures/deploy/redis.json");

/// Takes the id out, and reads the settings, whose text may have any order.
fn comparable(mut app: Value) -> (String, Value) {
    let id = app.as_object_mut().unwrap().remove("id").unwrap();
    let settings: Value = serde_json::from_str(app["env"]["pod"].as_str().unwrap()).unwrap();
    app["env"]["pod"] = settings;
    (id.as_str().unwrap().trim_start_matches('/').to_owned(), app)
}

fn is_id(id: &str, start: &str) -> bool {
    let form = regex::Regex::new(r"^-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9a-f]{4}$").unwrap();
    id.strip_prefix(start).is_some_and(|rest| form.is_match(rest))
}

#[test]
fn the_whole_example_is_posted_and_its_pods_are_awaited() {
    let mut world = World::with_app(json!({}), &[]);
    let World { host, pods, marathon, .. } = &mut world;
    let call = host.call("deploy redis.yml -n test -o over.yml -p 2 -r 3.0 -j").file("redis.yml", REDIS).file("over.yml", OVER);
    let reply = thread::scope(|scope| {
        let deploying = scope.spawn(|| call.send());
        let posted = || marathon.requests().into_iter().find(|request| request.method == "POST").map(|request| request.body);
        let (id, app) = comparable(wait::until("the post", Duration::from_secs(30), posted));
        assert_eq!(app, serde_json::from_str::<Value>(APP).unwrap());
        assert!(is_id(&id, "ochopod.test.redis"), "{id}");
        pods.add("test.redis", 0, PodScript::running().of("ochopod.test.redis-old", "t"));
        pods.add("test.redis", 1, PodScript::running().of(&id, "t1"));
        pods.add("test.redis", 2, PodScript::running().process("stopped").of(&id, "t2"));
        deploying.join().unwrap()
    });
    assert_eq!(reply.json(), json!({"redis.yml": {"ok": true, "up": [1, 2]}}));
}

#[test]
fn the_smallest_definition() {
    let world = World::with_app(json!({}), &[]);
    let reply = world.host.call("deploy c.yml --dry-run -j").file("c.yml", "cluster: c\nimage: i\n").send();
    let (id, app) = comparable(reply.json()["c.yml"]["app"].clone());
    assert!(is_id(&id, "ochopod.marathon.c"), "{id}");
    let volume = |path: &str| json!({"containerPath": path, "hostPath": path, "mode": "RO"});
    let expected = json!({
        "instances": 1,
        "env": {"ochopod_cluster": "c", "ochopod_debug": "false", "ochopod_namespace": "marathon", "ochopod_start": "true", "pod": {}},
        "container": {
            "type": "DOCKER",
            "docker": {
                "forcePullImage": true, "image": "i", "network": "BRIDGE",
                "portMappings": [{"containerPort": 8080, "protocol": "tcp"}],
            },
            "volumes": [volume("/etc/mesos"), volume("/opt/mesosphere")],
        },
    });
    assert_eq!(app, expected);
    assert!(world.asked().is_empty(), "{:?}", world.asked());
}

#[test]
fn q02_an_app_of_which_nothing_comes_up_is_deleted() {
    let world = World::with_app(json!({}), &[]);
    let reply = world.host.call("deploy c.yml -t 5").file("c.yml", "cluster: c\nimage: i\n").send();
    assert_eq!(reply.failure(), "0% success (+0 pods)\nc.yml : failed to deploy -> 0/1 pods came up within 5 s");
    assert!(world.asked().last().unwrap().starts_with("DELETE /v2/apps/ochopod.marathon.c-"), "{:?}", world.asked());
}

#[test]
fn what_marathon_refuses_is_told() {
    let world = World::new(|_| Answer::Json(409, json!({"message": "An app with id [/x] already exists."})));
    let reply = world.host.call("deploy c.yml -j").file("c.yml", "cluster: c\nimage: i\n").send();
    let why = reply.json()["c.yml"]["why"].as_str().unwrap().to_owned();
    assert_eq!((reply.ok, why.as_str()), (false, "submission failed (HTTP 409): An app with id [/x] already exists."));

    let details =
        json!([{"path": "/id", "errors": ["must be in lower case", "too long"]}, {"path": "/cpus", "errors": ["negative"]}]);
    let world = World::new(move |_| Answer::Json(422, json!({"message": "Object is not valid", "details": details})));
    let said = world.host.call("deploy c.yml").file("c.yml", "cluster: c\nimage: i\n").send().failure();
    let why = "submission failed (HTTP 422): Object is not valid (/id: must be in lower case, too long; /cpus: negative)";
    assert_eq!(said, format!("0% success (+0 pods)\nc.yml : failed to deploy -> {why}"));
}

#[test]
fn mistakes_in_files_are_told_with_their_place() {
    let world = World::with_app(json!({}), &[]);
    for (text, why) in [
        ("cluster: c\nimage: [\n", "invalid deploy.yml (line 3, column 1): "),
        (
            "cluster: c\nimage: i\nports:\n  - 8080:22\n",
            "invalid deploy.yml (line 4, column 5): `8080:22` is a number to the base 60",
        ),
        ("cluster: c\nimage: i\nports: [\"8080\"]\n", "invalid port syntax (must be two integers separated by 1+ spaces"),
        ("cluster: c\nimage: i\nsettings: {a: , b: {c: }}\n", "2 setting(s) missing ->\n\t - pod.a\n\t - pod.b.c"),
        ("", "empty YAML input (user error ?)"),
        ("image: i\n", "cluster identifier undefined (user error ?)"),
        ("cluster: c\n", "docker image undefined (user error ?)"),
        ("a: !!python/object/apply:os.system ['id']\n", "invalid deploy.yml (line 1, column 4): the tag "),
    ] {
        let said = world.host.call("deploy c.yml").file("c.yml", text).send().failure();
        assert!(said.starts_with(&format!("0% success (+0 pods)\nc.yml : failed to deploy -> {why}")), "{text}: {said}");
    }
    let said = world.host.shell("deploy none.yml").failure();
    let why = "cannot read `none.yml`: no file of this name came with the command";
    assert_eq!(said, format!("0% success (+0 pods)\nnone.yml : failed to deploy -> {why}"));
    let said = world.host.call("deploy c.yml").file("c.yml", b"cluster: \xff\n").send().failure();
    assert!(said.ends_with(" -> cannot read `c.yml`: it is not text in UTF-8"), "{said}");
    assert!(world.asked().is_empty(), "{:?}", world.asked());
}

/// The app that a definition becomes, by its own account.
fn dry(world: &World, switches: &str, text: &str) -> Value {
    let call = world.host.call(&format!("deploy c.yml --dry-run -j {switches}")).file("c.yml", text).file("o.yml", OVER);
    let reply = call.send();
    let app = reply.json()["c.yml"]["app"].clone();
    assert!(app.is_object(), "{switches}: {}", reply.body);
    app
}

#[test]
fn switches_change_name_image_and_number() {
    let world = World::with_app(json!({}), &[]);
    let text = "cluster: redis\nimage: reg.io:5000/a/b:1\nsettings: {a: , b: {}}\n";
    let app = dry(&world, "-n test -s blue -r 2 -p 0 -o o.yml", &text.replace("{a: , b: {}}", "{a: 1}"));
    let (id, app) = comparable(app);
    assert!(is_id(&id, "ochopod.test.redis-blue"), "{id}");
    // The overrides are for `test.redis`, and this is `test.redis-blue`.
    assert_eq!((&app["instances"], &app["env"]["pod"]), (&json!(1), &json!({"a": 1})));
    assert_eq!(app["container"]["docker"]["image"], "reg.io:5000/a/b:2");
    assert_eq!(app["env"]["ochopod_cluster"], "redis-blue");
    let (_, app) = comparable(dry(&world, "-n test -p 3 -o o.yml", text));
    assert_eq!((&app["instances"], &app["env"]["pod"]), (&json!(3), &json!({"a": 2, "b": {"c": [3], "e": "hey"}})));
    assert!(world.asked().is_empty(), "{:?}", world.asked());
}

#[test]
fn ports_in_every_form() {
    let world = World::with_app(json!({}), &[]);
    let refused = "invalid port syntax (must be two integers separated by 1+ spaces optionally followed by the protocol (tcp or udp, defaults to tcp))";
    for (entry, mapping) in [
        ("9000 9001", json!({"containerPort": 9000, "hostPort": 9001, "protocol": "tcp"})),
        ("5000 *", json!({"containerPort": 5000, "hostPort": 5000, "protocol": "tcp"})),
        ("8125 udp", json!({"containerPort": 8125, "protocol": "udp"})),
        ("8126 * UDP", json!({"containerPort": 8126, "hostPort": 8126, "protocol": "udp"})),
        ("8127 18127 tcp", json!({"containerPort": 8127, "hostPort": 18127, "protocol": "tcp"})),
    ] {
        let app = dry(&world, "", &format!("cluster: c\nimage: i\nports: [\"{entry}\"]\n"));
        let control = json!({"containerPort": 8080, "protocol": "tcp"});
        assert_eq!(app["container"]["docker"]["portMappings"], json!([control, mapping]), "{entry}");
    }
    for entry in ["8080", "80*", "80/udp", "80  81", "80\\t81", "80 81 82", "80 tcp "] {
        let text = format!("cluster: c\nimage: i\nports: [\"{entry}\"]\n");
        let said = world.host.call("deploy c.yml").file("c.yml", text).send().failure();
        assert!(said.contains(refused), "{entry}: {said}");
    }
    for (entry, why) in [("80.5", "invalid port syntax (\"80.5\")"), ("", "invalid port syntax (\"None\")")] {
        let text = format!("cluster: c\nimage: i\nports:\n  - {entry}\n");
        let said = world.host.call("deploy c.yml").file("c.yml", text).send().failure();
        assert!(said.contains(why), "{entry}: {said}");
    }
}
