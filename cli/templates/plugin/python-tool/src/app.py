"""`@name@`: says hello to the pods of clusters, and tells how many of them run.

A tool is two functions: what it accepts, and what it does. What it may call stands in `wit/plugin.wit`, and these imports are
what an operator grants. Import every module at the top of a file: what is imported later is not in the component.
"""

from ocho_tool import Report, Survey, Usage, pods, tool


def usage():
    """What the tool accepts."""
    return (
        Usage("@name@", "Say hello to the pods of clusters.")
        .optional("clusters", "cluster pattern (glob), all clusters by default")
        .json("-j")
    )


async def run(args):
    """Asks every pod how it is, all at once, and counts the ones that run."""
    found = await pods.find(args.pattern("clusters"))
    # Pods that stay silent are named on standard error.
    survey = Survey(await pods.info([pod.id for pod in found]))
    running = count(info for _, info in survey.bodies())
    if args.json():
        return Report.json({"pods": len(found), "running": running})
    return Report.text(f"hello, {len(found)} pods: {running} of you run")


def count(infos):
    """How many of the pods run, by what they say about themselves."""
    return sum(info.get("process") == "running" for info in infos)


Run = tool(usage, run)
