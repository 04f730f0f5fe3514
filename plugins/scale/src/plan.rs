//! What to change, from what is there: decides, and changes nothing.

use ocho_sdk::pods::Pod;
use ocho_sdk::{Failure, PodSeq};

use crate::factor::Factor;

/// Which pods go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

/// The change of one application.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) application: String,
    pub(crate) target: usize,
    /// How many pods more, below zero fewer.
    pub(crate) delta: i64,
    /// The pods that have to end, sorted by number.
    pub(crate) surplus: Vec<Pod>,
}

/// The pods of the one application that is meant: of the pod `group`, or of all pods where they share one.
pub(crate) fn choose(clusters: &str, pods: Vec<Pod>, group: Option<i64>) -> Result<(String, Vec<Pod>), Failure> {
    let application = match group {
        Some(group) => of_group(&pods, group)?,
        None => shared(clusters, &pods)?,
    };
    let pods = pods.into_iter().filter(|pod| pod.application.as_ref() == Some(&application)).collect();
    Ok((application, pods))
}

fn of_group(pods: &[Pod], group: i64) -> Result<String, Failure> {
    let seq = u32::try_from(group).ok().map(PodSeq);
    let mut applications = applications(pods.iter().filter(|pod| Some(pod.id.seq) == seq));
    match applications.len() {
        1 => Ok(applications.remove(0)),
        0 => Err(Failure::new(format!("#{group} is not a valid pod index"))),
        _ => Err(Failure::new(format!("#{group} is a pod of more than one application, use a narrower pattern"))),
    }
}

fn shared(clusters: &str, pods: &[Pod]) -> Result<String, Failure> {
    let mut applications = applications(pods.iter());
    match applications.len() {
        1 => Ok(applications.remove(0)),
        0 => Err(Failure::new("the pods are not run by marathon")),
        _ => Err(Failure::new(format!("{clusters} maps to more than one application, you must specify -g"))),
    }
}

fn applications<'a>(pods: impl Iterator<Item = &'a Pod>) -> Vec<String> {
    let mut applications: Vec<String> = pods.filter_map(|pod| pod.application.clone()).collect();
    applications.sort_unstable();
    applications.dedup();
    applications
}

/// Says what to change so that `pods` become as many as the factor says.
pub(crate) fn plan(application: String, mut pods: Vec<Pod>, factor: Factor, order: Order) -> Plan {
    let total = pods.len();
    let target = factor.target(total);
    pods.sort_unstable_by_key(|pod| pod.id.seq);
    let surplus = total.saturating_sub(target);
    let surplus = match order {
        Order::NewestFirst => pods.split_off(total - surplus),
        Order::OldestFirst => {
            pods.truncate(surplus);
            pods
        }
    };
    let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    Plan { application, target, delta: signed(target) - signed(total), surplus }
}

#[cfg(test)]
mod tests {
    use ocho_sdk::PodId;

    use super::*;

    fn pod(cluster: &str, seq: u32, application: &str) -> Pod {
        let id = PodId { cluster: cluster.parse().unwrap(), seq: PodSeq(seq) };
        Pod { id, application: Some(application.to_owned()), task: Some(format!("{application}.{seq}")) }
    }

    #[track_caller]
    fn check(seqs: &[u32], factor: &str, order: Order, delta: i64, surplus: &[u32]) {
        let pods = seqs.iter().map(|seq| pod("t.web", *seq, "a")).collect();
        let plan = plan("a".to_owned(), pods, factor.parse().unwrap(), order);
        let ending: Vec<u32> = plan.surplus.iter().map(|pod| pod.id.seq.0).collect();
        assert_eq!((plan.delta, ending.as_slice()), (delta, surplus), "{seqs:?} {factor} {order:?}");
    }

    #[test]
    fn the_newest_go_first_or_the_oldest() {
        check(&[9, 1, 4, 7], "@2", Order::NewestFirst, -2, &[7, 9]);
        check(&[9, 1, 4, 7], "x0.5", Order::OldestFirst, -2, &[1, 4]);
        check(&[1, 4], "@5", Order::NewestFirst, 3, &[]);
        check(&[1, 4], "@2", Order::OldestFirst, 0, &[]);
        check(&[1, 4], "@0", Order::NewestFirst, -1, &[4]);
    }

    #[test]
    fn q09_scale_group_touches_only_its_app() {
        let pods = vec![pod("t.db", 1, "db"), pod("t.web", 0, "web"), pod("t.web", 1, "web")];
        let (application, chosen) = choose("t.*", pods.clone(), Some(0)).unwrap();
        assert_eq!((application.as_str(), chosen.len()), ("web", 2));
        let message = |group| choose("t.*", pods.clone(), group).unwrap_err().reason().to_owned();
        assert_eq!(message(None), "t.* maps to more than one application, you must specify -g");
        assert_eq!(message(Some(7)), "#7 is not a valid pod index");
        assert_eq!(message(Some(-1)), "#-1 is not a valid pod index");
        assert_eq!(message(Some(1)), "#1 is a pod of more than one application, use a narrower pattern");
    }
}
