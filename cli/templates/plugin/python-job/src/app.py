"""`@name@`: a job that fails unless all pods of a cluster run.

A job is one function. Files of its bundle lie in the working folder, variables of the caller are in the environment. Import every
module at the top of a file: what is imported later is not in the component.
"""

from ocho_job import check, job, proxy, variable


async def main():
    """Looks at the cluster that `-v cluster:NAME` names, at the host's own otherwise."""
    cluster = variable("CLUSTER", "marathon.portal")
    running, total = count(await proxy("ls"), cluster)
    print(f"{cluster}: {running} of {total} pods run")
    check(total > 0 and running == total, f"{cluster} is not up")


def count(clusters, cluster):
    """The pods of a cluster that run, and all of them, in what `ls` says."""
    found = clusters.get(cluster, {})
    return found.get("running", 0), found.get("total", 0)


Run = job(main)
