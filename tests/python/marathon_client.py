"""A life of an application, told by the client library `marathon`. One argument: the scheduler's URL.

Prints one line for each step, without ids and times.
"""
import collections
import collections.abc
import sys
import threading
import time

# The library is older than Python 3.10.
collections.Iterable = collections.abc.Iterable

from marathon import MarathonClient  # noqa: E402
from marathon.models import MarathonApp, MarathonGroup  # noqa: E402
from marathon.models.app import MarathonHealthCheck  # noqa: E402

client = MarathonClient(sys.argv[1])
seen = []


def follow():
    for event in client.event_stream():
        seen.append(event.event_type)


def wait_for(what, look):
    end = time.monotonic() + 180
    while not look():
        if time.monotonic() > end:
            sys.exit(f"waited for {what}")
        time.sleep(0.05)


def settle():
    wait_for("deployments", lambda: not client.list_deployments())


threading.Thread(target=follow, daemon=True).start()
wait_for("the stream", lambda: "event_stream_attached" in seen)
print("ping", "pong" in str(client.ping()))
print("info", client.get_info().name, client.get_leader()["leader"] in sys.argv[1])
check = MarathonHealthCheck(protocol="COMMAND", command="true", interval_seconds=1, delay_seconds=0)
created = client.create_app(
    "/py/web", MarathonApp(cmd="exec sleep 3600", mem=32, cpus=0.1, instances=1, health_checks=[check]))
print("created", created.id, len(created.deployments))
settle()
client.scale_app("/py/web", instances=2)
settle()
app = client.get_app("/py/web", embed_tasks=True)
print("scaled", app.instances, app.tasks_running, app.tasks_healthy, [r.alive for r in app.tasks[0].health_check_results])
client.update_app("/py/web", MarathonApp(env={"A": "1"}))
settle()
client.restart_app("/py/web")
settle()
versions = client.list_versions("/py/web")
print("versions", len(versions), client.get_version("/py/web", versions[0]).env)
everything = dict(embed_counts=True, embed_tasks=True, embed_deployments=True, embed_last_task_failure=True,
                  embed_failures=True, embed_task_stats=True)
print("listed", [found.id for found in client.list_apps(label="", **everything)])
print("endpoints", len(client.list_endpoints()))
killed = client.list_tasks("/py/web")[0].id
client.kill_task("/py/web", killed)
wait_for("the next task", lambda: killed not in [t.id for t in client.list_tasks("/py/web") if t.started_at])
wait_for("two tasks", lambda: client.get_app("/py/web").tasks_running == 2)
client.kill_given_tasks([client.list_tasks("/py/web")[0].id], scale=True)
settle()
print("killed", client.get_app("/py/web").instances)
client.create_group(MarathonGroup(id="/py/g", apps=[MarathonApp(id="/py/g/a", cmd="sleep 1", instances=0)]))
settle()
client.scale_group("/py/g", 2)
settle()
print("groups", [group.id for group in client.list_groups()], client.get_group("/py/g").id)
client.create_app("/py/stuck", MarathonApp(cmd="sleep 1", instances=1, constraints=[["hostname", "LIKE", "elsewhere"]]))
wait_for("the queue", lambda: [item.app.id for item in client.list_queue(embed_last_unused_offers=True)] == ["/py/stuck"])
client.delete_deployment(client.list_deployments()[0].id)
settle()
print("cancelled", [item.app.id for item in client.list_queue()])
client.delete_app("/py/web")
client.delete_group("/py", force=True)
settle()
wait_for("the last event", lambda: "app_terminated_event" in seen)
print("left", client.list_apps(), client.list_tasks())
wanted = ["api_post_event", "deployment_info", "deployment_step_success", "deployment_success", "deployment_failed",
          "group_change_success", "health_status_changed_event", "status_update_event"]
print("events", [kind for kind in wanted if kind not in seen])
