"""Deploys `web.yml` of the bundle, finds the web pods and checks that each answers `/ping`."""

from ocho_job import check, http, job, proxy, retry, variable


async def main():
    namespace = variable("NAMESPACE", "test")
    pods = variable("PODS", "2")
    deployed = await proxy(f"deploy web.yml -n {namespace} -p {pods}")
    print(f"{len(deployed['web.yml']['up'])} pods of {namespace}.web are up")
    for name, pod in (await proxy(f"port 80 {namespace}.web")).items():
        url = f"http://{pod['ip']}:{pod['ports']}/ping"

        async def ping():
            answer = await http(url)
            check(answer.is_ok(), f"`{url}` answered HTTP {answer.status}")

        await retry(10, 1, ping)
        print(f"{name} answers")


Run = job(main)
