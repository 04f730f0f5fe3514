//! `ls`: one line for each cluster, with the pods that run and what its leader says.

use ocho_sdk::pods::Answer;
use ocho_sdk::survey::{self, Survey};
use ocho_sdk::{ClusterGlob, ClusterName, Failure, Found, Map, PodSeq, Report, Usage, Value, json, pods, table};

/// What `ls` accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new("ls", "List the clusters: how many of their pods run, and the status that each leader reports.").json(&["-j"])
}

/// Asks every pod how it is and counts by cluster.
///
/// # Errors
/// Where the registry does not answer.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let registered = pods::find(&ClusterGlob::new("*")).await?;
    let survey = Survey::of(pods::info(&survey::ids(&registered), pods::INFO_TIMEOUT).await);
    let clusters = count(&survey);
    Ok(if args.json() { as_json(&clusters) } else { as_text(&clusters, &survey) })
}

/// A cluster's line.
#[derive(Debug)]
struct Cluster {
    name: ClusterName,
    running: usize,
    total: usize,
    /// The last status that is not empty, by the number of the pod; as a rule only the leader has one.
    status: String,
    silent: Vec<PodSeq>,
}

impl Cluster {
    fn new(name: ClusterName) -> Self {
        Self { name, running: 0, total: 0, status: String::new(), silent: Vec::new() }
    }

    fn add(&mut self, answer: &Answer) {
        self.total += 1;
        let Some(info) = answer.body() else { return self.silent.push(answer.pod.seq) };
        self.running += usize::from(info["process"] == "running");
        let status = survey::text(info, "status");
        if !status.is_empty() {
            self.status = status;
        }
    }
}

/// Counts the answers, which come sorted by cluster.
fn count(survey: &Survey) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for answer in survey.answers() {
        match clusters.last_mut().filter(|last| last.name == answer.pod.cluster) {
            Some(cluster) => cluster.add(answer),
            None => {
                let mut cluster = Cluster::new(answer.pod.cluster.clone());
                cluster.add(answer);
                clusters.push(cluster);
            }
        }
    }
    clusters
}

fn as_json(clusters: &[Cluster]) -> Report {
    let members = clusters.iter().map(|cluster| {
        let mut value = json!({"status": cluster.status, "running": cluster.running, "total": cluster.total});
        if !cluster.silent.is_empty() {
            value["silent"] = json!(cluster.silent);
        }
        (cluster.name.to_string(), value)
    });
    Report::json(&Value::Object(members.collect::<Map<_, _>>()))
}

fn as_text(clusters: &[Cluster], survey: &Survey) -> Report {
    if clusters.is_empty() {
        return Report::text("");
    }
    let row =
        |cluster: &Cluster| [cluster.name.to_string(), format!("{}/{}", cluster.running, cluster.total), cluster.status.clone()];
    let rows: Vec<_> = clusters.iter().map(row).collect();
    let (total, percent) = (survey.answers().len(), survey.percent(survey.bodies().count()));
    Report::text(format!("{total} pods, {percent}% replies ->\n\n{}", table(["cluster", "ok", "status"], &rows)))
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
