"""Lists the clusters, as `ls` does."""

from ocho_job import check, job, proxy


async def main():
    clusters = await proxy("ls")
    for name, cluster in clusters.items():
        print(f"{name}: {cluster['running']} of {cluster['total']} pods run")
    check(clusters, "there is no cluster, not even the host's own")


Run = job(main)
