//! Servers measured in turns, so that what the machine does meanwhile meets all of them; medians over the turns.

use std::time::Duration;

use crate::load::{Target, send};
use crate::usage::cpu;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_secs(1);

/// A server to measure.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) pid: u32,
    pub(crate) target: Target,
}

/// Medians over the rounds.
#[derive(Debug, Clone, Copy)]
struct Result {
    per_second: f64,
    /// Processor time of the server for each request.
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Measures all servers with so many connections, and prints a table; the first server is what the others are compared with.
pub(crate) fn compare(servers: &[Server], connections: usize) {
    for server in servers {
        send(&server.target, connections, WARM_UP);
    }
    let mut rounds: Vec<Vec<Result>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (server, results) in servers.iter().zip(&mut rounds) {
            results.push(round(server, connections));
        }
    }
    let medians: Vec<Result> = rounds.iter().map(|results| medians(results)).collect();
    print(servers, &medians, connections);
}

fn round(server: &Server, connections: usize) -> Result {
    let before = cpu(server.pid);
    let measured = send(&server.target, connections, ROUND);
    let cpu = cpu(server.pid).saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "counts of some seconds are far below 2^52")]
    let requests = measured.requests.max(1) as f64;
    let at = |share: usize| measured.latencies.get(measured.latencies.len() * share / 100).copied().unwrap_or_default();
    Result {
        per_second: requests / measured.elapsed.as_secs_f64(),
        cpu_us: micros(cpu) / requests,
        p50_us: micros(at(50)),
        p99_us: micros(at(99)),
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn medians(results: &[Result]) -> Result {
    let of = |value: fn(&Result) -> f64| median(results.iter().map(value).collect());
    Result { per_second: of(|r| r.per_second), cpu_us: of(|r| r.cpu_us), p50_us: of(|r| r.p50_us), p99_us: of(|r| r.p99_us) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn print(servers: &[Server], results: &[Result], connections: usize) {
    println!("\n{connections} connections, medians of {ROUNDS} rounds of {} s", ROUND.as_secs());
    println!(
        "  {:<28} {:>10} {:>8} {:>12} {:>8} {:>9} {:>9}",
        "", "requests/s", "ratio", "CPU µs/req", "ratio", "p50 µs", "p99 µs"
    );
    let Some(first) = results.first() else { return };
    for (server, result) in servers.iter().zip(results) {
        println!(
            "  {:<28} {:>10.0} {:>8.2} {:>12.1} {:>8.2} {:>9.0} {:>9.0}",
            server.name,
            result.per_second,
            result.per_second / first.per_second,
            result.cpu_us,
            result.cpu_us / first.cpu_us,
            result.p50_us,
            result.p99_us,
        );
    }
    for (server, result) in servers.iter().zip(results).skip(1) {
        let more = result.cpu_us - first.cpu_us;
        let per_core = 1e6 / result.cpu_us;
        println!(
            "  {}: {more:+.1} µs CPU a request over {}, {per_core:.0} requests per CPU-second",
            server.name, servers[0].name
        );
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians_are_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).abs() < f64::EPSILON);
    }
}
